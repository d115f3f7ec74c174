"""
The converse API of Amazon Bedrock: `POST …/model/ID/converse` and `…/converse-stream`.

Amazon's own Nova models speak it also where a model's own body is sent (`…/invoke`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Final, Literal

from spanscript._dialects._bodies import Extras, error_of, reply_of
from spanscript._dialects._parts import Block, calls_begun, leftovers, thinking
from spanscript._dialects._splitting import Splitter
from spanscript._dialects._tools import each_key
from spanscript._dialects._usage import Paths, usage_beside_cache
from spanscript._exchange import (
    ArgumentPiece,
    Choice,
    Dialect,
    Event,
    Json,
    Media,
    Message,
    Other,
    Part,
    Reply,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from spanscript._json import elements, loads
from spanscript._shapes import dig, integer, mapping, sequence, string

_OWN_KEYS: Final = (
    "additionalModelRequestFields",
    "guardrailConfig",
    "inferenceConfig",
    "promptVariables",
    "schemaVersion",
    "toolConfig",
)
_EXTRAS: Final[Extras] = {
    "service_tier": ("serviceTier", "type"),
    "latency_ms": ("metrics", "latencyMs"),
    "performance": ("performanceConfig", "latency"),
}
_STREAMED: Final = frozenset(
    {
        "messageStart",
        "contentBlockStart",
        "contentBlockDelta",
        "contentBlockStop",
        "messageStop",
        "metadata",
    }
)


def accepts(body: Mapping[str, bytes]) -> bool:
    """Whether the body has messages of content blocks without a type, or what only this API knows."""
    if "anthropic_version" in body:
        return False
    if any(key in body for key in _OWN_KEYS):
        return True
    messages = body.get("messages", b"")
    if not messages.startswith(b"[") or b'"role"' not in messages:
        return False
    first = next(iter(elements(messages)), b"null")
    blocks = sequence(mapping(loads(first)).get("content"))
    return any(isinstance(block, dict) and "type" not in block for block in blocks)


def decode(body: Json) -> Reply:
    """The reply of a whole answer."""
    fields = mapping(body)
    answer, finish = mapping(dig(fields, ("output", "message"))), string(fields.get("stopReason"))
    choices = []
    if sequence(answer.get("content")) or finish:
        choices.append(Choice(message({"role": "assistant", **answer}), finish))
    return reply_of(body, choices, _EXTRAS, usage=usage_beside_cache(fields.get("usage"), _COUNTS))


def message(value: Json) -> Message:
    """A message of the list, the system prompt, or the answer itself."""
    fields = {"content": value} if isinstance(value, str) else mapping(value)
    return Message(string(fields.get("role")) or "user", tuple(_parts(fields.get("content"))))


def ends(event: Event) -> bool:
    """Whether nothing follows an event."""
    return _kind_of(event) in ("metadata", "error")


def assemble(events: Iterable[Event]) -> Json:
    """The body of the whole answer; see `Dialect.assemble`."""
    body: dict[str, Any] = {}
    answer: dict[str, Any] = {}
    blocks: dict[int, dict[str, Any]] = {}
    for event in events:
        kind, data = _kind_of(event), _told(event)
        if kind == "error":
            body["error"] = error_of(event)
        elif kind == "messageStart":
            answer |= data
        elif kind in ("messageStop", "metadata"):
            body |= data
        elif kind in ("contentBlockStart", "contentBlockDelta"):
            _fold_block(blocks, data)
    if blocks:
        answer["content"] = [_finished(blocks[index]) for index in sorted(blocks)]
    return {"output": {"message": answer}, **body} if answer else body


def _kind_of(event: Event) -> str | None:
    """The name of a frame; in the chunks of a Nova model it is the one key of the data."""
    data = mapping(event.data)
    if event.name in _STREAMED:
        return event.name
    if data.get("error"):
        return "error"
    return next((key for key in data if key in _STREAMED), None)


def _told(event: Event) -> Block:
    data = mapping(event.data)
    return mapping(data.get(_kind_of(event) or "")) or data


def arguments(event: Event) -> Iterator[ArgumentPiece]:
    """The piece of a tool call in an event; see `Dialect.arguments`."""
    data = _told(event)
    index = integer(data.get("contentBlockIndex"))
    start, piece = data.get("start"), dig(data, ("delta", "toolUse", "input"))
    if start:
        yield from calls_begun(_block_parts(start), index)
    elif isinstance(piece, str):
        yield ArgumentPiece(piece, index)


def _fold_block(blocks: dict[int, dict[str, Any]], data: Block) -> None:
    block = blocks.setdefault(integer(data.get("contentBlockIndex")) or 0, {})
    for key, value in (mapping(data.get("start")) | mapping(data.get("delta"))).items():
        block[key] = _folded(key, block.get(key), value)


def _folded(key: str, old: Json, new: Json) -> Json:
    """Strings are joined and objects merged; what tells of a tool's result comes as an array of contents."""
    if key == "citation":
        return [*sequence(old), new]
    if isinstance(new, list):
        return {**mapping(old), "content": [*sequence(mapping(old).get("content")), *new]}
    if isinstance(new, dict):
        merged = dict(mapping(old))
        for name, value in new.items():
            merged[name] = _folded(name, merged.get(name), value)
        return merged
    return old + new if isinstance(old, str) and isinstance(new, str) else new


def _finished(block: dict[str, Any]) -> dict[str, Any]:
    """As the whole answer has it: input parsed, reasoning's text inside, text that is cited in its block."""
    finished = dict(block)
    tool, reasoning = mapping(block.get("toolUse")), mapping(block.get("reasoningContent"))
    if tool:
        finished["toolUse"] = {**tool, "input": _input(tool.get("input", ""))}
    if "text" in reasoning:
        finished["reasoningContent"] = {"reasoningText": reasoning}
    if "citation" in finished:
        cited = {"citations": finished.pop("citation"), "content": [{"text": finished.pop("text", "")}]}
        finished["citationsContent"] = cited
    return finished


def _input(pieces: Json) -> Json:
    """An input that was cut stays the text that it is; none at all is an empty object."""
    if not isinstance(pieces, str):
        return pieces
    try:
        return loads(pieces.encode("utf-8", "surrogatepass")) if pieces else {}
    except (ValueError, RecursionError):
        return pieces


_COUNTS: Final[Mapping[str, Paths]] = {
    "input_tokens": (("inputTokens",),),
    "output_tokens": (("outputTokens",),),
    "cache_read_tokens": (("cacheReadInputTokens",), ("cacheReadInputTokenCount",)),
    "cache_write_tokens": (("cacheWriteInputTokens",), ("cacheWriteInputTokenCount",)),
}


def _parts(content: Json) -> Iterator[Part]:
    """A block is an object with one key, which says what it is."""
    for block in sequence(content) or [content]:
        if isinstance(block, str):
            yield Text(block)
        elif block:
            yield from _block_parts(block)


def _block_parts(block: Json) -> tuple[Part, ...]:
    for key, builder in _BLOCKS.items():
        if key in mapping(block):
            rest = {name: value for name, value in block.items() if name != key}
            built = builder(block[key])
            return (*built, *((Other(rest),) if rest else ())) if built else (Other(block),)
    return (Other(block),)


def _text(value: Json) -> tuple[Part, ...]:
    return (Text(value),) if isinstance(value, str) else ()


def _reasoning(value: Json) -> tuple[Part, ...]:
    if "redactedContent" in mapping(value):
        return (Thinking(""),)
    text = dig(value, ("reasoningText", "text"))
    return thinking(text) or ((Thinking(""),) if text == "" else ())


def _tool_use(value: Json) -> tuple[Part, ...]:
    fields = mapping(value)
    name, ident = string(fields.get("name")), string(fields.get("toolUseId"))
    server_side = fields.get("type") == "server_tool_use"
    return (ToolCall(ident, name, fields.get("input"), server_side),) if name or ident else ()


def _tool_result(value: Json) -> tuple[Part, ...]:
    fields = mapping(value)
    ident, kind = string(fields.get("toolUseId")), string(fields.get("type"))
    if ident is None and "content" not in fields:
        return ()
    server_side = kind not in (None, "tool_result")
    name = kind.removesuffix("_result") if kind and server_side else None
    result = ToolResult(ident, fields.get("content"), name, server_side)
    failed = fields.get("status") == "error"
    return (result, Other({"status": "error"})) if failed else (result,)


def _media(modality: Literal["image", "audio", "video", "file"], value: Json) -> tuple[Part, ...]:
    """Its format is a word of AWS's (`png`, `three_gp`), or a MIME type as some apps send it."""
    fields = mapping(value)
    kind, source = string(fields.get("format")), mapping(fields.get("source"))
    if kind and "/" not in kind:
        kind = _MIME_TYPES.get(kind, f"{_FAMILIES.get(modality, 'application')}/{kind}")
    data, uri = source.get("bytes"), dig(source, ("s3Location", "uri"))
    if isinstance(data, str):
        return (Media(modality, mime_type=kind, data=data),)
    return (Media(modality, mime_type=kind, uri=uri),) if isinstance(uri, str) else ()


def _document(value: Json) -> tuple[Part, ...]:
    source = mapping(mapping(value).get("source"))
    text = source.get("text")
    return _text(text) if isinstance(text, str) else _media("file", value)


def _cited(value: Json) -> tuple[Part, ...]:
    pieces = map(mapping, sequence(mapping(value).get("content")))
    texts = [text for piece in pieces for text in _text(piece.get("text"))]
    return (*texts, *leftovers(mapping(value), ("citations",))) if texts else ()


_FAMILIES: Final = {"image": "image", "audio": "audio", "video": "video"}
_MIME_TYPES: Final[Mapping[str, str]] = {
    "csv": "text/csv",
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "html": "text/html",
    "md": "text/markdown",
    "mkv": "video/x-matroska",
    "mov": "video/quicktime",
    "mp3": "audio/mpeg",
    "three_gp": "video/3gpp",
    "txt": "text/plain",
    "wmv": "video/x-ms-wmv",
    "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_BLOCKS: Final[Mapping[str, Callable[[Json], tuple[Part, ...]]]] = {
    "text": _text,
    "reasoningContent": _reasoning,
    "toolUse": _tool_use,
    "toolResult": _tool_result,
    "image": partial(_media, "image"),
    "audio": partial(_media, "audio"),
    "video": partial(_media, "video"),
    "document": _document,
    "citationsContent": _cited,
}
"""Key of a block → what makes parts of its value; others (`cachePoint`, `guardContent`) are kept."""

CONVERSE: Final = Dialect(
    name="converse",
    operation="chat",
    list_key="messages",
    accepts=accepts,
    split=Splitter("messages", system_key="system", tools_path=("toolConfig", "tools")),
    params={
        "max_tokens": (("inferenceConfig", "maxTokens"), ("inferenceConfig", "max_new_tokens")),
        "temperature": (("inferenceConfig", "temperature"),),
        "top_p": (("inferenceConfig", "topP"), ("inferenceConfig", "top_p")),
        "top_k": (
            ("inferenceConfig", "topK"),
            ("inferenceConfig", "top_k"),
            ("additionalModelRequestFields", "top_k"),
            ("additionalModelRequestFields", "inferenceConfig", "topK"),
        ),
        "stop_sequences": (("inferenceConfig", "stopSequences"),),
        "reasoning_level": (
            ("additionalModelRequestFields", "reasoning_effort"),
            ("additionalModelRequestFields", "output_config", "effort"),
        ),
        "output_type": (("outputConfig", "textFormat", "type"),),
        "tool_choice": (("toolConfig", "toolChoice"),),
        "service_tier": (("serviceTier", "type"),),
    },
    decode=decode,
    assemble=assemble,
    message=message,
    ends=ends,
    arguments=arguments,
    tools_in=each_key(no_tools=("cachePoint",)),
    provider="aws.bedrock",
)
