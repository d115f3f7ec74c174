"""The messages API: `POST …/messages`, Anthropic's, also as Bedrock and Vertex carry it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Final, Literal

from spanscript._dialects._bodies import Extras, error_of, kind_of, reply_of
from spanscript._dialects._parts import (
    Block,
    Builder,
    calls_begun,
    leftovers,
    parts_of,
    text_block,
    thinking,
)
from spanscript._dialects._splitting import Splitter
from spanscript._dialects._usage import Paths, usage_beside_cache
from spanscript._exchange import (
    ArgumentPiece,
    Choice,
    Dialect,
    Event,
    Json,
    Media,
    Message,
    Part,
    Reply,
    Thinking,
    ToolCall,
    ToolResult,
)
from spanscript._json import loads
from spanscript._shapes import integer, mapping, sequence, string
from spanscript._wire import terminal

_EXTRAS: Final[Extras] = {"service_tier": ("usage", "service_tier")}
_OWN_KEYS: Final = ("max_tokens", "model", "anthropic_version")


def accepts(body: Mapping[str, bytes]) -> bool:
    """Whether the body has messages with roles, and what only a request for a model's answer has."""
    messages = body.get("messages", b"")
    return messages.startswith(b"[") and b'"role"' in messages and any(key in body for key in _OWN_KEYS)


def decode(body: Json) -> Reply:
    """The reply of a whole answer."""
    fields = mapping(body)
    finish = string(fields.get("stop_reason"))
    choices = []
    if sequence(fields.get("content")) or finish:
        choices.append(Choice(message({"role": "assistant", **fields}), finish))
    return reply_of(body, choices, _EXTRAS, usage=usage_beside_cache(fields.get("usage"), _COUNTS))


def message(value: Json) -> Message:
    """A message of the list, the system prompt, or the answer itself."""
    fields = {"content": value} if isinstance(value, str) else mapping(value)
    return Message(string(fields.get("role")) or "user", parts_of(fields.get("content"), _BLOCKS))


def ends(event: Event) -> bool:
    """Whether nothing follows an event."""
    return kind_of(event) in ("message_stop", "error")


def arguments(event: Event) -> Iterator[ArgumentPiece]:
    """The piece of a tool call in an event; see `Dialect.arguments`."""
    data = mapping(event.data)
    index, delta = integer(data.get("index")), mapping(data.get("delta"))
    if kind_of(event) == "content_block_start":
        yield from calls_begun(parts_of(data.get("content_block"), _BLOCKS), index)
    elif delta.get("type") == "input_json_delta":
        yield ArgumentPiece(string(delta.get("partial_json")) or "", index)


def assemble(events: Iterable[Event]) -> Json:
    """The body of the whole answer; see `Dialect.assemble`."""
    body: dict[str, Any] = {}
    blocks: dict[int, dict[str, Any]] = {}
    for event in events:
        kind, data = kind_of(event), mapping(event.data)
        if kind == "message_start":
            body = dict(mapping(data.get("message")))
        elif kind == "message_delta":
            usage = {**mapping(body.get("usage")), **_said(mapping(data.get("usage")))}
            body = {**body, **_said(mapping(data.get("delta"))), "usage": usage}
        elif kind == "error":
            body["error"] = error_of(event)
        elif kind is not None and kind.startswith("content_block_"):
            _fold_block(blocks, kind, data)
    if blocks:
        body["content"] = [_finished(blocks[index]) for index in sorted(blocks)]
    return body


def _said(fields: Block) -> Block:
    return {key: value for key, value in fields.items() if value is not None}


def _fold_block(blocks: dict[int, dict[str, Any]], kind: str, data: Block) -> None:
    index = integer(data.get("index")) or 0
    if kind == "content_block_start":
        blocks[index] = dict(mapping(data.get("content_block")))
    elif kind == "content_block_delta":
        delta = mapping(data.get("delta"))
        blocks[index] = _with_delta(blocks.get(index) or _begun(delta), delta)


def _begun(delta: Block) -> Block:
    """A block whose start did not come, as far as its first delta tells of it."""
    return {"type": str(delta.get("type")).removesuffix("_delta")}


def _with_delta(block: Block, delta: Block) -> Block:
    grown = dict(block)
    for key, value in delta.items():
        if key == "type":
            continue
        if key == "citation":
            grown["citations"] = [*sequence(grown.get("citations")), value]
        elif isinstance(value, str) and isinstance(grown.get(key), str):
            grown[key] += value
        elif value is not None:
            grown[key] = value
    return grown


def _finished(block: Block) -> Block:
    """With the pieces of its input put together; an input that was cut stays the text that it is."""
    finished = dict(block)
    pieces = string(finished.pop("partial_json", None))
    if pieces:
        try:
            finished["input"] = loads(pieces.encode("utf-8", "surrogatepass"))
        except (ValueError, RecursionError):
            finished["input"] = pieces
    return finished


_COUNTS: Final[Mapping[str, Paths]] = {
    "input_tokens": (("input_tokens",),),
    "output_tokens": (("output_tokens",),),
    "cache_read_tokens": (("cache_read_input_tokens",),),
    "cache_write_tokens": (("cache_creation_input_tokens",),),
    "reasoning_tokens": (("output_tokens_details", "thinking_tokens"),),
}


def _thinking(block: Block) -> tuple[Part, ...]:
    text = block.get("thinking")
    return thinking(text) or ((Thinking(""),) if text == "" else ())


def _tool_use(block: Block) -> tuple[Part, ...]:
    server_side = block["type"] != "tool_use"
    name, arguments = string(block.get("name")), block.get("input")
    return (ToolCall(string(block.get("id")), name, arguments, server_side),)


def _tool_result(block: Block) -> tuple[Part, ...]:
    kind = block["type"].removesuffix("_result")
    name = None if kind in ("tool", "mcp_tool") else kind.removesuffix("_tool")
    ident, content = string(block.get("tool_use_id")), block.get("content")
    result = ToolResult(ident, content, name, server_side=kind != "tool")
    return result, *leftovers(block, ("is_error",))


def _sourced(modality: Literal["image", "file"], block: Block) -> tuple[Part, ...]:
    """Media whose `source` is base64, a URL or a file of the provider's; others stay as they are."""
    source = mapping(block.get("source"))
    kind = source.get("type")
    if kind == "base64":
        mime_type, data = string(source.get("media_type")), string(source.get("data"))
        return (Media(modality, mime_type=mime_type, data=data),)
    if kind == "url":
        return (Media(modality, uri=string(source.get("url"))),)
    if kind == "file":
        return (Media(modality, file_id=string(source.get("file_id"))),)
    return ()


def _container_upload(block: Block) -> tuple[Part, ...]:
    file_id = string(block.get("file_id"))
    return (Media("file", file_id=file_id),) if file_id else ()


_BLOCKS: Final[Mapping[str, Builder]] = {
    "text": text_block,
    "thinking": _thinking,
    "redacted_thinking": lambda _: (Thinking(""),),
    "image": partial(_sourced, "image"),
    "document": partial(_sourced, "file"),
    "container_upload": _container_upload,
    "tool_use": _tool_use,
    "server_tool_use": _tool_use,
    "mcp_tool_use": _tool_use,
    "tool_result": _tool_result,
    "advisor_tool_result": _tool_result,
    "bash_code_execution_tool_result": _tool_result,
    "code_execution_tool_result": _tool_result,
    "mcp_tool_result": _tool_result,
    "text_editor_code_execution_tool_result": _tool_result,
    "tool_search_tool_result": _tool_result,
    "web_fetch_tool_result": _tool_result,
    "web_search_tool_result": _tool_result,
}

MESSAGES: Final = Dialect(
    name="messages",
    operation="chat",
    list_key="messages",
    accepts=accepts,
    split=Splitter("messages", system_key="system"),
    params={
        "model": (("model",),),
        "max_tokens": (("max_tokens",),),
        "temperature": (("temperature",),),
        "top_p": (("top_p",),),
        "top_k": (("top_k",),),
        "stop_sequences": (("stop_sequences",),),
        "stream": (("stream",),),
        "reasoning_level": (("output_config", "effort"),),
        "output_type": (("output_config", "format", "type"), ("output_format", "type")),
        "tool_choice": (("tool_choice",),),
        "service_tier": (("service_tier",),),
    },
    decode=decode,
    assemble=assemble,
    message=message,
    terminal=terminal(ends, (b"message_stop", b"error")),
    ends=ends,
    arguments=arguments,
)
