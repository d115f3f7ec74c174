"""
From bytes to JSON: the framing of streams, and the reading of a whole answer.

Pure, and never raises on bad bytes: what can be read is given. A stream's framing follows from its
content type by one table; a new framing is one function from bytes to events. An array of objects is one
too (Google's streams are unless SSE is asked for), where the dialect streams.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from json.decoder import JSONDecoder
from typing import Final, TypeAlias

import msgspec

from spanscript._eventstream import CONTENT_TYPE, METRICS, FrameMarker
from spanscript._eventstream import events as frames
from spanscript._exchange import Dialect, Event, Failure, Json, Reply
from spanscript._json import dumps, elements, loads
from spanscript._shapes import integer, mapping, sequence, string

Framing = Callable[[bytes], Iterator[Event]]
"""From the bytes of a stream, as far as it came, to its events."""

SEEN: Final = 64
"""Bytes from the beginning that tell a framing."""

MALFORMED_STREAM: Final = "malformed_stream"
"""The failure of a stream without its end that has an event which is no JSON: clients stop there."""

COUNT_HEADERS: Final[Mapping[str, str]] = {
    "input_tokens": "x-amzn-bedrock-input-token-count",
    "output_tokens": "x-amzn-bedrock-output-token-count",
}
"""Field of `Usage` → header of Bedrock's, which leaves out what was cached; bodies that cache tell it all."""
_METRICS: Final[Mapping[str, str]] = {"input_tokens": "inputTokenCount", "output_tokens": "outputTokenCount"}

ERROR_TYPE: Final = "x-amzn-errortype"
"""The header in which AWS names an error; what follows a colon is no part of the name."""

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
    framing = framing_of(content_type, data)
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
    framing = framing_of(content_type, data)
    if framing is array and dialect.ends is None:
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
    if framing and seen.metrics:
        reply = _counted(reply, {name: integer(seen.metrics.get(key)) for name, key in _METRICS.items()})
    failure = reply.failure or (Failure(MALFORMED_STREAM, "an event is no JSON") if malformed else None)
    if http_status is not None and http_status >= 400:
        failure = _failure_of_status(body, data, str(http_status))
    return msgspec.structs.replace(reply, failure=failure, complete=complete)


def with_headers(reply: Reply, headers: Mapping[str, str]) -> Reply:
    """Complete a reply by what only the answer's headers tell: AWS's token counts and name of an error."""
    counts = {name: headers.get(header, "") for name, header in COUNT_HEADERS.items()}
    reply = _counted(reply, {name: int(text) if text.isdecimal() else None for name, text in counts.items()})
    kind, failure = headers.get(ERROR_TYPE, "").partition(":")[0], reply.failure
    if failure is None or not kind or not failure.type.isdecimal():
        return reply
    return msgspec.structs.replace(reply, failure=Failure(kind, failure.message))


def _counted(reply: Reply, told: Mapping[str, int | None]) -> Reply:
    """With counts in the place of those that its body does not tell."""
    missing = {name: count for name, count in told.items() if getattr(reply.usage, name) is None}
    if not any(count is not None for count in missing.values()):
        return reply
    return msgspec.structs.replace(reply, usage=msgspec.structs.replace(reply.usage, **missing))


class _Seen:
    """
    The events of a stream, once, noting what they were: to keep them all would take longer than to read them.

    Attributes:
        ended: Whether the last one that means something has come.
        unreadable: Whether the data of one was no JSON.
        metrics: What Bedrock itself told.
    """

    def __init__(self, events: Iterator[Event], ends: Callable[[Event], bool] | None) -> None:
        self._events = events
        self._ends = ends
        self.ended = False
        self.unreadable = False
        self.metrics: dict[str, Json] = {}

    def __iter__(self) -> Iterator[Event]:
        for event in self._events:
            if event.name == METRICS:
                self.ended = True
                self.metrics = mapping(event.data)
                continue
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
                framing = ndjson if lines.lstrip().startswith(b"{") else sse
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


AnyMarker: TypeAlias = Marker | FrameMarker


def marker(dialect: Dialect, content_type: str) -> AnyMarker | None:
    """What watches a stream of this dialect and type for its end; `None` if it has no marker."""
    if framing_of(content_type, b"") is frames:
        return FrameMarker(dialect.ends) if dialect.ends else None
    return Marker(dialect.terminal) if dialect.terminal else None


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
    """Whether an answer neither says that it is JSON nor looks like it, and is no error."""
    if (http_status or 200) >= 400 or "json" in content_type.lower():
        return False
    return not data[:64].lstrip().startswith(b"{")


def framing_of(content_type: str, data: bytes) -> Framing | None:
    """
    The framing of an answer, `None` if it is no stream.

    By content type, but not against plain appearance: gateways mislabel error bodies and streams.
    """
    framing = _FRAMINGS.get(content_type.partition(";")[0].strip().lower())
    start = data[:SEEN].removeprefix(_BOM).lstrip()
    if framing in (sse, None) and _ARRAY_OF_OBJECTS.match(start):
        return array
    if framing is sse and start[:1] in (b"{", b"["):
        return None
    if framing is None and start.startswith((b"data:", b"event:", b":")):
        return sse
    return framing


def sse(data: bytes) -> Iterator[Event]:
    """The events between blank lines; see `events`."""
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


def ndjson(data: bytes) -> Iterator[Event]:
    """The events of lines of JSON; see `events`."""
    *whole, cut = data.split(b"\n")
    for line in whole:
        if line.strip():
            yield Event(_value(line))
    last = _value(cut) if cut.strip() else ""
    if not isinstance(last, str):
        yield Event(last)


def array(data: bytes) -> Iterator[Event]:
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

_FRAMINGS: Final[dict[str, Framing]] = {
    "text/event-stream": sse,
    "application/x-ndjson": ndjson,
    "application/ndjson": ndjson,
    "application/jsonl": ndjson,
    "application/stream+json": ndjson,  # Cohere's
    CONTENT_TYPE: frames,
}
