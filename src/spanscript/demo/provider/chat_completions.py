"""The wire API `chat_completions`, as the loopback provider speaks it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from spanscript._exchange import Event, Json
from spanscript.demo.provider import policy
from spanscript.demo.provider.policy import Answer, Ask, Tool

EPOCH = 1_760_000_000
"""`created` of request 0; later ones count seconds, so that answers are the same in every run."""


def text_of(content: Json) -> str:
    """The text in a message's content: a string, or a list of parts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return " ".join(str(p.get("text") or "") for p in parts if isinstance(p, dict)).strip()


def read(body: Json) -> Ask:
    """
    What the body asks.

    Raises:
        KeyError: `model` or `messages` is missing.
    """
    messages = body["messages"]
    tools = [t.get(t["type"], {}) for t in body.get("tools") or []]
    results = trailing(messages, lambda m: m.get("role") == "tool")
    form = body.get("response_format") or {}
    return Ask(
        model=body["model"],
        prompt=json.dumps([messages, tools], ensure_ascii=False),
        text="; ".join(text_of(m.get("content")) for m in results or messages[-1:]),
        after_tool=bool(results),
        tools=tuple(Tool(t.get("name", ""), t.get("parameters", {})) for t in tools),
        tool_choice=tool_choice(body.get("tool_choice", "auto")),
        parallel=body.get("parallel_tool_calls", True),
        schema=form["json_schema"].get("schema") if "json_schema" in form else None,
        max_tokens=body.get("max_completion_tokens") or body.get("max_tokens"),
        choices=body.get("n") or 1,
        thinking="reasoning_effort" in body,
    )


def trailing(items: list[Json], matches: Any) -> list[Json]:
    """The items at the end of a list that match, in order."""
    found: list[Json] = []
    for item in reversed(items):
        if not (isinstance(item, dict) and matches(item)):
            break
        found.insert(0, item)
    return found


def tool_choice(choice: Json) -> str:
    """`auto`, `none`, `required`, or the name of a tool."""
    if isinstance(choice, dict):
        name = choice.get("name") or choice.get("function", {}).get("name")
        return str(name or choice.get("type", "auto"))
    return str(choice)


def call_id(answer: Answer, index: int) -> str:
    """The id of a tool call."""
    return f"call_{answer.serial:06d}{index}"


def usage(answer: Answer) -> dict[str, Any]:
    """The usage object."""
    return {
        "prompt_tokens": answer.input_tokens,
        "completion_tokens": answer.output_tokens,
        "total_tokens": answer.input_tokens + answer.output_tokens,
        "prompt_tokens_details": {"cached_tokens": answer.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": answer.thinking_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def envelope(answer: Answer, kind: str, prefix: str) -> dict[str, Any]:
    """What every answer and every chunk begins with."""
    return {
        "id": f"{prefix}-{answer.serial:06d}",
        "object": kind,
        "created": EPOCH + answer.serial,
        "model": answer.model,
    }


def _tool_calls(answer: Answer) -> list[dict[str, Any]]:
    return [
        {
            "id": call_id(answer, index),
            "type": "function",
            "function": {"name": name, "arguments": json.dumps(arguments, ensure_ascii=False)},
        }
        for index, (name, arguments) in enumerate(answer.calls)
    ]


def whole(answer: Answer, _asked: Json) -> Json:
    """The body of the whole answer."""
    choices = []
    for index, text in enumerate(answer.texts):
        message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": answer.refusal}
        if answer.thinking:
            message["reasoning_content"] = answer.thinking
        if answer.calls:
            message["tool_calls"] = _tool_calls(answer)
        choices.append(
            {
                "index": index,
                "message": message | {"annotations": []},
                "logprobs": None,
                "finish_reason": answer.finish,
            }
        )
    return envelope(answer, "chat.completion", "chatcmpl") | {
        "choices": choices,
        "usage": usage(answer),
        "service_tier": "default",
        "system_fingerprint": "fp_loopback",
    }


def events(answer: Answer, asked: Json) -> Iterator[Event]:
    """The events of the streamed answer; usage only if it is asked for."""
    counted = bool((asked.get("stream_options") or {}).get("include_usage"))
    head = envelope(answer, "chat.completion.chunk", "chatcmpl")
    head |= {"service_tier": "default", "system_fingerprint": "fp_loopback"}
    tail = {"usage": None} if counted else {}
    for index, text in enumerate(answer.texts):
        for delta, finish in _deltas(answer, text):
            choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
            yield Event(head | {"choices": [choice]} | tail)
    if counted:
        yield Event(head | {"choices": [], "usage": usage(answer)})
    yield Event("[DONE]")


def _deltas(answer: Answer, text: str | None) -> Iterator[tuple[dict[str, Any], str | None]]:
    first = None if answer.calls and text is None else ""
    yield {"role": "assistant", "content": first, "refusal": None}, None
    for word in policy.words(answer.thinking or ""):
        yield {"reasoning_content": word}, None
    for word in policy.words(text or ""):
        yield {"content": word}, None
    for word in policy.words(answer.refusal or ""):
        yield {"refusal": word}, None
    for index, call in enumerate(_tool_calls(answer)):
        arguments = call["function"]["arguments"]
        opening = call | {"function": call["function"] | {"arguments": ""}}
        yield {"tool_calls": [{"index": index} | opening]}, None
        for piece in policy.slices(arguments):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}, None
    yield {}, answer.finish
