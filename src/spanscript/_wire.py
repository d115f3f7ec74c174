"""
From bytes to JSON: the framing of streams, and the reading of a whole answer.

Pure, and never raises on bad bytes: what can be read is given. A stream's framing follows from its
content type by one table; a new framing is one function from bytes to events. An array of objects is one
too (Google's streams are unless SSE is asked for), where the dialect streams.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
from collections.abc import Callable, Iterator, Sequence
from json.decoder import JSONDecoder
from typing import Final

import msgspec

from spanscript._exchange import Dialect, Event, Failure, Json, Reply
from spanscript._json import dumps, elements, loads
from spanscript._shapes import integer, mapping, sequence, string

_Framing = Callable[[bytes], Iterator[Event]]

MALFORMED_STREAM: Final = "malformed_stream"
"""The failure of a stream without its end that has an event which is no JSON: clients stop there."""

_BOM: Final = b"\xef\xbb\xbf"
_MESSAGE_LENGTH: Final = 500
_ARRAY_OF_OBJECTS: Final = re.compile(rb"\[\s*\{")
_BETWEEN_ELEMENTS: Final = re.compile(r"[\s,]*")


def events(data: bytes, content_type: str) -> Iterator[Event]:
    """
    The events of a stream, as far as it came.

    Args:
        data: The body from its first byte, with its content-encoding undone.
        content_type: The response header; parameters and case do not matter.

    Yields:
        One event per item with data. Data that is no JSON is kept as a string. A last item that was cut
        is left out, except if its data is whole by its look (JSON, or `[DONE]`).
    """
    framing = _framing(content_type, data)
    return framing(data) if framing else iter(())


def read(
    dialect: Dialect, content_type: str, data: bytes, http_status: int | None, *, ended: bool = True
) -> Reply:
    """
    Read what came as the answer of one attempt.

    Args:
        dialect: Says what the bytes mean.
        content_type: The response header, empty if there was none.
        data: The body, as far as it came, with its content-encoding undone.
        http_status: `None` if it is not known.
        ended: Whether it was read to the end: what is no JSON has no other sign of it.

    Returns:
        What can be had. `complete` is false for a stream without its terminal marker, and for a body
        that is no JSON, unless `Dialect.raw` takes it. With a status of 400 or more there always is a
        `failure`.
    """
    framing = _framing(content_type, data)
    if framing is _array and dialect.ends is None:
        framing = None
    if framing:
        seen = _Seen(framing(data), dialect.ends)
        body = dialect.assemble(seen)
        complete = seen.ended
        malformed = not complete and seen.unreadable
    elif dialect.raw is not None and _is_raw(content_type, data, http_status):
        body = dialect.raw(data, content_type)
        complete, malformed = ended, False
    else:
        body = _maybe_parsed(dialect.parse or loads, data)
        complete = body is not None
        malformed = False
    reply = dialect.decode(body)
    failure = reply.failure or (Failure(MALFORMED_STREAM, "an event is no JSON") if malformed else None)
    if http_status is not None and http_status >= 400:
        failure = _failure_of_status(body, data, str(http_status))
    return msgspec.structs.replace(reply, failure=failure, complete=complete)


class _Seen:
    """
    The events of a stream, once, noting what they were: to keep them all would take longer than to read them.

    Attributes:
        ended: Whether the last one that means something has come.
        unreadable: Whether the data of one was no JSON.
    """

    def __init__(self, events: Iterator[Event], ends: Callable[[Event], bool] | None) -> None:
        self._events = events
        self._ends = ends
        self.ended = False
        self.unreadable = False

    def __iter__(self) -> Iterator[Event]:
        for event in self._events:
            if self._ends is not None and self._ends(event):
                self.ended = True
            elif isinstance(event.data, str) and not is_done(event):
                self.unreadable = True
            yield event


def is_done(event: Event) -> bool:
    """Whether an event is the `[DONE]` that some wire APIs end a stream with."""
    return isinstance(event.data, str) and event.data.strip() == "[DONE]"


def terminal(ends: Callable[[Event], bool], hints: Sequence[bytes]) -> Callable[[bytes], bool]:
    """
    Make a dialect's `terminal` from its `ends`.

    Args:
        ends: Whether an event is the last one that means something.
        hints: Bytes of which at least one stands in the line of such an event: a cheap first look.
    """

    def terminal(lines: bytes) -> bool:
        for hint in hints:
            if hint in lines:
                framing = _ndjson if lines.lstrip().startswith(b"{") else _sse
                return any(map(ends, framing(lines)))
        return False

    return terminal


class Marker:
    """
    Watches one stream for its dialect's terminal marker, chunk by chunk.

    The marker is looked for in whole lines only: text that quotes one is inside a longer line, and an
    event that carries the whole answer has not come before its line ends.
    """

    __slots__ = ("_line", "_terminal")

    def __init__(self, terminal: Callable[[bytes], bool]) -> None:
        self._terminal = terminal
        self._line: list[bytes] = []

    def passed(self, chunk: bytes) -> bool:
        """Take the next chunk; whether the marker has come with it."""
        if not self._line and chunk.endswith(b"\n"):
            return self._terminal(chunk)
        end = max(chunk.rfind(b"\n"), chunk.rfind(b"\r")) + 1
        if not end:
            self._line.append(chunk)
            return False
        lines = b"".join((*self._line, chunk[:end]))
        self._line = [chunk[end:]] if end < len(chunk) else []
        return self._terminal(lines)


def failure_in(body: Json, default: str = "error") -> Failure | None:
    """
    The error that a body tells of under its key `error`, `None` if it tells none.

    Args:
        body: Any JSON value; of an array, its first element counts.
        default: The failure's type if the body names neither code nor type.
    """
    error = mapping(sequence(body)[0] if sequence(body) else body).get("error")
    return _as_failure(error, default) if error else None


def _failure_of_status(body: Json, data: bytes, status: str) -> Failure:
    found = failure_in(body, status)
    if found:
        return found
    if mapping(body):
        return _as_failure(body, status)
    return Failure(status, _short(data[: 8 * _MESSAGE_LENGTH].decode("utf-8", "replace")))


def _as_failure(error: Json, default: str) -> Failure:
    fields = mapping(error)
    kinds = [string(fields.get(key)) for key in ("code", "type", "status", "__type")]
    number = integer(fields.get("code"))
    kind = next((k for k in kinds if k and k != "error"), str(number) if number else default)
    messages = [fields.get(key) for key in ("message", "Message", "detail", "msg")]
    return Failure(kind, _short(next((m for m in messages if m), error)))


def _short(message: Json) -> str | None:
    text = message if isinstance(message, str) else dumps(message).decode()
    return " ".join(text.split())[:_MESSAGE_LENGTH] or None


def _maybe_parsed(parse: Callable[[bytes], Json], data: bytes) -> Json:
    try:
        return parse(data)
    except (ValueError, RecursionError):
        return None


def _is_raw(content_type: str, data: bytes, http_status: int | None) -> bool:
    """Whether an answer neither says nor looks like it were JSON, and is no error."""
    if (http_status or 200) >= 400 or "json" in content_type.lower():
        return False
    return not data[:64].lstrip().startswith(b"{")


def _framing(content_type: str, data: bytes) -> _Framing | None:
    """By content type, but not against plain appearance: gateways mislabel error bodies and streams."""
    framing = _FRAMINGS.get(content_type.partition(";")[0].strip().lower())
    start = data[:64].removeprefix(_BOM).lstrip()
    if framing in (_sse, None) and _ARRAY_OF_OBJECTS.match(start):
        return _array
    if framing is _sse and start[:1] in (b"{", b"["):
        return None
    if framing is None and start.startswith((b"data:", b"event:", b":")):
        return _sse
    return framing


def _sse(data: bytes) -> Iterator[Event]:
    data = data.removeprefix(_BOM)
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    *whole, cut = data.split(b"\n\n")
    for block in whole:
        event = _sse_event(block)
        if event is not None:
            yield event
    event = _sse_event(cut)
    if event is not None and (is_done(event) or not isinstance(event.data, str)):
        yield event


def _sse_event(block: bytes) -> Event | None:
    if block.startswith(b"data: ") and b"\n" not in block:  # nearly all of them
        return Event(_value(block[6:]))
    name = None
    lines = []
    for line in block.split(b"\n"):
        field, _, value = line.partition(b":")
        if field == b"data":
            lines.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.decode("utf-8", "replace").strip()
    return Event(_value(b"\n".join(lines)), name or None) if lines else None


def _ndjson(data: bytes) -> Iterator[Event]:
    *whole, cut = data.split(b"\n")
    for line in whole:
        if line.strip():
            yield Event(_value(line))
    last = _value(cut) if cut.strip() else ""
    if not isinstance(last, str):
        yield Event(last)


def _array(data: bytes) -> Iterator[Event]:
    """The elements of one JSON array, as they come to who reads it while it grows."""
    try:
        whole = elements(data.removeprefix(_BOM))
    except (ValueError, RecursionError):
        yield from _cut_array(data.decode("utf-8-sig", "replace"))
    else:
        for element in whole:
            yield Event(_value(element))


def _cut_array(text: str) -> Iterator[Event]:
    at = text.index("[") + 1
    while space := _BETWEEN_ELEMENTS.match(text, at):
        try:
            value, at = _scan(text, space.end())
        except (ValueError, RecursionError):
            return
        yield Event(value)


def _value(data: bytes) -> Json:
    try:
        return loads(data)
    except (ValueError, RecursionError):
        return data.decode("utf-8", "replace")


_scan = JSONDecoder().raw_decode
_PRELUDE: Final = struct.Struct(">III")
_CRC_BYTES: Final = 4
_FRAME_LIMIT: Final = 64 * 1024 * 1024
_HEADER_BYTES: Final = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Bytes of a header's value by its type; types 6 (bytes) and 7 (string) begin with their length."""


def _eventstream(data: bytes) -> Iterator[Event]:
    """AWS event-stream. Checksums are not looked at: the client does, and TCP has."""
    at = 0
    while at + _PRELUDE.size <= len(data):
        total, headers_length, _ = _PRELUDE.unpack_from(data, at)
        start = at + _PRELUDE.size
        end = at + total
        sane = _PRELUDE.size + headers_length + _CRC_BYTES <= total <= _FRAME_LIMIT
        if not sane or end > len(data):
            return
        headers = dict(_frame_headers(data[start : start + headers_length]))
        yield _frame_event(headers, data[start + headers_length : end - _CRC_BYTES])
        at = end


def _frame_headers(block: bytes) -> Iterator[tuple[str, str]]:
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


def _frame_event(headers: dict[str, str], payload: bytes) -> Event:
    data = _value(payload)
    error = headers.get(":exception-type") or headers.get(":error-code")
    if error:
        message = mapping(data).get("message") or headers.get(":error-message") or data
        return Event({"type": "error", "error": {"type": error, "message": message}}, error)
    name = headers.get(":event-type")
    inner = mapping(data).get("bytes")
    if name == "chunk" and isinstance(inner, str):
        data = _value(_maybe_unbased(inner))
        name = string(mapping(data).get("type"))
    return Event(data, name)


def _maybe_unbased(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except (ValueError, binascii.Error):
        return text.encode("utf-8", "replace")


_FRAMINGS: Final[dict[str, _Framing]] = {
    "text/event-stream": _sse,
    "application/x-ndjson": _ndjson,
    "application/ndjson": _ndjson,
    "application/jsonl": _ndjson,
    "application/vnd.amazon.eventstream": _eventstream,
}
    "application/stream+json": _ndjson,  # Cohere's
