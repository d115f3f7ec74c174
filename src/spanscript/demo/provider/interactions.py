"""The wire API `interactions`, as the loopback provider speaks it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from spanscript._exchange import Event, Json
from spanscript.demo.provider import policy
from spanscript.demo.provider.chat_completions import call_id, text_of, trailing
from spanscript.demo.provider.google import GOOGLE, HEADERS
from spanscript.demo.provider.policy import Answer, Ask, Tool
from spanscript.demo.provider.route import Api, Manner, Route, sse

_DAY = "2026-01-01T00:00:00Z"


def read(body: Json) -> Ask:
    """
    What the body asks.

    Raises:
        KeyError: Neither model nor agent is named, or there is no input.
    """
    given = body["input"]
    steps = given if isinstance(given, list) else [{"type": "user_input", "content": given}]
    results = trailing(steps, lambda step: step.get("type") == "function_result")
    last = steps[-1] if steps else {}
    config = body.get("generation_config") or {}
    tools = [tool for tool in body.get("tools") or [] if tool.get("type") == "function"]
    return Ask(
        model=body["model"] if "model" in body else body["agent"],
        prompt=json.dumps([body.get("system_instruction"), steps, tools], ensure_ascii=False),
        text="; ".join(text_of(r["result"]) for r in results) or text_of(last.get("content", [last])),
        after_tool=bool(results),
        tools=tuple(Tool(tool["name"], tool.get("parameters") or {}) for tool in tools),
        max_tokens=config.get("max_output_tokens"),
        thinking=bool(config.get("thinking_level")),
    )


def _usage(answer: Answer) -> dict[str, Any]:
    said = answer.output_tokens - answer.thinking_tokens
    return {
        "total_tokens": answer.input_tokens + answer.output_tokens,
        "total_input_tokens": answer.input_tokens,
        "total_cached_tokens": answer.cached_tokens,
        "total_output_tokens": said,
        "total_tool_use_tokens": 0,
        "total_thought_tokens": answer.thinking_tokens,
    }


def _head(answer: Answer, status: str) -> dict[str, Any]:
    named = {"id": f"v1_{answer.serial:06d}", "model": answer.model, "object": "interaction"}
    return named | {"status": status, "role": "model", "created": _DAY, "updated": _DAY}


def _status(answer: Answer) -> str:
    if answer.calls:
        return "requires_action"
    return "incomplete" if answer.finish == "length" else "completed"


def _steps(answer: Answer) -> Iterator[dict[str, Any]]:
    if answer.thinking:
        summary = [{"type": "text", "text": answer.thinking}]
        yield {"type": "thought", "summary": summary, "signature": "c2lnbmF0dXJl"}
    if answer.text or answer.refusal:
        yield {"type": "model_output", "content": [{"type": "text", "text": answer.text or answer.refusal}]}
    for index, (name, arguments) in enumerate(answer.calls):
        identity = call_id(answer, index)
        yield {"type": "function_call", "id": identity, "name": name, "arguments": arguments}


def whole(answer: Answer, _asked: Json) -> Json:
    """The body of the whole answer."""
    return _head(answer, _status(answer)) | {"steps": list(_steps(answer)), "usage": _usage(answer)}


def _event(kind: str, **data: Any) -> Event:
    return Event({"event_type": kind, **data}, kind)


def events(answer: Answer, _asked: Json) -> Iterator[Event]:
    """The events of the streamed answer; the last one has no steps."""
    yield _event("interaction.created", interaction=_head(answer, "in_progress"))
    for index, step in enumerate(_steps(answer)):
        yield _event("step.start", index=index, step=_begun(step))
        for delta in _deltas(step):
            yield _event("step.delta", index=index, delta=delta)
        yield _event("step.stop", index=index)
    ended = _head(answer, _status(answer)) | {"usage": _usage(answer)}
    yield _event("interaction.completed", interaction=ended)
    yield Event("[DONE]", "done")


def _begun(step: dict[str, Any]) -> dict[str, Any]:
    kept = {key: step[key] for key in ("type", "id", "name") if key in step}
    return kept | ({"arguments": {}} if "arguments" in step else {})


def _deltas(step: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for block in step.get("summary", []):
        for word in policy.words(block["text"]):
            yield {"type": "thought_summary", "content": {"type": "text", "text": word}}
        yield {"type": "thought_signature", "signature": step["signature"]}
    for block in step.get("content", []):
        yield from ({"type": "text", "text": word} for word in policy.words(block["text"]))
    if "arguments" in step:
        for piece in policy.slices(json.dumps(step["arguments"], ensure_ascii=False)):
            yield {"type": "arguments_delta", "arguments": piece}


def _error_event(message: str, _failed: bool) -> Event:
    return _event("error", error={"code": "service_unavailable", "message": message})


MANNER = Manner(GOOGLE.error, HEADERS, _error_event, sse)
ROUTES = ((r"/interactions$", Route(Api("interactions", read, whole, events), MANNER)),)
