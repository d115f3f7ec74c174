"""
The generate_content API: `POST …/models/M:generateContent` and `:streamGenerateContent`, Google's.

As the Gemini API and Vertex AI have it. Keys are read in camel case and in snake case, as Google does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal

from spanscript._dialects._bodies import Extras, error_of, reply_of
from spanscript._dialects._parts import Block, Builder, leftovers
from spanscript._dialects._splitting import Splitter
from spanscript._dialects._tools import each_key
from spanscript._dialects._usage import first_integer
from spanscript._exchange import (
    Choice,
    Dialect,
    Event,
    Json,
    Media,
    Message,
    Other,
    Part,
    Refusal,
    Reply,
    Split,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Usage,
)
from spanscript._shapes import dig, integer, mapping, sequence, string

_EXTRAS: Final[Extras] = {"service_tier": ("usageMetadata", "serviceTier")}
_ROLES: Final[Mapping[str | None, str]] = {None: "user", "model": "assistant", "function": "tool"}
_BESIDE_CONTENT: Final = ("citationMetadata", "finishMessage", "groundingMetadata", "urlContextMetadata")
_BESIDE_PART: Final = ("mediaResolution", "partMetadata", "videoMetadata")
_UNSIGNED_KEYS: Final = frozenset({"text", "thought"})
_TEXT_KEYS: Final = _UNSIGNED_KEYS | {"thoughtSignature"}
_MODALITIES: Final[Mapping[str, Literal["image", "audio", "video"]]] = {
    "image": "image",
    "audio": "audio",
    "video": "video",
}
_CODE: Final = "code_execution"

_camel_case: Final = Splitter("contents", system_key="systemInstruction")
_snake_case: Final = Splitter("contents", system_key="system_instruction")


def accepts(body: Mapping[str, bytes]) -> bool:
    """Whether the body has contents."""
    return body.get("contents", b"").startswith((b"[", b"{"))


def split(body: Mapping[str, bytes], items: Sequence[bytes]) -> Split:
    """Take a body apart; see `Dialect.split`."""
    return (_snake_case if "system_instruction" in body else _camel_case)(body, items)


def decode(body: Json) -> Reply:
    """The reply of a whole answer. A prompt that was blocked is a refusal without candidates."""
    fields = mapping(body)
    named = {**fields, "id": fields.get("responseId"), "model": fields.get("modelVersion")}
    candidates = enumerate(sequence(fields.get("candidates")))
    choices = [_choice(mapping(candidate), position) for position, candidate in candidates]
    usage = usage_of(fields.get("usageMetadata"))
    return reply_of(named, choices or _blocked(mapping(fields.get("promptFeedback"))), _EXTRAS, usage=usage)


def usage_of(counts: Json) -> Usage:
    """The counts of a `usageMetadata`, which says thoughts, and what tools put into the prompt, beside."""
    thoughts = _counted(counts, "thoughtsTokenCount")
    return Usage(
        input_tokens=_sum(_counted(counts, "promptTokenCount"), _counted(counts, "toolUsePromptTokenCount")),
        output_tokens=_sum(_counted(counts, "candidatesTokenCount"), thoughts),
        cache_read_tokens=_counted(counts, "cachedContentTokenCount"),
        reasoning_tokens=thoughts,
    )


def _counted(counts: Json, key: str) -> int | None:
    return first_integer(counts, ((key,),))


def _sum(*counts: int | None) -> int | None:
    said = [count for count in counts if count is not None]
    return sum(said) if said else None


def _choice(candidate: Block, position: int) -> Choice:
    parts = parts_of(candidate.get("content"))
    index = integer(candidate.get("index"))
    return Choice(
        Message("assistant", (*parts, *leftovers(candidate, _BESIDE_CONTENT))),
        string(candidate.get("finishReason")),
        position if index is None else index,
    )


def _blocked(feedback: Block) -> list[Choice]:
    reason = string(feedback.get("blockReason"))
    if reason is None:
        return []
    refusal = Refusal(string(feedback.get("blockReasonMessage")) or reason)
    return [Choice(Message("assistant", (refusal,)), reason)]


def message(value: Json) -> Message:
    """An element of the contents, or the system prompt."""
    fields = mapping(value)
    role = string(fields.get("role"))
    return Message(_ROLES.get(role, role or "user"), parts_of(fields.get("content", value)))


def parts_of(content: Json) -> tuple[Part, ...]:
    """The parts of a content: an object with `parts`, a part, text, or an array of these."""
    fields = mapping(content)
    parts = fields.get("parts") if "parts" in fields or "role" in fields else content
    return tuple(found for part in (sequence(parts) or [parts]) for found in _part(part))


def _part(part: Json) -> tuple[Part, ...]:
    if isinstance(part, str):
        return (Text(part),) if part else ()
    if not isinstance(part, dict):
        return (Other(part),) if part else ()
    fields = in_camel_case(part)
    if fields.keys() <= _TEXT_KEYS:
        return _text(fields)
    kind = next((key for key in _PARTS if key in fields), None)
    built = _PARTS[kind](in_camel_case(mapping(fields[kind]))) if kind else ()
    return (*built, *leftovers(fields, _BESIDE_PART)) if built else (Other(part),)


def _text(fields: Block) -> tuple[Part, ...]:
    """Text or a thought; a signature alone is a thought that is not shown."""
    text = fields.get("text", "")
    if not isinstance(text, str):
        return (Other(fields),)
    if not text:
        return (Thinking(""),) if fields.get("thoughtSignature") else ()
    return (Thinking(text) if fields.get("thought") is True else Text(text),)


def in_camel_case(fields: Block) -> Block:
    """The same with its keys in camel case."""
    return {_camel(key): value for key, value in fields.items()}


def _camel(key: str) -> str:
    head, *others = key.split("_")
    return head + "".join(map(str.capitalize, others))


def _function_call(call: Block) -> tuple[Part, ...]:
    """A call; of arguments that were streamed in pieces, the pieces."""
    arguments = call.get("args", call.get("partialArgs"))
    return (ToolCall(string(call.get("id")), string(call.get("name")), arguments),)


def _function_response(answer: Block) -> tuple[Part, ...]:
    ident, name = string(answer.get("id")), string(answer.get("name"))
    media = parts_of(answer["parts"]) if answer.get("parts") else ()
    return ToolResult(ident, answer.get("response"), name), *media


def _server_call(call: Block) -> tuple[Part, ...]:
    name = string(call.get("toolType"))
    return (ToolCall(string(call.get("id")), name, call.get("args"), server_side=True),)


def _server_response(answer: Block) -> tuple[Part, ...]:
    name = string(answer.get("toolType"))
    return (ToolResult(string(answer.get("id")), answer.get("response"), name, server_side=True),)


def _code(code: Block) -> tuple[Part, ...]:
    arguments = {key: value for key, value in code.items() if key != "id"}
    return (ToolCall(string(code.get("id")), _CODE, arguments, server_side=True),)


def _code_result(result: Block) -> tuple[Part, ...]:
    told = {key: value for key, value in result.items() if key != "id"}
    return (ToolResult(string(result.get("id")), told, _CODE, server_side=True),)


def _media(source: Block) -> tuple[Part, ...]:
    mime_type = string(source.get("mimeType"))
    uri, data = string(source.get("fileUri")), string(source.get("data"))
    if uri is None and data is None:
        return ()
    modality = _MODALITIES.get((mime_type or "").partition("/")[0])
    return (Media(modality or "file", mime_type=mime_type, uri=uri, data=data),)


_PARTS: Final[Mapping[str, Builder]] = {
    "functionCall": _function_call,
    "functionResponse": _function_response,
    "inlineData": _media,
    "fileData": _media,
    "executableCode": _code,
    "codeExecutionResult": _code_result,
    "toolCall": _server_call,
    "toolResponse": _server_response,
}


def ends(event: Event) -> bool:
    """Whether an event says how the answer ended. Its stream has no marker: more can follow."""
    data = mapping(event.data)
    if event.name == "error" or data.get("error") or dig(data, ("promptFeedback", "blockReason")):
        return True
    return any(mapping(c).get("finishReason") for c in sequence(data.get("candidates")))


def assemble(events: Iterable[Event]) -> Json:
    """The body of the whole answer; see `Dialect.assemble`."""
    body: dict[str, Any] = {}
    candidates: dict[int, dict[str, Any]] = {}
    for event in events:
        data = mapping(event.data)
        if event.name == "error":
            body["error"] = error_of(event)
        for key, value in data.items():
            if key == "candidates":
                for position, candidate in enumerate(sequence(value)):
                    _fold_candidate(candidates, mapping(candidate), position)
            else:
                body[key] = _merged(body.get(key), value)
    if candidates:
        body["candidates"] = [candidates[index] for index in sorted(candidates)]
    return body


def _merged(old: Json, new: Json) -> Json:
    """What is said later counts; of token counts that have a total, nothing of earlier ones."""
    apart = isinstance(old, dict) and isinstance(new, dict) and "totalTokenCount" not in new
    return {**old, **new} if apart else new


def _fold_candidate(candidates: dict[int, dict[str, Any]], candidate: Block, position: int) -> None:
    index = integer(candidate.get("index"))
    slot = candidates.setdefault(position if index is None else index, {})
    for key, value in candidate.items():
        if key == "content":
            content = mapping(slot.get(key))
            parts = _folded(sequence(content.get("parts")), sequence(mapping(value).get("parts")))
            slot[key] = {**content, **mapping(value), "parts": parts}
        else:
            slot[key] = _merged(slot.get(key), value)


def _folded(parts: list[Any], more: list[Any]) -> list[Any]:
    for part in more:
        joined = _joined(mapping(parts[-1]), mapping(part)) if parts else None
        if joined is None:
            parts.append(part)
        else:
            parts[-1] = joined
    return parts


def _joined(last: Block, part: Block) -> Block | None:
    """Text goes on with text of its kind unless signed, a call with the pieces of its arguments."""
    if "text" in part and part.keys() <= _TEXT_KEYS:
        goes_on = {"text"} <= last.keys() <= _UNSIGNED_KEYS and last.get("thought") == part.get("thought")
        old, new = last.get("text"), part["text"]
        if not goes_on or not isinstance(old, str) or not isinstance(new, str):
            return None
        return {**last, **part, "text": old + new}
    call, piece = mapping(last.get("functionCall")), part.get("functionCall")
    if not call.get("willContinue") or not isinstance(piece, dict):
        return None
    pieces = [*sequence(call.get("partialArgs")), *sequence(piece.get("partialArgs"))]
    told = {"willContinue": bool(piece.get("willContinue")), "partialArgs": pieces}
    return {**last, **part, "functionCall": {**call, **piece, **told}}


def _config(*path: str) -> tuple[tuple[str, ...], ...]:
    """A setting of the generation's, in either case."""
    snakes = tuple("".join(f"_{c.lower()}" if c.isupper() else c for c in key) for key in path)
    return tuple((top, *rest) for top in ("generationConfig", "generation_config") for rest in (path, snakes))


GENERATE_CONTENT: Final = Dialect(
    name="generate_content",
    operation="generate_content",
    list_key="contents",
    accepts=accepts,
    split=split,
    params={
        "max_tokens": _config("maxOutputTokens"),
        "temperature": _config("temperature"),
        "top_p": _config("topP"),
        "top_k": _config("topK"),
        "frequency_penalty": _config("frequencyPenalty"),
        "presence_penalty": _config("presencePenalty"),
        "seed": _config("seed"),
        "stop_sequences": _config("stopSequences"),
        "choice_count": _config("candidateCount"),
        "reasoning_level": _config("thinkingConfig", "thinkingLevel"),
        "output_type": _config("responseMimeType"),
        "tool_choice": (("toolConfig", "functionCallingConfig", "mode"),),
        "service_tier": (("serviceTier",), ("service_tier",)),
    },
    decode=decode,
    assemble=assemble,
    message=message,
    ends=ends,
    tools_in=each_key(groups=("functionDeclarations", "function_declarations")),
    provider="gcp.gemini",
)
