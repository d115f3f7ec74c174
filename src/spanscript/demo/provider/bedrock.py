"""Amazon Bedrock, as the loopback provider speaks it: converse, and the bodies that it hands on to models."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from spanscript._exchange import Event, Json
from spanscript.demo.provider import chat_completions, cohere, eventstream, messages, policy
from spanscript.demo.provider.chat_completions import trailing
from spanscript.demo.provider.embeddings import vector
from spanscript.demo.provider.policy import Answer, Ask, Tool
from spanscript.demo.provider.route import Api, Manner, Raw, Route, compact

_STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "content_filtered",
}
_ERRORS = {
    400: "ValidationException",
    401: "UnrecognizedClientException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    503: "ServiceUnavailableException",
}
_TITAN_REASONS = {"stop": "FINISH", "length": "LENGTH", None: None}
_DIMENSIONS = 1024


def _read_converse(body: Json) -> Ask:
    found = body["messages"]
    last = found[-1]["content"] if found else []
    results = trailing(last, lambda block: "toolResult" in block)
    choice = (body.get("toolConfig") or {}).get("toolChoice") or {"auto": {}}
    how, named = next(iter(choice.items()))
    extra = body.get("additionalModelRequestFields") or {}
    config = body.get("inferenceConfig") or {}
    system = _text(body.get("system") or [])
    prompt = system + json.dumps([found, body.get("toolConfig")], ensure_ascii=False)
    return Ask(
        model=body["model"],
        prompt=prompt,
        text="; ".join(_text(r["toolResult"]["content"]) for r in results) or _text(last),
        after_tool=bool(results),
        tools=tuple(_tools(body)),
        tool_choice={"any": "required", "tool": named.get("name", "auto")}.get(how, how),
        preamble="Let me look that up.",
        max_tokens=config.get("maxTokens"),
        thinking=(extra.get("thinking") or {}).get("type", "disabled") != "disabled",
        cached=system if "cachePoint" in prompt else "",
    )


def _text(blocks: Json) -> str:
    return "".join(b.get("text") or (json.dumps(b["json"]) if "json" in b else "") for b in blocks)


def _tools(body: Json) -> Iterator[Tool]:
    for tool in (body.get("toolConfig") or {}).get("tools") or []:
        if "toolSpec" in tool:
            yield Tool(tool["toolSpec"]["name"], tool["toolSpec"]["inputSchema"]["json"])


def _blocks(answer: Answer) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if answer.thinking:
        reasoning = {"text": answer.thinking, "signature": f"c2lnbmF0dXJl{answer.serial:04d}"}
        blocks.append({"reasoningContent": {"reasoningText": reasoning}})
    if answer.text or answer.refusal:
        blocks.append({"text": answer.text or answer.refusal})
    for index, (name, arguments) in enumerate(answer.calls):
        identity = f"tooluse_{answer.serial:06d}{index}"
        blocks.append({"toolUse": {"toolUseId": identity, "name": name, "input": arguments}})
    return blocks


def _stop_reason(answer: Answer) -> str:
    return "content_filtered" if answer.refusal else _STOP_REASONS.get(answer.finish, answer.finish)


def _told(answer: Answer) -> dict[str, Any]:
    """Counts and times; the input leaves the cached ones out."""
    usage = {
        "inputTokens": answer.input_tokens - answer.cached_tokens,
        "outputTokens": answer.output_tokens,
        "totalTokens": answer.input_tokens + answer.output_tokens,
        "cacheReadInputTokens": answer.cached_tokens,
        "cacheWriteInputTokens": 0,
    }
    return {"usage": usage, "metrics": {"latencyMs": 12}}


def _whole_converse(answer: Answer, _asked: Json) -> Json:
    message = {"role": "assistant", "content": _blocks(answer)}
    return {"output": {"message": message}, "stopReason": _stop_reason(answer), **_told(answer)}


def _converse_events(answer: Answer, _asked: Json) -> Iterator[Event]:
    yield Event({"role": "assistant"}, "messageStart")
    for index, block in enumerate(_blocks(answer)):
        at = {"contentBlockIndex": index}
        if "toolUse" in block:
            begun = {key: block["toolUse"][key] for key in ("toolUseId", "name")}
            yield Event({**at, "start": {"toolUse": begun}}, "contentBlockStart")
        for delta in _deltas(block):
            yield Event({**at, "delta": delta}, "contentBlockDelta")
        yield Event(at, "contentBlockStop")
    yield Event({"stopReason": _stop_reason(answer)}, "messageStop")
    yield Event(_told(answer), "metadata")


def _deltas(block: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "text" in block:
        for word in policy.words(block["text"]):
            yield {"text": word}
    elif "toolUse" in block:
        for piece in policy.slices(json.dumps(block["toolUse"]["input"], ensure_ascii=False)):
            yield {"toolUse": {"input": piece}}
    else:
        reasoning = block["reasoningContent"]["reasoningText"]
        for word in policy.words(reasoning["text"]):
            yield {"reasoningContent": {"text": word}}
        yield {"reasoningContent": {"signature": reasoning["signature"]}}


def _nova_events(answer: Answer, asked: Json) -> Iterator[Event]:
    """A Nova model's own stream: what converse has as a frame's name is a key here."""
    for event in _converse_events(answer, asked):
        yield Event({event.name: event.data})


def _read_text(body: Json) -> Ask:
    prompt = body["prompt"] if "prompt" in body else body["inputText"]
    options = body.get("textGenerationConfig") or body
    limit = options.get("max_gen_len") or options.get("max_tokens") or options.get("maxTokenCount")
    return Ask(model=body["model"], prompt=prompt, text=prompt, max_tokens=limit)


def _finish(answer: Answer) -> str:
    return "length" if answer.finish == "length" else "stop"


def _llama(answer: Answer, text: str, finish: str | None) -> Json:
    counts = {"prompt_token_count": answer.input_tokens, "generation_token_count": answer.output_tokens}
    return {"generation": text, **counts, "stop_reason": finish}


def _mistral(_answer: Answer, text: str, finish: str | None) -> Json:
    return {"outputs": [{"text": text, "stop_reason": finish}]}


def _titan(answer: Answer, text: str, finish: str | None) -> Json:
    reason = _TITAN_REASONS[finish]
    result = {"tokenCount": answer.output_tokens, "outputText": text, "completionReason": reason}
    return {"inputTextTokenCount": answer.input_tokens, "results": [result]}


def _titan_chunk(answer: Answer, text: str, finish: str | None) -> Json:
    told = {"index": 0, "outputText": text, "completionReason": _TITAN_REASONS[finish]}
    counted = {"inputTextTokenCount": answer.input_tokens, "totalOutputTextTokenCount": answer.output_tokens}
    return told | (counted if finish else dict.fromkeys(counted))


def _shape_of(asked: Json) -> Any:
    """Who asks so: Titan, Llama, or else Mistral."""
    return _titan if "inputText" in asked else _llama if "max_gen_len" in asked else _mistral


def _whole_text(answer: Answer, asked: Json) -> Json:
    return _shape_of(asked)(answer, answer.text or "", _finish(answer))


def _text_events(answer: Answer, asked: Json) -> Iterator[Event]:
    shape = _shape_of(asked)
    chunk = _titan_chunk if shape is _titan else shape
    for word in policy.words(answer.text or ""):
        yield Event(chunk(answer, word, None))
    yield Event(chunk(answer, "", _finish(answer)))


def _read_embedded(body: Json) -> Ask:
    given = body["inputText"] if "inputText" in body else body["singleEmbeddingParams"]["text"]["value"]
    return Ask(model=body["model"], prompt=given, text="")


def _embedded(_answer: Answer, asked: Json) -> Json:
    if "inputText" in asked:
        found = vector(asked["inputText"].encode(), asked.get("dimensions") or _DIMENSIONS)
        return {"embedding": found, "inputTextTokenCount": policy.count(asked["inputText"])}
    params = asked["singleEmbeddingParams"]
    found = vector(params["text"]["value"].encode(), params.get("embeddingDimension") or _DIMENSIONS)
    return {"embeddings": [{"embeddingType": "TEXT", "embedding": found}]}


CONVERSE = Api("converse", _read_converse, _whole_converse, _converse_events)
_NOVA = replace(CONVERSE, events=_nova_events)
_TEXT = Api("invoke_text", _read_text, _whole_text, _text_events)
_EMBED = Api("invoke_embed", _read_embedded, _embedded, None)
_MESSAGES = Api("messages", messages.read, messages.whole, messages.events)
_CHAT = Api("chat_completions", chat_completions.read, chat_completions.whole, chat_completions.events)


def _api_of(body: Json) -> Api:
    """Whose body it is that is handed on."""
    if "anthropic_version" in body:
        return _MESSAGES
    if "textGenerationConfig" in body or "prompt" in body:
        return _TEXT
    if "inputText" in body or "singleEmbeddingParams" in body:
        return _EMBED
    if "texts" in body:
        return cohere.EMBED
    last = body["messages"][-1]["content"]
    return _CHAT if isinstance(last, str) or "type" in last[0] else _NOVA


def _read_invoked(body: Json) -> Ask:
    return _api_of(body).read(body)


def _whole_invoked(answer: Answer, asked: Json) -> Raw:
    """What the model answers; Bedrock counts its tokens in headers."""
    data = compact(_api_of(asked).whole(answer, asked)).encode("utf-8", "surrogatepass")
    counts = {"x-amzn-bedrock-input-token-count": str(answer.input_tokens - answer.cached_tokens)}
    if _api_of(asked).events is not None:
        counts["x-amzn-bedrock-output-token-count"] = str(answer.output_tokens)
    return Raw("application/json", data, counts)


def _invoked_events(answer: Answer, asked: Json) -> Iterator[Event]:
    """The events of the model's own stream; in the last of them Bedrock counts."""
    events = _api_of(asked).events
    if events is None:
        raise ValueError("this model does not stream")
    found = [event for event in events(answer, asked) if event.data != "[DONE]"]
    metrics = {
        "inputTokenCount": answer.input_tokens - answer.cached_tokens,
        "outputTokenCount": answer.output_tokens,
        "invocationLatency": 12,
        "firstByteLatency": 3,
    }
    yield from found[:-1]
    yield Event({**found[-1].data, "amazon-bedrock-invocationMetrics": metrics}, found[-1].name)


def _error(status: int, message: str) -> Json:
    return {"message": message, "__type": _error_name(status)}


def _error_name(status: int) -> str:
    return _ERRORS.get(status, "InternalServerException" if status >= 500 else "ValidationException")


def _error_headers(status: int) -> Mapping[str, str]:
    return {"x-amzn-errortype": f"{_error_name(status)}:http://internal.amazon.com/coral/"}


def _error_event(message: str, _failed: bool) -> Event:
    return Event({"type": "modelStreamErrorException", "message": message}, "exception")


def _frame(event: Event) -> bytes:
    payload: Json = {**event.data, "p": "abcdefgh"}
    if event.name == "exception":
        return _encoded({":exception-type": payload["type"]}, "exception", {"message": payload["message"]})
    return _encoded({":event-type": event.name or ""}, "event", payload)


def _chunk(event: Event) -> bytes:
    if event.name == "exception":
        return _frame(event)
    inner = b64encode(compact(event.data).encode("utf-8", "surrogatepass")).decode()
    return _frame(Event({"bytes": inner}, "chunk"))


def _encoded(headers: dict[str, str], kind: str, payload: Json) -> bytes:
    headers |= {":content-type": "application/json", ":message-type": kind}
    return eventstream.frame(headers, compact(payload).encode("utf-8", "surrogatepass"))


BEDROCK = Manner(
    error=_error,
    headers={
        "content-type": "application/json",
        "x-amzn-requestid": "00000000-0000-4000-8000-{serial:012d}",
    },
    error_event=_error_event,
    encode=_frame,
    stream_type="application/vnd.amazon.eventstream",
    error_headers=_error_headers,
)
_HANDED_ON = replace(BEDROCK, encode=_chunk)
INVOKED = Api("invoke_model", _read_invoked, _whole_invoked, _invoked_events)

ROUTES: Iterable[tuple[str, Route]] = (
    (r"/model/(?P<model>[^/]+)/converse$", Route(CONVERSE, BEDROCK, streamed=False)),
    (r"/model/(?P<model>[^/]+)/converse-stream$", Route(CONVERSE, BEDROCK, streamed=True)),
    (r"/model/(?P<model>[^/]+)/invoke$", Route(INVOKED, _HANDED_ON, streamed=False)),
    (r"/model/(?P<model>[^/]+)/invoke-with-response-stream$", Route(INVOKED, _HANDED_ON, streamed=True)),
)
