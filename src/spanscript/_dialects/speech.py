"""The speech API: `POST …/audio/speech`, text in, audio out: as bytes, in JSON or as a stream of events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from spanscript._dialects._bodies import error_of, kind_of, reply_of
from spanscript._dialects._media import decoded_bytes, total
from spanscript._dialects._parts import prompt
from spanscript._dialects._splitting import Splitter
from spanscript._exchange import Choice, Dialect, Event, Json, Media, Message, Reply
from spanscript._shapes import integer, mapping, string
from spanscript._wire import is_done, terminal

_AUDIO: Final = ("audio_data", "audio", "delta")
"""Where audio stands in base64: Mistral's name, OpenAI's, Together's."""
_EXTRAS: Final = {"bytes": ("bytes",), "content_type": ("content_type",)}


def accepts(body: Mapping[str, bytes]) -> bool:
    """Whether the body has a text to be said."""
    return body.get("input", b"").startswith(b'"')


def raw(data: bytes, content_type: str) -> Json:
    """What stands for audio that is sent as it is: how much, and what kind."""
    return {"bytes": len(data), "content_type": content_type.partition(";")[0].strip() or None}


def decode(body: Json) -> Reply:
    """The reply of a whole answer: one clip, without its bytes."""
    fields = mapping(body)
    size = integer(fields.get("bytes"))
    if size is None:
        size = _bytes(fields)
    kind = string(fields.get("content_type"))
    clip = () if size is None else (Choice(Message("assistant", (Media("audio", mime_type=kind),))),)
    return reply_of({**fields, "bytes": size, "content_type": kind}, clip, _EXTRAS)


def message(value: Json) -> Message:
    """The text to be said, or how it is to be said (the system prompt)."""
    is_system = isinstance(value, dict) and value.get("role") == "system"
    return Message("system", prompt(value.get("content")).parts) if is_system else prompt(value)


def ends(event: Event) -> bool:
    """Whether nothing follows an event."""
    return is_done(event) or kind_of(event) in ("speech.audio.done", "error")


def assemble(events: Iterable[Event]) -> Json:
    """The body of the whole answer; see `Dialect.assemble`."""
    body: dict[str, Any] = {}
    sizes: list[int | None] = []
    for event in events:
        data = mapping(event.data)
        if kind_of(event) == "error":
            body["error"] = error_of(event)
            continue
        sizes.append(_bytes(data))
        body |= {key: data[key] for key in ("usage", "model") if data.get(key)}
    size = total(sizes)
    return body if size is None else {**body, "bytes": size}


def _bytes(fields: Mapping[str, Json]) -> int | None:
    return total(decoded_bytes(fields.get(key)) for key in _AUDIO)


SPEECH: Final = Dialect(
    name="speech",
    operation="speech_generation",  # ours: the GenAI conventions, as read in November 2026, name none
    list_key="input",
    accepts=accepts,
    split=Splitter("input", system_key="instructions"),
    params={
        "model": (("model",),),
        "stream": (("stream",), ("stream_format",)),
    },
    decode=decode,
    assemble=assemble,
    message=message,
    terminal=terminal(ends, (b"speech.audio.done", b"[DONE]", b"error")),
    ends=ends,
    raw=raw,
)
