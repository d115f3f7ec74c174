"""
One writer of a transcript: numbered lines in one process, what of them was lost, and why.

Not for several threads at once; see `writer`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from spanscript._blobs import Mark
from spanscript.transcript import entries
from spanscript.transcript.blobs import BlobWriter
from spanscript.transcript.conversation import Conversation, Make
from spanscript.transcript.entries import Entry, Stamp
from spanscript.transcript.livefile import LiveFile, reason_of
from spanscript.transcript.nofile import NoBlobs, NoFile

RETRY_SECONDS: Final = 1.0
"""After an error the file is left alone for so long: a sick file system must not slow the app."""

INTERRUPTED: Final = "interrupted"
"""Reason of what was lost to Ctrl-C, a signal's time limit, or the like: the app's own doing."""


class Trouble(Struct, frozen=True):
    """Something went wrong: one word for it, in words, and how many lines were lost by it."""

    reason: str
    detail: str
    dropped: int = 0


class Lines(Struct, frozen=True):
    """The lines of one event, in the file or (if they could not be written) not; and when it happened."""

    data: bytes
    time_ns: int


class _Event(Struct):
    """The lines of one event, on their way."""

    data: bytes = b""
    count: int = 0
    introduction: list[Entry] = []
    blobs: list[tuple[Mark, bytes]] = []
    gaps: list[str] = []
    settled: bool = False


class Appender:
    """
    Gives lines their numbers and appends them, one event at a time.

    What is lost uses up numbers too, so that a reader sees the hole, and is told by `gap` lines as soon
    as writing works again. No `OSError` gets out.

    Attributes:
        id: 8 hex digits that name this writer.
        untold: What was made and what went wrong; whoever tells of it takes it away.
    """

    def __init__(
        self,
        file: LiveFile | NoFile,
        blobs: BlobWriter | NoBlobs,
        introduce: Callable[[], Entry],
        *,
        durable: bool,
    ) -> None:
        """*introduce* gives the writer's first line in a file. *durable*: sync after each event."""
        self.id = os.urandom(4).hex()
        self.untold: list[Lines | Trouble] = []
        self._file = file
        self._blobs = blobs
        self._introduce = introduce
        self._durable = durable
        self._seq = 0
        self._conversation = Conversation()
        self._introduced = False
        self._opened = 0
        self._lost: dict[str, int] = {}
        self._failing = ""
        self._retry_at = 0.0

    def append(self, make: Make, time_ns: int) -> bool:
        """
        Append one event.

        Returns:
            Whether it is in the file; if that must be durable, on the disk.
        """
        if time.monotonic() < self._retry_at:
            self._seq += 1
            self._lose(self._failing, "still failing", 1)
            return False
        event = _Event()
        try:
            self._file.enter(self.id)
            self._begin_if_new()
            self._build(event, make, time_ns)
            self._blobs.store(event.blobs)
            if event.data:
                self._file.append(event.data)
            self._settle(event, event.count)
        except OSError as error:
            self._failing = reason_of(error)
            self._retry_at = time.monotonic() + RETRY_SECONDS
            self._fail(event, self._failing, error.strerror or "", interrupted=False)
        except BaseException as error:
            reason = "failed" if isinstance(error, Exception) else INTERRUPTED
            self._fail(event, reason, type(error).__name__, interrupted=True)
            raise
        finally:
            self._file.leave()
            if event.data:
                self.untold.append(Lines(event.data, time_ns))
        self._note_file_trouble()
        return event.settled and (not self._durable or self._sync())

    def close(self) -> None:
        """Tell of what was lost, if that is possible now, and close the file."""
        if self._lost:
            self.append(lambda _: (), time.time_ns())
        self._file.close()
        self._note_file_trouble()

    def abandon(self) -> None:
        """In a forked child: close the parent's descriptor, and nothing else."""
        self._file.close()

    def _begin_if_new(self) -> None:
        if self._opened != self._file.opened:
            self._conversation = Conversation()
            self._introduced = False
            self._opened = self._file.opened

    def _build(self, event: _Event, make: Make, time_ns: int) -> None:
        own, event.blobs = self._blobs.take(make(self._conversation))
        event.introduction = [] if self._introduced else [self._introduce()]
        event.gaps = list(self._lost)
        gaps = [entries.gap(reason, dropped) for reason, dropped in self._lost.items()]
        event.count = len(event.introduction) + len(gaps) + len(own)
        stamp = Stamp(self.id, time_ns)
        event.data = entries.lines([*event.introduction, *gaps, *own], stamp, self._seq)
        self._seq += event.count

    def _settle(self, event: _Event, lines: int) -> None:
        """So many of the event's lines are in the file."""
        introduced = len(event.introduction)
        self._introduced = self._introduced or lines >= introduced > 0
        for reason in event.gaps[: max(0, lines - introduced)]:
            self._lost.pop(reason, None)
        if lines == event.count:
            self._conversation.commit()
            event.settled = True
        else:
            self._conversation.roll_back()

    def _fail(self, event: _Event, reason: str, detail: str, *, interrupted: bool) -> None:
        """Something of the event is in the file, or nothing, or (after an interrupt) even all."""
        if event.settled:
            return
        if not event.count:
            self._seq += 1
            self._conversation.roll_back()
            self._lose(reason, detail, 1)
            return
        bytes_landed = self._file.landed(len(event.data), interrupted=interrupted)
        landed = event.data[:bytes_landed].count(b"\n")
        self._settle(event, landed)
        if landed < event.count:
            self._lose(reason, detail, event.count - landed)

    def _lose(self, reason: str, detail: str, dropped: int) -> None:
        self._lost[reason] = self._lost.get(reason, 0) + dropped
        self.untold.append(Trouble(reason, detail, dropped))

    def _sync(self) -> bool:
        try:
            self._file.sync()
        except OSError as error:
            self.untold.append(Trouble(f"sync {reason_of(error)}", error.strerror or ""))
            return False
        return True

    def _note_file_trouble(self) -> None:
        trouble, self._file.trouble = self._file.trouble, None
        if trouble is not None:
            self.untold.append(Trouble(f"rotation {reason_of(trouble)}", trouble.strerror or ""))
