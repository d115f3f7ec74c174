"""The wire API `responses`, as the loopback provider speaks it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from typing import Any

from spanscript._exchange import Event, Json
from spanscript.demo.provider import policy
from spanscript.demo.provider.chat_completions import (
    EPOCH,
    call_id,
    text_of,
    tool_choice,
    trailing,
)
from spanscript.demo.provider.policy import Answer, Ask, Tool


def read(body: Json) -> Ask:
    """
    What the body asks.

    Raises:
        KeyError: `model` is missing.
    """
    given = body.get("input") or ""
    items = given if isinstance(given, list) else [{"role": "user", "content": given}]
    results = trailing(items, lambda item: item.get("type") == "function_call_output")
    texts = [text_of(i.get("output")) for i in results] or [text_of(items[-1].get("content"))]
    tools = [t for t in body.get("tools") or [] if t.get("type") == "function"]
    form = (body.get("text") or {}).get("format") or {}
    return Ask(
        model=body["model"],
        prompt=json.dumps([body.get("instructions"), items, tools], ensure_ascii=False),
        text="; ".join(texts),
        after_tool=bool(results),
        tools=tuple(Tool(t["name"], t.get("parameters") or {}) for t in tools),
        tool_choice=tool_choice(body.get("tool_choice", "auto")),
        parallel=body.get("parallel_tool_calls", True),
        schema=form.get("schema"),
        max_tokens=body.get("max_output_tokens"),
        thinking=bool(body.get("reasoning")),
    )


_DEFAULTS: dict[str, Json] = {
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "safety_identifier": None,
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}, "verbosity": "medium"},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
"""What a response repeats of its request, and its value where the request leaves it out."""


def _response(answer: Answer, asked: Json, status: str) -> dict[str, Any]:
    response = {
        "id": f"resp_{answer.serial:06d}",
        "object": "response",
        "created_at": EPOCH + answer.serial,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": answer.model,
        "output": [],
        "reasoning": {"effort": None, "summary": None} | (asked.get("reasoning") or {}),
        "service_tier": "auto" if status == "in_progress" else "default",
        "usage": None,
    }
    return response | {key: asked.get(key, value) for key, value in _DEFAULTS.items()}


def _ended(answer: Answer, asked: Json) -> dict[str, Any]:
    cut = answer.finish == "length"
    return _response(answer, asked, "incomplete" if cut else "completed") | {
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "output": _items(answer),
        "usage": {
            "input_tokens": answer.input_tokens,
            "input_tokens_details": {"cached_tokens": answer.cached_tokens},
            "output_tokens": answer.output_tokens,
            "output_tokens_details": {"reasoning_tokens": answer.thinking_tokens},
            "total_tokens": answer.input_tokens + answer.output_tokens,
        },
    }


def _items(answer: Answer) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    if answer.thinking:
        summary = [{"type": "summary_text", "text": answer.thinking}]
        items.append({"id": f"rs_{answer.serial:06d}", "type": "reasoning", "summary": summary})
    if answer.text is not None or answer.refusal:
        message = {"id": f"msg_{answer.serial:06d}", "type": "message", "role": "assistant"}
        content = [_content(answer)]
        items.append(message | {"status": _item_status(answer), "content": content})
    for index, (name, arguments) in enumerate(answer.calls):
        items.append(
            {
                "id": f"fc_{answer.serial:06d}{index}",
                "type": "function_call",
                "status": "completed",
                "arguments": json.dumps(arguments, ensure_ascii=False),
                "call_id": call_id(answer, index),
                "name": name,
            }
        )
    return items


def _item_status(answer: Answer) -> str:
    return "incomplete" if answer.finish == "length" else "completed"


def _content(answer: Answer) -> dict[str, Any]:
    if answer.refusal:
        return {"type": "refusal", "refusal": answer.refusal}
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": answer.text}


def whole(answer: Answer, asked: Json) -> Json:
    """The body of the whole answer."""
    return _ended(answer, asked)


def events(answer: Answer, asked: Json) -> Iterator[Event]:
    """The events of the streamed answer, numbered."""
    numbers = count()
    for name, data in _unnumbered(answer, asked):
        kind = f"response.{name}"
        yield Event({"type": kind, "sequence_number": next(numbers), **data}, kind)


def _unnumbered(answer: Answer, asked: Json) -> Iterator[tuple[str, dict[str, Any]]]:
    begun = _response(answer, asked, "in_progress")
    yield "created", {"response": begun}
    yield "in_progress", {"response": begun}
    for index, item in enumerate(_items(answer)):
        empty = item | {key: type(item[key])() for key in _FILLED[item["type"]]}
        if "status" in item:
            empty["status"] = "in_progress"
        yield "output_item.added", {"output_index": index, "item": empty}
        for name, data in _STREAMED[item["type"]](item):
            yield name, {"item_id": item["id"], "output_index": index, **data}
        yield "output_item.done", {"output_index": index, "item": item}
    ended = _ended(answer, asked)
    yield ended["status"], {"response": ended}


_Named = Iterator[tuple[str, dict[str, Any]]]


def _streamed_reasoning(item: Json) -> _Named:
    place = {"summary_index": 0}
    part = item["summary"][0]
    yield "reasoning_summary_part.added", {**place, "part": part | {"text": ""}}
    for word in policy.words(part["text"]):
        yield "reasoning_summary_text.delta", {**place, "delta": word}
    yield "reasoning_summary_text.done", {**place, "text": part["text"]}
    yield "reasoning_summary_part.done", {**place, "part": part}


def _streamed_message(item: Json) -> _Named:
    place = {"content_index": 0}
    part = item["content"][0]
    key = "refusal" if part["type"] == "refusal" else "text"
    extra: dict[str, Json] = {} if key == "refusal" else {"logprobs": []}
    yield "content_part.added", {**place, "part": part | {key: ""}}
    for word in policy.words(part[key]):
        yield f"{part['type']}.delta", {**place, "delta": word, **extra}
    yield f"{part['type']}.done", {**place, key: part[key], **extra}
    yield "content_part.done", {**place, "part": part}


def _streamed_function_call(item: Json) -> _Named:
    for piece in policy.slices(item["arguments"]):
        yield "function_call_arguments.delta", {"delta": piece}
    yield "function_call_arguments.done", {"arguments": item["arguments"], "name": item["name"]}


_FILLED = {"reasoning": ("summary",), "message": ("content",), "function_call": ("arguments",)}
_STREAMED = {
    "reasoning": _streamed_reasoning,
    "message": _streamed_message,
    "function_call": _streamed_function_call,
}
