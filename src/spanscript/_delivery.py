"""
Records handed from the app's threads to listeners, in threads of ours.

The app's thread puts bytes and records into a queue, and never waits. One thread of ours takes them out and
decodes; each listener has one more, so that a slow one holds up neither the app nor the others.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable
from contextlib import suppress
from contextvars import Context
from functools import partial
from queue import SimpleQueue
from time import monotonic
from typing import Any, Final, Generic, TypeVar

from spanscript._guard import guarded

_STOP: Final = object()
_MANY: Final = 256
"""Records that are joined at once while they wait: each alone would take more memory than what it says."""

_R = TypeVar("_R")


class Worker:
    """
    A daemon thread that handles what it is given, in order.

    Args:
        name: Of the thread.
        handle: Must not raise.
    """

    def __init__(self, name: str, handle: Callable[[Any], None]) -> None:
        self._name = name
        self._handle = handle
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget all: in a forked child there is no thread, and what is in the queue is the parent's."""
        self._queue: SimpleQueue[Any] = SimpleQueue()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread unless it runs."""
        if self._thread is not None:
            return
        with self._starting:
            if self._thread is None:
                # Not in the context of the call that happens to be the first: some have threads inherit it.
                run = partial(Context().run, self._run)
                thread = threading.Thread(target=run, name=self._name, daemon=True)
                thread.start()
                self._thread = thread

    def put(self, item: object) -> None:
        """Give it something. Takes a fraction of a microsecond, in any thread, also within a finalizer."""
        self._queue.put(item)

    @property
    def is_here(self) -> bool:
        """Whether this is its thread."""
        return self._thread is threading.current_thread()

    def flush(self, until: float) -> None:
        """Wait until all that it was given before is handled, up to *until* on the monotonic clock."""
        if self._thread is None or self.is_here:
            return
        passed = threading.Event()
        self._queue.put(passed)
        passed.wait(max(0.0, until - monotonic()))

    def stop(self) -> None:
        """End the thread when it has handled what it was given before."""
        self._queue.put(_STOP)

    def _run(self) -> None:
        while (item := self._queue.get()) is not _STOP:
            if isinstance(item, threading.Event):
                item.set()
                continue
            with suppress(SystemExit, KeyboardInterrupt):  # from a listener: what waits is still to be told
                self._handle(item)


class _Pending(Generic[_R]):
    """One or more records that a listener gets as one."""

    __slots__ = ("key", "line", "records")

    def __init__(self, line: str, key: Hashable, record: _R) -> None:
        self.line = line
        self.key = key
        self.records = [record]


class Mailbox(Generic[_R]):
    """
    What one listener is still to be told, and the thread that tells it.

    Nothing is lost, however slow the listener is; what may be joined is, so that memory holds what was said
    and not how often.

    Args:
        listener: Is called with each record. If it raises, that is logged, once in a process.
        join: Makes one record of several with the same key that follow one another.
    """

    def __init__(self, listener: Callable[[_R], object], join: Callable[[list[_R]], _R]) -> None:
        self._listener = listener
        self._join = join
        self._closed = False
        self.worker = Worker("spanscript-listener", self._deliver)
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget what is pending, in a forked child."""
        self.worker.begin_anew()
        self._lock = threading.Lock()
        self._pending: deque[_Pending[_R]] = deque()
        self._last: dict[str, _Pending[_R]] = {}

    def put(self, record: _R, line: str, key: Hashable | None = None) -> None:
        """
        Have a record delivered.

        Args:
            record: It.
            line: Records of one line keep their order (the id of the call).
            key: It is joined to the one before it in its line if that has the same; `None`: never.
        """
        with self._lock:
            if self._closed:
                return
            last = self._last.get(line)
            if key is not None and last is not None and last.key == key:
                last.records.append(record)
                if len(last.records) >= _MANY:
                    last.records = [self._join(last.records)]
                return
            self._last[line] = pending = _Pending(line, key, record)
            self._pending.append(pending)
        self.worker.put(None)

    def close(self, until: float) -> None:
        """Deliver what is pending, up to *until*; when this returns, nothing more is begun."""
        self.worker.flush(until)
        with self._lock:
            self._closed = True
            self._pending.clear()
            self._last.clear()
        self.worker.stop()

    def _deliver(self, _: None) -> None:
        with self._lock:
            if not self._pending:
                return  # it was closed
            pending = self._pending.popleft()
            if self._last.get(pending.line) is pending:
                del self._last[pending.line]
        records = pending.records
        self._tell(records[0] if len(records) == 1 else self._join(records))

    @guarded
    def _tell(self, record: _R) -> None:
        self._listener(record)
