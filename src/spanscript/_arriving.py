"""
The events of a stream while it arrives: bytes, cut anywhere, to whole events, each once.

What is whole so far is cut off and read as a stream of its own (`_wire`), so that an event means the same
whether it is read at once or at the end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple, TypeAlias

from spanscript._eventstream import NO_FRAME, whole_frames
from spanscript._eventstream import events as frames
from spanscript._exchange import Event
from spanscript._wire import SEEN, Framing, array, framing_of, ndjson, sse

_Cut: TypeAlias = Callable[[bytearray, int], int]
"""The bytes that are there, and how many of them were looked at before → how many are whole events."""

_BLANK_LINES: Final = (b"\n\n", b"\n\r", b"\r\r")
"""One of them stands in every blank line, whatever ends lines; of `\\r\\n` a line feed may stay behind it."""
_STRUCTURE: Final = re.compile(rb'["{}\[\]]')
_IN_STRING: Final = re.compile(rb'["\\]')
_BEFORE_ELEMENTS: Final = b"\xef\xbb\xbf \t\r\n,["


class Arriving:
    """
    One stream, chunk by chunk.

    Args:
        content_type: The response header. What is no stream has no events.
    """

    __slots__ = ("_content_type", "_cut", "_data", "_decided", "_reading")

    def __init__(self, content_type: str) -> None:
        self._content_type = content_type
        self._data = bytearray()
        self._decided = False
        self._reading: _Reading | None = None
        self._cut: _Cut | None = None

    def take(self, chunk: bytes) -> list[Event]:
        """Take the next bytes; the events that are whole with them."""
        seen = len(self._data)
        self._data += chunk
        if not self._decided:
            if not self._looks_like_something():
                return []
            self._decide()
            seen = 0
        if self._reading is None or self._cut is None:
            self._data.clear()
            return []
        return self._read(self._reading.whole, self._cut(self._data, seen))

    def end(self) -> list[Event]:
        """Nothing more comes: the event at the end, if it is whole by its look; see `_wire.events`."""
        if not self._decided:
            self._decide()
        return self._read(self._reading.rest, len(self._data)) if self._reading else []

    def _looks_like_something(self) -> bool:
        """Whether there is enough to tell the framing, where that is told by the beginning."""
        if framing_of(self._content_type, b"") not in (sse, None) or len(self._data) >= SEEN:
            return True
        start = bytes(self._data).lstrip()
        return framing_of(self._content_type, start) is array or (start[:1] != b"[" and b"\n" in start)

    def _decide(self) -> None:
        self._decided = True
        framing = framing_of(self._content_type, bytes(self._data[:SEEN]))
        if framing is not None:
            self._reading = _READINGS[framing]
            self._cut = self._reading.cut()

    def _read(self, read: Framing, size: int) -> list[Event]:
        whole = bytes(self._data[:size])
        del self._data[:size]
        events = list(read(whole)) if whole else []
        if NO_FRAME in events:
            self._reading = None
        return events


class _Reading(NamedTuple):
    """How a framing is read in pieces: where to cut, what reads whole events, and what reads the end."""

    cut: Callable[[], _Cut]
    whole: Framing
    rest: Framing


def _blank_line(data: bytearray, seen: int) -> int:
    last = max(data.rfind(line, max(0, seen - 1)) for line in _BLANK_LINES)
    return last + 2 if last >= 0 else 0


def _line(data: bytearray, seen: int) -> int:
    return data.rfind(b"\n", seen) + 1


def _frames(data: bytearray, seen: int) -> int:
    del seen  # a frame tells its length where it begins
    return whole_frames(data)


class _Elements:
    """Finds where elements of an array end, each byte being looked at once."""

    __slots__ = ("_depth", "_in_string", "_skipped")

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = False
        self._skipped = 0
        """1 after a backslash at the end of what was there: what it escapes is still to come."""

    def __call__(self, data: bytearray, seen: int) -> int:
        end, at = 0, seen + self._skipped
        while sign := (_IN_STRING if self._in_string else _STRUCTURE).search(data, at):
            at = sign.end()
            if sign[0] == b"\\":
                at += 1
            elif sign[0] == b'"':
                self._in_string = not self._in_string
            else:
                self._depth += 1 if sign[0] in b"{[" else -1
                end = at if self._depth == 1 and sign[0] in b"}]" else end
        self._skipped = max(0, at - len(data))
        return end


def _elements(data: bytes) -> Iterator[Event]:
    return array(b"[" + data.lstrip(_BEFORE_ELEMENTS) + b"]")


def _nothing(data: bytes) -> Iterator[Event]:
    del data  # the array's end, or the beginning of an element
    return iter(())


_READINGS: Final[Mapping[Framing, _Reading]] = {
    sse: _Reading(lambda: _blank_line, sse, sse),
    ndjson: _Reading(lambda: _line, ndjson, ndjson),
    frames: _Reading(lambda: _frames, frames, frames),
    array: _Reading(_Elements, _elements, _nothing),
}
