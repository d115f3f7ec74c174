"""Ollama's own wire API as the loopback provider speaks it: chat, generate and embed, in lines of JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from spanscript._exchange import Event, Json
from spanscript.demo.provider import chat_completions, policy
from spanscript.demo.provider.chat_completions import call_id
from spanscript.demo.provider.embeddings import vector
from spanscript.demo.provider.policy import Answer, Ask
from spanscript.demo.provider.route import Api, Manner, Route, ndjson

_DIMENSIONS = 8
_MILLISECOND = 1_000_000
"""In nanoseconds, in which durations are told."""


def _read_chat(body: Json) -> Ask:
    options = body.get("options") or {}
    limited = {"max_tokens": options.get("num_predict"), "tool_choice": "auto"}
    form = body.get("format")
    schema = {"response_format": {"json_schema": {"schema": form}}} if isinstance(form, dict) else {}
    thinks = {"reasoning_effort": "medium"} if body.get("think") else {}
    tools = [{"type": "function", **tool} for tool in body.get("tools") or []]
    return chat_completions.read({**body, "tools": tools, **limited, **schema, **thinks})


def _read_generate(body: Json) -> Ask:
    prompt = body["prompt"]
    return Ask(
        model=body["model"],
        prompt=(body.get("system") or "") + prompt,
        text=prompt,
        max_tokens=(body.get("options") or {}).get("num_predict"),
        thinking=bool(body.get("think")),
    )


def _read_embed(body: Json) -> Ask:
    given = body["prompt"] if "prompt" in body else body["input"]
    return Ask(model=body["model"], prompt=json.dumps(given, ensure_ascii=False), text="")


def _head(answer: Answer) -> dict[str, Any]:
    minutes, seconds = divmod(answer.serial, 60)
    return {"model": answer.model, "created_at": f"2026-01-01T00:{minutes % 60:02d}:{seconds:02d}.5Z"}


def _tail(answer: Answer) -> dict[str, Any]:
    return {
        "done": True,
        "done_reason": "length" if answer.finish == "length" else "stop",
        "total_duration": 30 * _MILLISECOND,
        "load_duration": 2 * _MILLISECOND,
        "prompt_eval_count": answer.input_tokens,
        "prompt_eval_duration": 8 * _MILLISECOND,
        "eval_count": answer.output_tokens,
        "eval_duration": 20 * _MILLISECOND,
    }


def _calls(answer: Answer) -> list[dict[str, Any]]:
    return [
        {"id": call_id(answer, index), "function": {"index": index, "name": name, "arguments": arguments}}
        for index, (name, arguments) in enumerate(answer.calls)
    ]


def _said(**more: Any) -> dict[str, Any]:
    return {"message": {"role": "assistant", "content": "", **more}}


def _whole_chat(answer: Answer, _asked: Json) -> Json:
    thought = {"thinking": answer.thinking} if answer.thinking else {}
    called = {"tool_calls": _calls(answer)} if answer.calls else {}
    said = _said(content=answer.text or answer.refusal or "", **thought, **called)
    return _head(answer) | said | _tail(answer)


def _chat_events(answer: Answer, _asked: Json) -> Iterator[Event]:
    pieces: list[dict[str, Any]] = [{"thinking": word} for word in policy.words(answer.thinking or "")]
    pieces += [{"content": word} for word in policy.words(answer.text or answer.refusal or "")]
    for piece in [*pieces, *({"tool_calls": [call]} for call in _calls(answer))]:
        yield Event(_head(answer) | _said(**piece) | {"done": False})
    yield Event(_head(answer) | _said() | _tail(answer))


def _whole_generate(answer: Answer, _asked: Json) -> Json:
    thought = {"thinking": answer.thinking} if answer.thinking else {}
    context = {"context": [answer.serial, answer.input_tokens]}
    return _head(answer) | {"response": answer.text or "", **thought} | _tail(answer) | context


def _generate_events(answer: Answer, asked: Json) -> Iterator[Event]:
    for word in policy.words(answer.thinking or ""):
        yield Event(_head(answer) | {"response": "", "thinking": word, "done": False})
    for word in policy.words(answer.text or ""):
        yield Event(_head(answer) | {"response": word, "done": False})
    yield Event({**_whole_generate(answer, asked), "response": "", "thinking": ""})


def _vector(given: Json, asked: Json) -> list[float]:
    return vector(json.dumps(given).encode(), asked.get("dimensions") or _DIMENSIONS)


def _whole_embed(answer: Answer, asked: Json) -> Json:
    inputs = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
    return {
        "model": answer.model,
        "embeddings": [_vector(given, asked) for given in inputs],
        "total_duration": 9 * _MILLISECOND,
        "load_duration": _MILLISECOND,
        "prompt_eval_count": answer.input_tokens,
    }


def _whole_embeddings(_answer: Answer, asked: Json) -> Json:
    return {"embedding": _vector(asked["prompt"], asked)}


_OLLAMA = Manner(
    error=lambda _status, message: {"error": message},
    headers={"content-type": "application/json; charset=utf-8"},
    error_event=lambda message, _failed: Event({"error": message}),
    encode=ndjson,
    stream_type="application/x-ndjson",
)

_CHAT = Api("ollama_chat", _read_chat, _whole_chat, _chat_events)
_GENERATE = Api("ollama_generate", _read_generate, _whole_generate, _generate_events)

ROUTES: Iterable[tuple[str, Route]] = (
    (r"/api/chat$", Route(_CHAT, _OLLAMA, unless_told=True)),
    (r"/api/generate$", Route(_GENERATE, _OLLAMA, unless_told=True)),
    (r"/api/embed$", Route(Api("ollama_embed", _read_embed, _whole_embed, None), _OLLAMA)),
    (r"/api/embeddings$", Route(Api("ollama_embed", _read_embed, _whole_embeddings, None), _OLLAMA)),
)
