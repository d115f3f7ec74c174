"""
AWS event-stream, in which Bedrock streams: frames, each with headers and a payload.

Checksums are not looked at: the client does, and TCP has.
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Callable, Iterator
from typing import Final

from spanscript._exchange import Event, Json
from spanscript._json import loads
from spanscript._shapes import mapping, string

CONTENT_TYPE: Final = "application/vnd.amazon.eventstream"

METRICS: Final = "amazon-bedrock-invocationMetrics"
"""
The name of the event with what Bedrock itself tells at the end of a model's own stream: tokens and times.

On the wire it stands in the last chunk, beside what the model's maker says there.
"""

NO_FRAME: Final = Event("no frame")
"""What stands for bytes that are none, after which nothing can be read."""

_PRELUDE: Final = struct.Struct(">III")
_CRC_BYTES: Final = 4
_FRAME_LIMIT: Final = 64 * 1024 * 1024
_HEADER_BYTES: Final = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Bytes of a header's value by its type; types 6 (bytes) and 7 (string) begin with their length."""


def events(data: bytes) -> Iterator[Event]:
    """The events of a stream, as far as it came whole; what is no frame is the last one."""
    at = 0
    while (size := _size(data, at)) is not None:
        if size == 0:
            yield NO_FRAME
            return
        end = at + size
        if end > len(data):
            return
        start = at + _PRELUDE.size
        payload_at = start + _PRELUDE.unpack_from(data, at)[1]
        headers = dict(_headers(data[start:payload_at]))
        yield from _frame_events(headers, data[payload_at : end - _CRC_BYTES])
        at = end


def whole_frames(data: bytes | bytearray) -> int:
    """Bytes of the frames at the beginning that are whole; all, where something there is no frame."""
    at = 0
    while (size := _size(data, at)) is not None:
        if size == 0:
            return len(data)
        if at + size > len(data):
            break
        at += size
    return at


class FrameMarker:
    """Watches one stream for its dialect's terminal marker, chunk by chunk."""

    __slots__ = ("_data", "_ends")

    def __init__(self, ends: Callable[[Event], bool]) -> None:
        self._ends = ends
        self._data: bytearray | None = bytearray()

    def passed(self, chunk: bytes) -> bool:
        """Take the next chunk; whether the marker has come with it."""
        if self._data is None:
            return False
        self._data += chunk
        while (size := _size(self._data)) is not None:
            if size == 0:
                self._data = None  # clients read no further
                return True
            if size > len(self._data):
                return False
            frame = bytes(self._data[:size])
            del self._data[:size]
            if any(event.name == METRICS or self._ends(event) for event in events(frame)):
                return True
        return False


def _size(data: bytes | bytearray, at: int = 0) -> int | None:
    """Bytes of the frame that begins there; 0 if none does; `None` if its beginning is not whole."""
    if at + _PRELUDE.size > len(data):
        return None
    total, headers_length, _ = _PRELUDE.unpack_from(data, at)
    sane = _PRELUDE.size + headers_length + _CRC_BYTES <= total <= _FRAME_LIMIT
    return int(total) if sane else 0


def _headers(block: bytes) -> Iterator[tuple[str, str]]:
    """Names and values of the headers that are strings."""
    at = 0
    while at < len(block):
        value_at = at + 1 + block[at]
        name = block[at + 1 : value_at].decode("utf-8", "replace")
        kind = block[value_at : value_at + 1]
        value_at += 1
        if kind in (b"\x06", b"\x07"):
            length = int.from_bytes(block[value_at : value_at + 2], "big")
            value_at += 2
        elif kind and kind[0] in _HEADER_BYTES:
            length = _HEADER_BYTES[kind[0]]
        else:
            return
        at = value_at + length
        if kind == b"\x07":
            yield name, block[value_at:at].decode("utf-8", "replace")


def _frame_events(headers: dict[str, str], payload: bytes) -> Iterator[Event]:
    data = _value(payload)
    error = headers.get(":exception-type") or headers.get(":error-code")
    name = headers.get(":event-type")
    inner = mapping(data).get("bytes")
    if error:
        message = mapping(data).get("message") or headers.get(":error-message") or data
        yield Event({"type": "error", "error": {"type": error, "message": message}}, error)
    elif name == "chunk" and isinstance(inner, str):
        yield from _chunk(_value(_maybe_unbased(inner)))
    else:
        yield Event(data, name)


def _chunk(data: Json) -> Iterator[Event]:
    """What the model's maker says in a chunk, and what Bedrock does."""
    metrics = data.pop(METRICS, None) if isinstance(data, dict) else None
    if data or metrics is None:
        yield Event(data, string(mapping(data).get("type")))
    if metrics is not None:
        yield Event(metrics, METRICS)


def _maybe_unbased(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except (ValueError, binascii.Error):
        return text.encode("utf-8", "replace")


def _value(data: bytes) -> Json:
    try:
        return loads(data)
    except (ValueError, RecursionError):
        return data.decode("utf-8", "replace")
