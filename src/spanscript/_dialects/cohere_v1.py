"""Cohere's older APIs: `POST /v1/chat`, a message and its history, and `POST /v1/generate`, a prompt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from spanscript._dialects._chunks import fold
from spanscript._dialects._cohere import PARAMS, reply_counted_at
from spanscript._dialects._parts import leftovers, parts_of, prompt
from spanscript._dialects._splitting import FirstOf, Splitter
from spanscript._exchange import (
    Choice,
    Dialect,
    Event,
    Json,
    Message,
    Other,
    Part,
    Reply,
    ToolCall,
    ToolResult,
)
from spanscript._shapes import dig, integer, mapping, sequence, string
from spanscript._wire import terminal

_OWN_KEYS: Final = ("model", "stream", "chat_history", "preamble", "connectors", "tool_results")
_ROLES: Final[Mapping[str, str]] = {
    "USER": "user",
    "CHATBOT": "assistant",
    "SYSTEM": "system",
    "TOOL": "tool",
}
_CALLS_AGAIN: Final = "tool-calls-generation"
"""The event with all that the chunks before it said in pieces."""
_CITED: Final = ("citations", "documents", "search_queries", "search_results")


def _accepts(key: str) -> Callable[[Mapping[str, bytes]], bool]:
    def accepts(body: Mapping[str, bytes]) -> bool:
        """Whether there is a text at *key*, and what only a request for a model's answer has."""
        return body.get(key, b"").startswith(b'"') and any(own in body for own in _OWN_KEYS)

    return accepts


def decode_chat(body: Json) -> Reply:
    """The reply of a whole answer of `/v1/chat`."""
    fields = mapping(body)
    finish = string(fields.get("finish_reason"))
    parts = (*parts_of(fields.get("text"), {}), *_calls(fields), *leftovers(fields, _CITED))
    choices = [Choice(Message("assistant", parts), finish)] if parts or finish else []
    named = {**fields, "id": fields.get("response_id") or fields.get("generation_id")}
    return reply_counted_at("meta", named, choices)


def decode_generate(body: Json) -> Reply:
    """The reply of a whole answer of `/v1/generate`."""
    return reply_counted_at("meta", body, _generations(mapping(body)))


def _generations(body: dict[str, Any]) -> Iterator[Choice]:
    for position, generation in enumerate(map(mapping, sequence(body.get("generations")))):
        index = integer(generation.get("index"))
        yield Choice(
            Message("assistant", parts_of(generation.get("text"), {})),
            finish_reason=string(generation.get("finish_reason")) or string(body.get("finish_reason")),
            index=position if index is None else index,
        )


def message(value: Json) -> Message:
    """The message, an element of its history, or the preamble."""
    fields = {"message": value} if isinstance(value, str) else mapping(value)
    role = string(fields.get("role")) or "user"
    text = fields.get("message", fields.get("content"))
    results = [part for result in sequence(fields.get("tool_results")) for part in _result(result)]
    return Message(_ROLES.get(role, role), (*parts_of(text, {}), *_calls(fields), *results))


def _calls(fields: dict[str, Any]) -> Iterator[Part]:
    for call in sequence(fields.get("tool_calls")):
        name = string(mapping(call).get("name"))
        yield ToolCall(None, name, call.get("parameters")) if name else Other(call)


def _result(result: Json) -> Iterator[Part]:
    name = string(dig(result, ("call", "name")))
    yield ToolResult(None, mapping(result).get("outputs"), name) if name else Other(result)


def ends(event: Event) -> bool:
    """Whether nothing that means something follows an event."""
    data = mapping(event.data)
    return data.get("event_type") in ("stream-end", "stream-error") or bool(data.get("error"))


def adds(event: Event) -> bool:
    """Whether an event goes on with the answer; its last, and the one after pieces of calls, say it again."""
    return not ends(event) and mapping(event.data).get("event_type") != _CALLS_AGAIN


def assemble_chat(events: Iterable[Event]) -> Json:
    """The body of the whole answer; its last event carries it. See `Dialect.assemble`."""
    body: dict[str, Any] = {}
    for event in events:
        data = mapping(event.data)
        if data.get("event_type") == _CALLS_AGAIN:
            body |= _told(data)
        elif not _fold_end(body, data):
            for key, value in _told(data).items():
                body[key] = fold(key, body.get(key), value)
    return body


def assemble_generate(events: Iterable[Event]) -> Json:
    """Likewise, of several alternatives."""
    body: dict[str, Any] = {}
    begun: dict[int, str] = {}
    for event in events:
        data = mapping(event.data)
        if not _fold_end(body, data):
            index = integer(data.get("index")) or 0
            begun[index] = begun.get(index, "") + (string(data.get("text")) or "")
    generations = [{"index": index, "text": begun[index]} for index in sorted(begun)]
    return {"generations": generations, **body}


def _fold_end(body: dict[str, Any], data: dict[str, Any]) -> bool:
    """Take what the last event tells, if it is one."""
    if not ends(Event(data)):
        return False
    told = dict(mapping(data.get("response")))
    failure = data.get("error") or data.get("err")
    told |= {"error": failure, "finish_reason": data.get("finish_reason")}
    body |= {key: value for key, value in told.items() if value}
    return True


def _told(data: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key not in ("event_type", "is_finished")}


_TERMINAL: Final = terminal(ends, (b"stream-e", b'"error"'))

COHERE_CHAT_V1: Final = Dialect(
    name="cohere_chat_v1",
    operation="chat",
    list_key="chat_history",
    accepts=_accepts("message"),
    # With a history, the message stays in the body.
    split=FirstOf("chat_history", "message", system_key="preamble"),
    params=PARAMS,
    decode=decode_chat,
    assemble=assemble_chat,
    message=message,
    terminal=_TERMINAL,
    ends=ends,
    adds=adds,
    provider="cohere",
)

COHERE_GENERATE: Final = Dialect(
    name="cohere_generate",
    operation="text_completion",
    list_key="prompt",
    accepts=_accepts("prompt"),
    split=Splitter("prompt"),
    params={**PARAMS, "choice_count": (("num_generations",),)},
    decode=decode_generate,
    assemble=assemble_generate,
    message=prompt,
    terminal=_TERMINAL,
    ends=ends,
    adds=adds,
    provider="cohere",
)
