"""What Mistral's wire APIs have of their own: fill in the middle, flat errors, usage in every stream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from spanscript._exchange import Event, Json
from spanscript.demo.provider import chat_completions, completions
from spanscript.demo.provider.policy import Answer, Ask
from spanscript.demo.provider.route import Api, Manner, sse

_TYPES = {400: "invalid_request_error", 401: "unauthorized", 422: "invalid_request_message_order"}


def whole(answer: Answer, asked: Json) -> Json:
    """The body of the whole answer, as of a chat."""
    body = chat_completions.whole(answer, asked)
    choices = [{**choice, "message": _message(choice["message"])} for choice in body["choices"]]
    return {"id": body["id"], "object": body["object"], "created": body["created"], "model": answer.model} | {
        "choices": choices,
        "usage": _usage(answer),
    }


def events(answer: Answer, asked: Json) -> Iterator[Event]:
    """The events of the streamed answer; the last chunk has the usage."""
    for event in chat_completions.events(answer, asked):
        if event.data != "[DONE]":
            event.data.pop("service_tier"), event.data.pop("system_fingerprint")
            if any(choice["finish_reason"] for choice in event.data["choices"]):
                event.data["usage"] = _usage(answer)
        yield event


def _read_agents(body: Json) -> Ask:
    """An agent has its model; it is not in the body."""
    return chat_completions.read({"model": "mistral-medium-latest", **body})


def _message(message: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": message["content"], "tool_calls": message.get("tool_calls")}


def _usage(answer: Answer) -> dict[str, Any]:
    return {
        "prompt_tokens": answer.input_tokens,
        "completion_tokens": answer.output_tokens,
        "total_tokens": answer.input_tokens + answer.output_tokens,
        "num_cached_tokens": answer.cached_tokens,
    }


def _error(status: int, message: str) -> Json:
    kind = _TYPES.get(status, "rate_limited" if status == 429 else "internal_server_error")
    return {"object": "error", "message": message, "type": kind, "param": None, "code": None}


MISTRAL = Manner(
    error=_error,
    headers={"content-type": "application/json", "x-request-id": "req_{serial:06d}"},
    error_event=lambda message, _failed: Event({"error": _error(500, message)}),
    encode=sse,
)
FIM = Api("fim_completions", completions.read, whole, events)
AGENTS = Api("chat_completions", _read_agents, whole, events)
