"""What a wire API of the loopback provider is: how requests are read, answers made, errors told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from spanscript._exchange import Event, Json
from spanscript.demo.provider.policy import Answer, Ask


@dataclass(frozen=True)
class Raw:
    """An answer that is no JSON, or that has headers of its own."""

    content_type: str
    data: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Api:
    """A wire API: how its requests are read and its answers made. `events` is `None`: no streaming."""

    name: str
    read: Callable[[Json], Ask]
    whole: Callable[[Answer, Json], Json | Raw]
    events: Callable[[Answer, Json], Iterator[Event]] | None


@dataclass(frozen=True)
class Manner:
    """
    What one provider does its own way.

    Attributes:
        error: Status and message → the error body.
        headers: Response headers; `{serial}` stands for the request's number.
        error_event: Message and whether it is a `failed` → the error event inside a stream.
        encode: Event → bytes of the stream.
        stream_type: The stream's content type.
        error_headers: Status → what the headers of an error have beside.
    """

    error: Callable[[int, str], Json]
    headers: Mapping[str, str]
    error_event: Callable[[str, bool], Event]
    encode: Callable[[Event], bytes]
    stream_type: str = "text/event-stream; charset=utf-8"
    error_headers: Callable[[int], Mapping[str, str]] = lambda _status: {}


@dataclass(frozen=True)
class Route:
    """
    A path of an LLM request.

    `streamed`: whether by the path alone; `None`: the body says it. `unless_told`: what holds if it does not.
    """

    api: Api
    manner: Manner
    model: str | None = None
    streamed: bool | None = None
    unless_told: bool = False

    def asks_stream(self, body: Json) -> bool:
        """Whether a stream is asked for."""
        said = body.get("stream", self.unless_told) or body.get("stream_format") == "sse"
        asked = bool(said) if self.streamed is None else self.streamed
        return asked and self.api.events is not None


def sse(event: Event) -> bytes:
    """An event as server-sent events have it."""
    name = f"event: {event.name}\n" if event.name else ""
    data = event.data if isinstance(event.data, str) else compact(event.data)
    return f"{name}data: {data}\n\n".encode("utf-8", "surrogatepass")


def ndjson(event: Event) -> bytes:
    """An event as a line of JSON."""
    return compact(event.data).encode("utf-8", "surrogatepass") + b"\n"


def compact(value: Json) -> str:
    """JSON without spaces."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
