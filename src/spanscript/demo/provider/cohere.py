"""Cohere's wire APIs as the loopback provider speaks them: chat of both versions, generate, embed, rerank."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from spanscript._exchange import Event, Json
from spanscript.demo.provider import chat_completions, policy
from spanscript.demo.provider.chat_completions import call_id, text_of
from spanscript.demo.provider.embeddings import vector
from spanscript.demo.provider.policy import Answer, Ask, Tool
from spanscript.demo.provider.route import Api, Manner, Route, compact, ndjson, sse

_MODEL = "command-a-03-2025"
_BILLED_LESS = 3
"""Tokens that the provider itself adds to a prompt, and does not bill."""
_DIMENSIONS = 8
_FINISH = {"stop": "COMPLETE", "length": "MAX_TOKENS", "tool_calls": "TOOL_CALL"}
_KINDS = {"str": "string", "int": "integer", "float": "number", "bool": "boolean", "dict": "object"}
"""Types of parameters in the older API → in JSON schemas."""


def _read_chat(body: Json) -> Ask:
    results = chat_completions.trailing(body["messages"], lambda m: m.get("role") == "tool")
    ask = chat_completions.read(body)
    return replace(
        ask,
        text="; ".join(_result_text(result.get("content")) for result in results) or ask.text,
        tool_choice=ask.tool_choice.lower(),
        schema=(body.get("response_format") or {}).get("json_schema"),
        thinking=(body.get("thinking") or {}).get("type") == "enabled",
    )


def _result_text(content: Json) -> str:
    blocks = content if isinstance(content, list) else []
    documents = [str((block.get("document") or {}).get("data", "")) for block in blocks]
    return text_of(content) or " ".join(filter(None, documents))


def _usage(answer: Answer) -> dict[str, Any]:
    return {
        "billed_units": {
            "input_tokens": max(0, answer.input_tokens - _BILLED_LESS),
            "output_tokens": answer.output_tokens,
        },
        "tokens": {"input_tokens": answer.input_tokens, "output_tokens": answer.output_tokens},
        "cached_tokens": answer.cached_tokens,
    }


def _id(answer: Answer) -> str:
    return f"00000000-0000-4000-8000-{answer.serial:012d}"


def _plan(answer: Answer) -> str:
    return f"I will call {' and '.join(name for name, _ in answer.calls)}."


def _blocks(answer: Answer) -> list[dict[str, Any]]:
    thought = [{"type": "thinking", "thinking": answer.thinking}] if answer.thinking else []
    said = answer.text or answer.refusal
    return [*thought, *([{"type": "text", "text": said}] if said else [])]


def _calls(answer: Answer) -> list[dict[str, Any]]:
    return [
        {
            "id": call_id(answer, index),
            "type": "function",
            "function": {"name": name, "arguments": json.dumps(arguments, ensure_ascii=False)},
        }
        for index, (name, arguments) in enumerate(answer.calls)
    ]


def _whole_chat(answer: Answer, _asked: Json) -> Json:
    message: dict[str, Any] = {"role": "assistant"}
    if answer.calls:
        message |= {"tool_plan": _plan(answer), "tool_calls": _calls(answer)}
    if _blocks(answer):
        message["content"] = _blocks(answer)
    return {"id": _id(answer), "message": message} | _ending(answer)


def _ending(answer: Answer) -> dict[str, Any]:
    return {"finish_reason": _FINISH.get(answer.finish, answer.finish), "usage": _usage(answer)}


def _event(kind: str, **data: Any) -> Event:
    return Event({"type": kind, **data}, kind)


def _saying(kind: str, index: int | None, **message: Any) -> Event:
    at = {} if index is None else {"index": index}
    return _event(kind, **at, delta={"message": message})


def _chat_events(answer: Answer, _asked: Json) -> Iterator[Event]:
    begun = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    yield _event("message-start", id=_id(answer), delta={"message": begun})
    for word in policy.words(_plan(answer)) if answer.calls else []:
        yield _saying("tool-plan-delta", None, tool_plan=word)
    for index, block in enumerate(_blocks(answer)):
        kind = block["type"]
        yield _saying("content-start", index, content={"type": kind, kind: ""})
        for word in policy.words(block[kind]):
            yield _saying("content-delta", index, content={kind: word})
        yield _event("content-end", index=index)
    for index, call in enumerate(_calls(answer)):
        opening = call | {"function": call["function"] | {"arguments": ""}}
        yield _saying("tool-call-start", index, tool_calls=opening)
        for piece in policy.slices(call["function"]["arguments"]):
            yield _saying("tool-call-delta", index, tool_calls={"function": {"arguments": piece}})
        yield _event("tool-call-end", index=index)
    yield _event("message-end", id=_id(answer), delta=_ending(answer))
    yield Event("[DONE]")


def _read_chat_v1(body: Json) -> Ask:
    results = body.get("tool_results") or []
    told = [compact(result.get("outputs")) for result in results]
    known = [body.get(key) for key in ("preamble", "chat_history", "message", "tools", "tool_results")]
    return Ask(
        model=body.get("model") or _MODEL,
        prompt=json.dumps(known, ensure_ascii=False),
        text="; ".join(told) or body["message"],
        after_tool=bool(results),
        tools=tuple(Tool(tool["name"], _schema(tool)) for tool in body.get("tools") or []),
        max_tokens=body.get("max_tokens"),
    )


def _schema(tool: Json) -> Json:
    definitions = tool.get("parameter_definitions") or {}
    properties = {name: {"type": _KINDS.get(d["type"], "string")} for name, d in definitions.items()}
    return {"type": "object", "properties": properties}


def _meta(answer: Answer, version: int = 1) -> dict[str, Any]:
    return {"api_version": {"version": str(version)}} | _usage(answer)


def _whole_chat_v1(answer: Answer, asked: Json) -> Json:
    text = answer.text or answer.refusal or (_plan(answer) if answer.calls else "")
    calls = [{"name": name, "parameters": arguments} for name, arguments in answer.calls]
    said = {"role": "CHATBOT", "message": text} | ({"tool_calls": calls} if calls else {})
    history = [*(asked.get("chat_history") or []), {"role": "USER", "message": asked["message"]}, said]
    return {
        "response_id": _id(answer),
        "text": text,
        "generation_id": f"generation-{answer.serial:06d}",
        "chat_history": history,
        # The older API has no word of its own for a tool call.
        "finish_reason": "COMPLETE" if calls else _FINISH.get(answer.finish, answer.finish),
        "meta": _meta(answer),
    } | ({"tool_calls": calls} if calls else {})


def _line(kind: str, **data: Any) -> Event:
    return Event({"is_finished": kind == "stream-end", "event_type": kind, **data})


def _chat_v1_events(answer: Answer, asked: Json) -> Iterator[Event]:
    whole = _whole_chat_v1(answer, asked)
    yield _line("stream-start", generation_id=whole["generation_id"])
    for word in policy.words(whole["text"]):
        yield _line("tool-calls-chunk" if answer.calls else "text-generation", text=word)
    if answer.calls:
        yield _line("tool-calls-generation", text=whole["text"], tool_calls=whole["tool_calls"])
    yield _line("stream-end", finish_reason=whole["finish_reason"], response=whole)


def _read_generate(body: Json) -> Ask:
    prompt = body["prompt"]
    limit, count = body.get("max_tokens"), body.get("num_generations") or 1
    return Ask(body.get("model") or _MODEL, prompt, prompt, max_tokens=limit, choices=count)


def _whole_generate(answer: Answer, asked: Json) -> Json:
    finish = _FINISH.get(answer.finish, answer.finish)
    generations = [
        {"id": f"{_id(answer)}-{index}", "text": text, "index": index, "finish_reason": finish}
        for index, text in enumerate(answer.texts)
    ]
    return {"id": _id(answer), "generations": generations, "prompt": asked["prompt"], "meta": _meta(answer)}


def _generate_events(answer: Answer, asked: Json) -> Iterator[Event]:
    for index, text in enumerate(answer.texts):
        for word in policy.words(text or ""):
            yield _line("text-generation", text=word, index=index)
    whole = _whole_generate(answer, asked)
    yield _line("stream-end", finish_reason=whole["generations"][0]["finish_reason"], response=whole)


def _inputs(body: Json) -> list[Json]:
    return next((body[key] for key in ("texts", "images", "inputs") if body.get(key)), [])


def _read_embed(body: Json) -> Ask:
    return Ask(model=body["model"], prompt="".join(map(str, _inputs(body))), text="")


def _whole_embed(answer: Answer, asked: Json) -> Json:
    inputs = _inputs(asked)
    size = asked.get("output_dimension") or _DIMENSIONS
    vectors = [vector(json.dumps(given).encode(), size) for given in inputs]
    kinds = asked.get("embedding_types")
    shaped = {kind: _SHAPES.get(kind, _whole_numbers)(vectors) for kind in kinds} if kinds else vectors
    return {
        "id": _id(answer),
        "embeddings": shaped,
        "texts": asked.get("texts") or [],
        "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": answer.input_tokens}},
        "response_type": "embeddings_by_type" if kinds else "embeddings_floats",
    }


def _whole_numbers(vectors: list[list[float]]) -> Json:
    return [[round(100 * value) for value in numbers] for numbers in vectors]


_SHAPES: Mapping[str, Any] = {"float": list}


def _read_rerank(body: Json) -> Ask:
    documents = body["documents"]
    return Ask(body["model"], prompt=json.dumps([body["query"], documents], ensure_ascii=False), text="")


def _whole_rerank(answer: Answer, asked: Json) -> Json:
    documents = asked["documents"]
    best = range(len(documents))[: asked.get("top_n") or len(documents)]
    return {
        "id": _id(answer),
        "results": [{"index": index, "relevance_score": 1 / (1 + index)} for index in best],
        "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}},
    }


def _error(_status: int, message: str) -> Json:
    return {"id": "00000000-0000-4000-8000-000000000000", "message": message}


def _failed(message: str, _failed: bool) -> Event:
    return _event("message-end", delta={"finish_reason": "ERROR", "error": message})


def _failed_v1(message: str, _failed: bool) -> Event:
    return _line(
        "stream-end", finish_reason="ERROR", response={"text": "", "finish_reason": "ERROR"}, error=message
    )


_HEADERS = {
    "content-type": "application/json",
    "x-endpoint-monthly-call-limit": "1000",
    "num_tokens": "9",
    "x-debug-trace-id": "{serial:032x}",
}
_COHERE = Manner(_error, _HEADERS, _failed, sse, "text/event-stream")
_COHERE_V1 = Manner(_error, _HEADERS, _failed_v1, ndjson, "application/stream+json")

EMBED = Api("cohere_embed", _read_embed, _whole_embed, None)

ROUTES: Iterable[tuple[str, Route]] = (
    (r"/v2/chat$", Route(Api("cohere_chat", _read_chat, _whole_chat, _chat_events), _COHERE)),
    (r"/v1/chat$", Route(Api("cohere_chat_v1", _read_chat_v1, _whole_chat_v1, _chat_v1_events), _COHERE_V1)),
    (
        r"/v1/generate$",
        Route(Api("cohere_generate", _read_generate, _whole_generate, _generate_events), _COHERE_V1),
    ),
    (r"/v[12]/embed$", Route(EMBED, _COHERE)),
    (r"/rerank$", Route(Api("rerank", _read_rerank, _whole_rerank, None), _COHERE)),
)
