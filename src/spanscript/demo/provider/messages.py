"""The wire API `messages`, as the loopback provider speaks it, also for Bedrock and Vertex AI."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from spanscript._exchange import Event, Json
from spanscript.demo.provider import policy
from spanscript.demo.provider.chat_completions import text_of, tool_choice, trailing
from spanscript.demo.provider.policy import Answer, Ask, Tool

_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}


def read(body: Json) -> Ask:
    """
    What the body asks.

    Raises:
        KeyError: `model` or `messages` is missing.
    """
    messages = body["messages"]
    last = messages[-1].get("content") if messages else ""
    blocks = last if isinstance(last, list) else []
    results = trailing(blocks, lambda block: block.get("type") == "tool_result")
    choice = body.get("tool_choice") or {}
    wanted = body.get("output_format") or (body.get("output_config") or {}).get("format") or {}
    system = text_of(body.get("system"))
    return Ask(
        model=body["model"],
        prompt=system + json.dumps([messages, body.get("tools")], ensure_ascii=False),
        text="; ".join(text_of(r.get("content")) for r in results) or text_of(last),
        after_tool=bool(results),
        tools=tuple(_tools(body)),
        tool_choice={"any": "required"}.get(tool_choice(choice), tool_choice(choice or "auto")),
        parallel=not choice.get("disable_parallel_tool_use", False),
        preamble="Let me look that up.",
        schema=wanted.get("schema"),
        max_tokens=body.get("max_tokens"),
        thinking=(body.get("thinking") or {}).get("type", "disabled") != "disabled",
        cached=system if "cache_control" in json.dumps(body) else "",
    )


def _tools(body: Json) -> Iterator[Tool]:
    for tool in body.get("tools") or []:
        if "input_schema" in tool:
            yield Tool(tool["name"], tool["input_schema"])


def usage(answer: Answer) -> dict[str, Any]:
    """The usage object; `input_tokens` leaves the cached ones out."""
    return {
        "input_tokens": answer.input_tokens - answer.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": answer.cached_tokens,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": answer.output_tokens,
        "service_tier": "standard",
    }


def _blocks(answer: Answer) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if answer.thinking:
        signature = f"c2lnbmF0dXJl{answer.serial:04d}"
        blocks.append({"type": "thinking", "thinking": answer.thinking, "signature": signature})
    if answer.text or answer.refusal:
        blocks.append({"type": "text", "text": answer.text or answer.refusal})
    for index, (name, arguments) in enumerate(answer.calls):
        identity = f"toolu_{answer.serial:06d}{index}"
        blocks.append({"type": "tool_use", "id": identity, "name": name, "input": arguments})
    return blocks


def _message(answer: Answer) -> dict[str, Any]:
    return {
        "model": answer.model,
        "id": f"msg_{answer.serial:06d}",
        "type": "message",
        "role": "assistant",
    }


def _stop_reason(answer: Answer) -> str:
    return "refusal" if answer.refusal else _STOP_REASONS.get(answer.finish, answer.finish)


def whole(answer: Answer, _asked: Json) -> Json:
    """The body of the whole answer."""
    return _message(answer) | {
        "content": _blocks(answer),
        "stop_reason": _stop_reason(answer),
        "stop_sequence": None,
        "usage": usage(answer),
    }


def _event(name: str, **data: Any) -> Event:
    return Event({"type": name, **data}, name)


def events(answer: Answer, _asked: Json) -> Iterator[Event]:
    """The events of the streamed answer."""
    begun: dict[str, Json] = {"content": [], "stop_reason": None, "stop_sequence": None}
    counted = usage(answer) | {"output_tokens": 1}
    yield _event("message_start", message=_message(answer) | begun | {"usage": counted})
    for index, block in enumerate(_blocks(answer)):
        yield _event("content_block_start", index=index, content_block=block | _EMPTY[block["type"]])
        if index == 0:
            yield _event("ping")
        for delta in _deltas(block):
            yield _event("content_block_delta", index=index, delta=delta)
        yield _event("content_block_stop", index=index)
    final = {key: usage(answer)[key] for key in _FINAL_USAGE}
    stop = {"stop_reason": _stop_reason(answer), "stop_sequence": None}
    yield _event("message_delta", delta=stop, usage=final)
    yield _event("message_stop")


_FINAL_USAGE = (
    "input_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "output_tokens",
)
_EMPTY: Mapping[str, dict[str, Any]] = {
    "thinking": {"thinking": "", "signature": ""},
    "text": {"text": ""},
    "tool_use": {"input": {}},
}


def _deltas(block: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if block["type"] == "thinking":
        for word in policy.words(block["thinking"]):
            yield {"type": "thinking_delta", "thinking": word}
        yield {"type": "signature_delta", "signature": block["signature"]}
    elif block["type"] == "text":
        for word in policy.words(block["text"]):
            yield {"type": "text_delta", "text": word}
    else:
        encoded = json.dumps(block["input"], ensure_ascii=False)
        for piece in ["", *policy.slices(encoded)]:
            yield {"type": "input_json_delta", "partial_json": piece}
