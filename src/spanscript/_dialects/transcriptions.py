"""The transcriptions API: `POST …/audio/transcriptions` and `/translations`, audio in, text out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from spanscript._dialects._bodies import Extras, error_of, kind_of, reply_of
from spanscript._dialects._parts import parts_of, prompt
from spanscript._dialects._splitting import Splitter
from spanscript._exchange import Choice, Dialect, Event, Json, Message, Reply
from spanscript._shapes import dig, mapping, string
from spanscript._wire import terminal

_ENDS: Final = ("transcript.text.done", "transcription.done", "error")
_SECONDS: Final = (("usage", "seconds"), ("usage", "prompt_audio_seconds"), ("duration",))
_EXTRAS: Final[Extras] = {"language": ("language",), "audio_seconds": ("audio_seconds",)}


def accepts(body: Mapping[str, bytes]) -> bool:
    """Whether the body has audio: a form's file, or the address of one."""
    return b'"bytes"' in body.get("file", b"") or any(
        body.get(key, b"").startswith(b'"') for key in ("file", "file_url", "file_id", "url")
    )


def raw(data: bytes, content_type: str) -> Json:
    """What stands for an answer in plain text, or as subtitles."""
    del content_type
    return {"text": data.decode("utf-8", "replace")}


def decode(body: Json) -> Reply:
    """The reply of a whole answer."""
    fields = mapping(body)
    parts = parts_of(string(fields.get("text")), {})
    seconds = next((found for path in _SECONDS if (found := dig(fields, path)) is not None), None)
    choices = (Choice(Message("assistant", parts)),) if "text" in fields else ()
    return reply_of({**fields, "audio_seconds": seconds}, choices, _EXTRAS)


def ends(event: Event) -> bool:
    """Whether nothing follows an event."""
    return kind_of(event) in _ENDS


def adds(event: Event) -> bool:
    """Whether an event goes on with the text; the last one says it again."""
    return (kind_of(event) or "").endswith(".text.delta")


def assemble(events: Iterable[Event]) -> Json:
    """The body of the whole answer; see `Dialect.assemble`. The last event carries it whole."""
    body: dict[str, Any] = {}
    for event in events:
        kind, data = kind_of(event) or "", mapping(event.data)
        if kind == "error":
            body["error"] = error_of(event)
        elif adds(event):
            piece = string(data.get("delta")) or string(data.get("text")) or ""
            body["text"] = (string(body.get("text")) or "") + piece
        elif kind in _ENDS:
            body |= {key: value for key, value in data.items() if key != "type"}
    return body


TRANSCRIPTIONS: Final = Dialect(
    name="transcriptions",
    operation="transcription",  # ours: the GenAI conventions, as read in November 2026, name none
    list_key="prompt",
    accepts=accepts,
    split=Splitter("prompt"),
    params={
        "model": (("model",),),
        "temperature": (("temperature",),),
        "stream": (("stream",),),
    },
    decode=decode,
    assemble=assemble,
    message=prompt,
    terminal=terminal(ends, (b".done", b"error")),
    ends=ends,
    adds=adds,
    raw=raw,
)
