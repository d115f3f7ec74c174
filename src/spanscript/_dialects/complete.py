"""The legacy completion API of Anthropic: `POST …/complete`, a prompt in, text out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from spanscript._dialects._bodies import error_of, kind_of, reply_of
from spanscript._dialects._parts import parts_of, prompt
from spanscript._dialects._splitting import Splitter
from spanscript._exchange import Choice, Dialect, Event, Json, Message, Reply
from spanscript._shapes import mapping, string
from spanscript._wire import terminal


def accepts(body: Mapping[str, bytes]) -> bool:
    """Whether the body has a prompt and the limit that this API asks for."""
    return body.get("prompt", b"").startswith(b'"') and "max_tokens_to_sample" in body


def decode(body: Json) -> Reply:
    """The reply of a whole answer."""
    fields = mapping(body)
    text, finish = string(fields.get("completion")), string(fields.get("stop_reason"))
    choices = (Choice(Message("assistant", parts_of(text, {})), finish),) if text or finish else ()
    return reply_of(body, choices, {})


def ends(event: Event) -> bool:
    """Whether nothing follows an event."""
    return kind_of(event) == "error" or bool(mapping(event.data).get("stop_reason"))


def assemble(events: Iterable[Event]) -> Json:
    """The body of the whole answer; see `Dialect.assemble`."""
    body: dict[str, Any] = {}
    for event in events:
        kind, data = kind_of(event), mapping(event.data)
        if kind == "error":
            body["error"] = error_of(event)
        elif kind != "ping":
            said = (string(body.get("completion")) or "") + (string(data.get("completion")) or "")
            body |= {**data, "completion": said}
    return body


COMPLETE: Final = Dialect(
    name="complete",
    operation="text_completion",
    list_key="prompt",
    accepts=accepts,
    split=Splitter("prompt"),
    params={
        "model": (("model",),),
        "max_tokens": (("max_tokens_to_sample",),),
        "temperature": (("temperature",),),
        "top_p": (("top_p",),),
        "top_k": (("top_k",),),
        "stop_sequences": (("stop_sequences",),),
        "stream": (("stream",),),
    },
    decode=decode,
    assemble=assemble,
    message=prompt,
    terminal=terminal(ends, (b'"stop_reason"', b"error")),
    ends=ends,
)
