"""Google's wire APIs, as the loopback provider speaks them: contents and embeddings, also on Vertex AI."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from spanscript._exchange import Event, Json
from spanscript.demo.provider import embeddings, policy
from spanscript.demo.provider.chat_completions import call_id, text_of, trailing
from spanscript.demo.provider.policy import Answer, Ask, Tool
from spanscript.demo.provider.route import Api, Manner, Route, compact, sse

_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
}
_CHOICES = {"AUTO": "auto", "ANY": "required", "NONE": "none", "VALIDATED": "auto"}
_FINISH = {"stop": "STOP", "length": "MAX_TOKENS", "tool_calls": "STOP", "content_filter": "SAFETY"}


def error(status: int, message: str) -> Json:
    """The body of an error."""
    return {"error": {"code": status, "message": message, "status": _STATUS.get(status, "INTERNAL")}}


def read(body: Json) -> Ask:
    """
    What the body asks.

    Raises:
        KeyError: `contents` are missing.
    """
    contents = body["contents"]
    config = _either(body, "generationConfig") or {}
    results = trailing(contents[-1]["parts"] if contents else [], lambda p: "functionResponse" in p)
    last = contents[-1:] if not results else []
    system = _either(body, "systemInstruction")
    return Ask(
        model=body["model"],
        prompt=json.dumps([system, contents, body.get("tools")], ensure_ascii=False),
        text="; ".join([*map(_result, results), *(text_of(c["parts"]) for c in last)]),
        after_tool=bool(results),
        tools=tuple(_tools(body)),
        tool_choice=_tool_choice(body),
        schema=lowered(_either(config, "responseSchema") or _either(config, "responseJsonSchema")),
        max_tokens=_either(config, "maxOutputTokens"),
        choices=_either(config, "candidateCount") or 1,
        thinking=bool(_either(_either(config, "thinkingConfig") or {}, "includeThoughts")),
        cached=json.dumps(system) if body.get("cachedContent") else "",
    )


def _either(fields: dict[str, Any], key: str) -> Json:
    """A value by its key in camel case or in snake case: Google reads both."""
    snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in key)
    return fields.get(key, fields.get(snake))


def _result(part: dict[str, Any]) -> str:
    response = part["functionResponse"]["response"]
    return str(response.get("result", response))


def _tools(body: Json) -> Iterator[Tool]:
    for tool in body.get("tools") or []:
        for function in _either(tool, "functionDeclarations") or []:
            schema = _either(function, "parametersJsonSchema") or function.get("parameters", {})
            yield Tool(function["name"], lowered(schema))


def _tool_choice(body: Json) -> str:
    config = (_either(body, "toolConfig") or {}).get("functionCallingConfig") or {}
    names = config.get("allowedFunctionNames") or [_CHOICES[config.get("mode", "AUTO")]]
    return str(names[0])


def lowered(schema: Json) -> Json:
    """A schema in Google's words, whose types are upper case, as JSON schema."""
    if isinstance(schema, list):
        return [lowered(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: value.lower() if key == "type" and isinstance(value, str) else lowered(value)
        for key, value in schema.items()
    }


def _head(answer: Answer) -> dict[str, Any]:
    return {"modelVersion": answer.model, "responseId": f"resp-{answer.serial:06d}"}


def _usage(answer: Answer, said: int | None = None) -> dict[str, Any]:
    """The counts; `said`: of a stream that has come so far."""
    candidates = answer.output_tokens - answer.thinking_tokens if said is None else said
    thoughts = {"thoughtsTokenCount": answer.thinking_tokens} if answer.thinking else {}
    cached = {"cachedContentTokenCount": answer.cached_tokens} if answer.cached_tokens else {}
    return {
        "promptTokenCount": answer.input_tokens,
        "candidatesTokenCount": candidates,
        "totalTokenCount": answer.input_tokens + candidates + answer.thinking_tokens,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": answer.input_tokens}],
        **thoughts,
        **cached,
    }


def _calls(answer: Answer) -> list[dict[str, Any]]:
    signed = {"thoughtSignature": f"c2lnbmF0dXJl{answer.serial:04d}"}
    return [
        {"functionCall": {"id": call_id(answer, index), "name": name, "args": arguments}}
        | (signed if index == 0 else {})
        for index, (name, arguments) in enumerate(answer.calls)
    ]


def _texts(answer: Answer, text: str | None) -> Iterator[dict[str, Any]]:
    if answer.thinking:
        yield {"text": answer.thinking, "thought": True}
    if text:
        yield {"text": text}


def _blocked(answer: Answer) -> dict[str, Any]:
    feedback = {"blockReason": "PROHIBITED_CONTENT", "blockReasonMessage": answer.refusal}
    counts = {"promptTokenCount": answer.input_tokens, "totalTokenCount": answer.input_tokens}
    return {"promptFeedback": feedback, "usageMetadata": counts, **_head(answer)}


def _candidate(parts: Iterable[Json], index: int, finish: str | None = None) -> dict[str, Any]:
    told = {"finishReason": _FINISH.get(finish, finish)} if finish else {}
    return {"content": {"parts": list(parts), "role": "model"}, **told, "index": index}


def whole(answer: Answer, _asked: Json) -> Json:
    """The body of the whole answer."""
    if answer.refusal:
        return _blocked(answer)
    candidates = [
        _candidate([*_texts(answer, text), *_calls(answer)], index, answer.finish)
        for index, text in enumerate(answer.texts)
    ]
    return {"candidates": candidates, "usageMetadata": _usage(answer), **_head(answer)}


def chunks(answer: Answer, _asked: Json) -> Iterator[Json]:
    """What the streamed answer is made of."""
    if answer.refusal:
        yield _blocked(answer)
        return
    said = 0
    for index, text in enumerate(answer.texts):
        for part in _pieces(answer, text):
            said += 0 if part.get("thought") else 1
            candidates = [_candidate([part], index)]
            yield {"candidates": candidates, "usageMetadata": _usage(answer, said), **_head(answer)}
    ended = [_candidate([{"text": ""}], index, answer.finish) for index in range(len(answer.texts))]
    yield {"candidates": ended, "usageMetadata": _usage(answer), **_head(answer)}


def _pieces(answer: Answer, text: str | None) -> Iterator[dict[str, Any]]:
    for part in _texts(answer, text):
        yield from (part | {"text": word} for word in policy.words(part["text"]))
    yield from _calls(answer)


def events(answer: Answer, asked: Json) -> Iterator[Event]:
    """The events of the streamed answer."""
    return map(Event, chunks(answer, asked))


def array(answer: Answer, asked: Json) -> Iterator[Event]:
    """The same as one JSON array, element by element: what is sent unless SSE is asked for."""
    before = "["
    for chunk in chunks(answer, asked):
        yield Event(before + compact(chunk))
        before = ",\r\n"
    yield Event("\n]")


_EMBEDDED = ("requests", "instances")


def _inputs(body: Json) -> list[Json]:
    """What is to be embedded: requests, instances, or one content."""
    return next((body[key] for key in _EMBEDDED if key in body), None) or [{"content": body["content"]}]


def read_embedded(body: Json) -> Ask:
    """
    What the body asks.

    Raises:
        KeyError: Nothing is to be embedded.
    """
    prompt = "".join(json.dumps(one["content"], ensure_ascii=False) for one in _inputs(body))
    return Ask(model=body["model"], prompt=prompt, text="")


def embedded(answer: Answer, asked: Json) -> Json:
    """The body of the answer: a vector for each input."""
    inputs = _inputs(asked)
    first = inputs[0]
    beside = (asked.get("parameters"), *(s.get("embedContentConfig") for s in (asked, first)))
    settings = (asked, first, *beside)
    size = next((s["outputDimensionality"] for s in settings if s and "outputDimensionality" in s), 768)
    texts = [json.dumps(one["content"]) for one in inputs]
    rows = embeddings.whole(answer, {"input": texts, "dimensions": size})["data"]
    vectors = [{"values": row["embedding"]} for row in rows]
    if "instances" in asked:
        counts = [{"statistics": {"token_count": policy.count(text), "truncated": False}} for text in texts]
        pairs = zip(counts, vectors, strict=True)
        return {"predictions": [{"embeddings": count | vector} for count, vector in pairs]}
    usage = {"usageMetadata": {"promptTokenCount": answer.input_tokens}}
    return ({"embeddings": vectors} if "requests" in asked else {"embedding": vectors[0]}) | usage


HEADERS = {"content-type": "application/json; charset=UTF-8", "vary": "Origin"}
GOOGLE = Manner(
    error=error,
    headers=HEADERS,
    error_event=lambda message, _failed: Event(error(503, message)),
    encode=sse,
)
GOOGLES_ARRAY = Manner(
    error=lambda status, message: [error(status, message)],
    headers=HEADERS,
    error_event=lambda message, _failed: Event(",\r\n" + compact(error(503, message))),
    encode=lambda event: str(event.data).encode("utf-8", "surrogatepass"),
    stream_type=HEADERS["content-type"],
)
CONTENT = Api("generate_content", read, whole, events)
ARRAY = Api("generate_content", read, whole, array)
EMBEDDED = Api("embed_content", read_embedded, embedded, None)

_MODEL = r"/(?P<model>[^/:]+):"
ROUTES = (
    (_MODEL + "generateContent$", Route(CONTENT, GOOGLE, streamed=False)),
    (_MODEL + r"streamGenerateContent\?(.*&)?alt=sse", Route(CONTENT, GOOGLE, streamed=True)),
    (_MODEL + "streamGenerateContent$", Route(ARRAY, GOOGLES_ARRAY, streamed=True)),
    (_MODEL + "(embedContent|batchEmbedContents|predict)$", Route(EMBEDDED, GOOGLE)),
)
