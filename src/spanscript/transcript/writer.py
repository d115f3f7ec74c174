"""
The writer: from any thread, any forked child, any finalizer, one event after the other into the file.

It writes in the caller's thread, so that what was written survives SIGKILL, and never raises because
the file cannot be written. There may be several writers for one directory, also in one process: each
is a writer of its own to the readers.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from msgspec import Struct

from spanscript.config import DEFAULT_MAX_BYTES, WriteMode
from spanscript.transcript import entries
from spanscript.transcript.appender import INTERRUPTED, Appender, Lines, Trouble
from spanscript.transcript.blobs import BlobWriter
from spanscript.transcript.conversation import Make
from spanscript.transcript.livefile import LiveFile
from spanscript.transcript.nofile import NoBlobs, NoFile

_LOG = logging.getLogger("spanscript")
_writers: Final[weakref.WeakSet[Writer]] = weakref.WeakSet()
_process = object()
"""Stands for this process; another one in each forked child."""
_fork_lock = threading.RLock()
"""Held while a forked child's first threads agree on their new state."""


class Listener(Protocol):
    """Gets the lines of each event after they were written, in the thread of the event, without a lock."""

    def is_on(self) -> bool:
        """Whether it wants any."""

    def take(self, lines: bytes, time_ns: int) -> object:
        """The *lines* of one event, each with its newline, and when it happened; it must not raise."""


class _Pending(Struct):
    make: Make
    time_ns: int
    written: bool = False


class _State:
    """What belongs to one process: a forked child begins with a new one."""

    def __init__(self, appender: Appender) -> None:
        self.process = _process
        self.appender = appender
        self.lock = threading.RLock()
        self.queue: deque[_Pending] = deque()

    def is_mine(self) -> bool:
        """Whether this thread holds the lock already."""
        return self.lock._is_owned()  # type: ignore[attr-defined,no-any-return]  # noqa: SLF001 - as Condition asks

    def drain(self) -> None:
        """Append what waits; with the lock held."""
        while self.queue:
            pending = self.queue.popleft()
            pending.written = self.appender.append(pending.make, pending.time_ns)

    def take_untold(self) -> list[Lines | Trouble]:
        """What was made, what went wrong and is not yet told; with the lock held."""
        untold, self.appender.untold = self.appender.untold, []
        return untold


class Writer:
    """
    Writes one transcript.

    Attributes:
        service_name: Told in each file's first line; may be set until then.
        listener: Gets all lines; may be set at any time.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str] | None,
        *,
        max_bytes: int = DEFAULT_MAX_BYTES,
        mode: WriteMode = "inline",
        listener: Listener | None = None,
        on_lost: Callable[[str, int], object] | None = None,
    ) -> None:
        """
        Nothing is opened until there is something to write.

        Args:
            directory: Made with mode 0700 if it is missing; `None`: no file, but for *listener* alone.
            max_bytes: The file is rotated when it has so many; 0: never.
            mode: `inline`: what is written survives the process; `sync`: and power loss.
            listener: See the attribute.
            on_lost: Called with a reason and how many lines were lost, outside of all locks.
        """
        self.service_name: str | None = None
        self.listener = listener
        self._directory = None if directory is None else _absolute(os.fspath(directory))
        self._max_bytes = max_bytes
        self._durable = mode == "sync"
        self._on_lost = on_lost
        self._told: set[str] = set()
        self._state = self._new_state()
        _writers.add(self)

    def write(self, make: Make, time_ns: int | None = None) -> bool:
        """
        Write one event: the entries that *make* gives, all together.

        *make* is called with what this writer has written to the file in use, under the writer's lock:
        once, or not at all while the file cannot be written.

        Args:
            make: See `conversation.request_entries`; for an outcome, `lambda _: [entry]`.
            time_ns: When it happened, nanoseconds since the epoch; now if not given.

        Returns:
            Whether it is written (mode `sync`: and on the disk). Not if it was lost; nor yet if this thread
            is in the middle of writing already (this is a finalizer): then it is written right after that.
        """
        pending = _Pending(make, time.time_ns() if time_ns is None else time_ns)
        self._with_state(pending)
        return pending.written

    def close(self) -> None:
        """Close the file; should there be something to write after all, a new writer id begins."""
        self._with_state(None)

    def _with_state(self, pending: _Pending | None) -> None:
        """Append *pending* and whatever else waits; `None`: close. Then tell of it, unlocked."""
        state = self._current()
        if pending is not None:
            state.queue.append(pending)
        if state.is_mine():
            return  # a finalizer or a signal handler interrupted this thread's own writing, which goes on
        untold: list[Lines | Trouble] = []
        try:
            while True:
                with state.lock:
                    try:
                        state.drain()
                        if pending is None:
                            self._close(state)
                    finally:
                        untold += state.take_untold()
                if not state.queue:  # a finalizer may have come after the last look
                    break
        finally:
            for item in untold:
                if isinstance(item, Lines):
                    self._hand_on(item)
                else:
                    self._tell(item)

    def _close(self, state: _State) -> None:
        state.appender.close()
        if self._state is state:
            self._state = self._new_state()

    def _hand_on(self, lines: Lines) -> None:
        if self.listener is not None:
            self.listener.take(lines.data, lines.time_ns)

    def _tell(self, trouble: Trouble) -> None:
        if trouble.reason not in self._told:
            self._told.add(trouble.reason)
            _LOG.log(
                logging.INFO if trouble.reason == INTERRUPTED else logging.WARNING,
                "Transcript %s: %s%s. The app is not affected. This is not logged again.",
                f"in {self._directory}" if self._directory else "without a file",
                f"{trouble.reason} ({trouble.detail})",
                "; lines are lost until it works again" if trouble.dropped else "",
            )
        if trouble.dropped and self._on_lost is not None:
            self._on_lost(trouble.reason, trouble.dropped)

    def _current(self) -> _State:
        """The state of this process. No lock is asked that another thread may have held at a fork."""
        state = self._state
        if state.process is not _process:
            state = self._new_state()
            with _fork_lock:
                if self._state.process is not _process:
                    self._state = state
                state = self._state
        return state

    def _new_state(self) -> _State:
        introduce = lambda: entries.transcript_open(self.service_name)  # noqa: E731
        if self._directory is None:
            return _State(Appender(NoFile(self._max_bytes), NoBlobs(), introduce, durable=False))
        file = LiveFile(self._directory, max_bytes=self._max_bytes, durable=self._durable)
        blobs = BlobWriter(self._directory, durable=self._durable)
        return _State(Appender(file, blobs, introduce, durable=self._durable))

    def _abandon(self) -> None:
        self._state.appender.abandon()


def _absolute(directory: str) -> str:
    """The app may change its working directory, or have lost it already."""
    with contextlib.suppress(OSError):
        return os.path.abspath(directory)  # noqa: PTH100 - links are followed when it is opened
    return directory


def _begin_child() -> None:
    """In a forked child, before anything else runs."""
    global _process, _fork_lock  # noqa: PLW0603 - they stand for the process
    _process = object()
    _fork_lock = threading.RLock()
    for writer in list(_writers):
        writer._abandon()  # noqa: SLF001 - the module's own


os.register_at_fork(after_in_child=_begin_child)
