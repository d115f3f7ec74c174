"""Cohere's chat API: `POST /v2/chat`. Its messages are those of `chat_completions`, with a plan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from spanscript._dialects import chat_completions
from spanscript._dialects._bodies import error_of, kind_of
from spanscript._dialects._chunks import fold
from spanscript._dialects._cohere import PARAMS, reply_counted_at
from spanscript._dialects._splitting import Splitter
from spanscript._exchange import ArgumentPiece, Choice, Dialect, Event, Json, Message, Reply
from spanscript._shapes import dig, integer, mapping, string
from spanscript._wire import terminal


def accepts(body: Mapping[str, bytes]) -> bool:
    """Whether the body names a model and has messages with roles."""
    messages = body.get("messages", b"")
    return messages.startswith(b"[") and b'"role"' in messages and "model" in body


def decode(body: Json) -> Reply:
    """The reply of a whole answer."""
    fields = mapping(body)
    finish = string(fields.get("finish_reason"))
    said = mapping(fields.get("message"))
    choices = [Choice(message({"role": "assistant", **said}), finish)] if said or finish else []
    return reply_counted_at("usage", body, choices)


def message(value: Json) -> Message:
    """A message of the list, or the answer itself."""
    fields = dict(mapping(value)) or {"content": value}
    plan = string(fields.pop("tool_plan", None))
    return chat_completions.message({**fields, "reasoning": plan} if plan else fields)


def ends(event: Event) -> bool:
    """Whether nothing that means something follows an event."""
    return kind_of(event) in ("message-end", "error")


def assemble(events: Iterable[Event]) -> Json:
    """The body of the whole answer; see `Dialect.assemble`."""
    body: dict[str, Any] = {}
    said: dict[str, Any] = {}
    pieces: dict[str, dict[int, Json]] = {}
    for event in events:
        data = mapping(event.data)
        delta = mapping(data.get("delta"))
        if kind_of(event) == "error":
            body["error"] = error_of(event)
        body |= {key: value for key, value in delta.items() if key != "message"}
        body.setdefault("id", data.get("id"))
        for key, value in mapping(delta.get("message")).items():
            if isinstance(value, dict):
                slots, at = pieces.setdefault(key, {}), integer(data.get("index")) or 0
                slots[at] = fold("", slots.get(at) or _begun(key, value), value)
            else:
                said[key] = fold(key, said.get(key), value)
    said |= {key: [slots[at] for at in sorted(slots)] for key, slots in pieces.items()}
    return {**body, "message": said}


def arguments(event: Event) -> Iterator[ArgumentPiece]:
    """The piece of a tool call in an event; see `Dialect.arguments`."""
    data = mapping(event.data)
    call = mapping(dig(data, ("delta", "message", "tool_calls")))
    function = mapping(call.get("function"))
    if function:
        text, name = (string(function.get(key)) for key in ("arguments", "name"))
        yield ArgumentPiece(text or "", integer(data.get("index")), string(call.get("id")), name)


def _begun(key: str, piece: dict[str, Any]) -> Json:
    """What stands where the start of it did not come: a block of content is named as its only key."""
    return {"type": next(iter(piece))} if key == "content" and len(piece) == 1 else None


COHERE_CHAT: Final = Dialect(
    name="cohere_chat",
    operation="chat",
    list_key="messages",
    accepts=accepts,
    split=Splitter("messages", leading=True),
    params=PARAMS,
    decode=decode,
    assemble=assemble,
    message=message,
    terminal=terminal(ends, (b"message-end", b"error")),
    ends=ends,
    arguments=arguments,
    provider="cohere",
)
