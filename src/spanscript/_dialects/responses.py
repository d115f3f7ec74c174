"""The responses API: `POST …/responses`, items in, items out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from spanscript._dialects._bodies import Extras, kind_of, reply_of
from spanscript._dialects._items import adds, argument_pieces, assemble, ends
from spanscript._dialects._parts import (
    Block,
    Builder,
    calls_begun,
    leftovers,
    media_at,
    parts_of,
    refusal_block,
    text_block,
    thinking,
)
from spanscript._dialects._splitting import Splitter
from spanscript._dialects._tools import grouped_at
from spanscript._exchange import (
    ArgumentPiece,
    Choice,
    Dialect,
    Event,
    Failure,
    Json,
    Media,
    Message,
    Other,
    Part,
    Reply,
    Thinking,
    ToolCall,
    ToolResult,
)
from spanscript._shapes import dig, integer, mapping, sequence, string
from spanscript._wire import terminal

_EXTRAS: Final[Extras] = {"service_tier": ("service_tier",)}
_BESIDE_INPUT: Final = frozenset(
    {
        "background",
        "conversation",
        "instructions",
        "max_output_tokens",
        "model",
        "parallel_tool_calls",
        "reasoning",
        "store",
        "stream",
        "tools",
    }
)
_INSTEAD_OF_INPUT: Final = frozenset({"conversation", "instructions", "previous_response_id", "prompt"})
_UNFINISHED: Final = frozenset({"queued", "in_progress"})


def accepts(body: Mapping[str, bytes]) -> bool:
    """Whether the body asks a model: something to answer, and what only this API has beside it."""
    if body.get("previous_response_id", b"").startswith(b'"resp'):
        return True
    prompt = body.get("prompt", b"")
    if prompt.startswith(b"{") and b'"id"' in prompt:
        return True
    if body.get("input", b"").startswith((b'"', b"[")):
        return not _BESIDE_INPUT.isdisjoint(body)
    return "model" in body and not _INSTEAD_OF_INPUT.isdisjoint(body)


def decode(body: Json) -> Reply:
    """The reply of a whole answer."""
    fields = mapping(body)
    output = sequence(fields.get("output"))
    finish = _finish_reason(fields)
    choices = []
    if output or finish:
        parts = tuple(part for item in output for part in _said_parts(item))
        choices.append(Choice(Message("assistant", parts), finish))
    failure = Failure("failed") if fields.get("status") == "failed" else None
    return reply_of(body, choices, _EXTRAS, failure=failure)


def _said_parts(item: Json) -> tuple[Part, ...]:
    """The parts of an item of the output; a compacted history also has what others had said."""
    return _item_parts(item) if mapping(item).get("role", "assistant") == "assistant" else (Other(item),)


def message(value: Json) -> Message:
    """An item of the input, or the system prompt."""
    if isinstance(value, str):
        return Message("user", parts_of(value, _BLOCKS))
    fields = mapping(value)
    kind = string(fields.get("type")) or "message"
    role = string(fields.get("role")) or _ROLES.get(kind)
    role = role or ("tool" if kind.endswith("_output") else "assistant")
    return Message(role, _item_parts(value), string(fields.get("name")) if kind == "message" else None)


def arguments(event: Event) -> Iterator[ArgumentPiece]:
    """The piece of a tool call in an event; see `Dialect.arguments`."""
    data = mapping(event.data)
    if kind_of(event) == "response.output_item.added":
        yield from calls_begun(_item_parts(data.get("item")), integer(data.get("output_index")))
    yield from argument_pieces(event)


def _finish_reason(fields: Block) -> str | None:
    status = string(fields.get("status"))
    reason = string(dig(fields, ("incomplete_details", "reason")))
    return reason or (None if status in _UNFINISHED else status)


class _Call(NamedTuple):
    """Where an item that calls a tool says what: keys, and the tool's name where the item has none."""

    arguments: str
    name: str | None = None
    server_side: bool = False
    result: str | None = None


_CALLS: Final[Mapping[str, _Call]] = {
    "function_call": _Call("arguments"),
    "custom_tool_call": _Call("input"),
    "computer_call": _Call("action", "computer"),
    "local_shell_call": _Call("action", "local_shell"),
    "shell_call": _Call("action", "shell"),
    "apply_patch_call": _Call("operation", "apply_patch"),
    "tool_search_call": _Call("arguments", "tool_search", server_side=True),
    "web_search_call": _Call("action", "web_search", server_side=True),
    "file_search_call": _Call("queries", "file_search", server_side=True, result="results"),
    "code_interpreter_call": _Call("code", "code_interpreter", server_side=True, result="outputs"),
    "mcp_call": _Call("arguments", server_side=True, result="output"),
}


def _item_parts(item: Json) -> tuple[Part, ...]:
    fields = mapping(item)
    if not fields:
        return parts_of(item, _BLOCKS)
    kind = string(fields.get("type")) or "message"
    if kind in _CALLS:
        return _call(fields, _CALLS[kind])
    if kind.endswith("_output"):
        return (_result(fields),)
    builder = _ITEMS.get(kind)
    return (builder(fields) if builder else ()) or (Other(item),)


def _call(item: Block, call: _Call) -> tuple[Part, ...]:
    ident = string(item.get("call_id")) or string(item.get("id"))
    name = call.name or string(item.get("name"))
    server_side = call.server_side and item.get("execution") != "client"
    parts: list[Part] = [ToolCall(ident, name, item.get(call.arguments), server_side)]
    if call.result and item.get(call.result):
        parts.append(ToolResult(ident, item[call.result], name, server_side))
    return *parts, *leftovers(item, ("error",))


def _result(item: Block) -> Part:
    ident = string(item.get("call_id"))
    kept = item.get("output", item.get("tools"))
    return ToolResult(ident, kept, string(item.get("name")), item.get("execution") == "server")


def _message(item: Block) -> tuple[Part, ...]:
    return parts_of(item.get("content"), _BLOCKS) if "content" in item else ()


def _reasoning(item: Block) -> tuple[Part, ...]:
    """Summaries, or the reasoning itself where it is open; empty where it is only encrypted."""
    texts = [*sequence(item.get("summary")), *sequence(item.get("content"))]
    shown = tuple(part for text in texts for part in thinking(mapping(text).get("text")))
    return shown or (Thinking(""),)


def _image_generation(item: Block) -> tuple[Part, ...]:
    ident, image, kind = string(item.get("id")), string(item.get("result")), item.get("output_format")
    call = ToolCall(ident, "image_generation", item.get("revised_prompt"), server_side=True)
    mime_type = f"image/{kind}" if isinstance(kind, str) else None
    return (call, Media("image", mime_type=mime_type, data=image)) if image else (call,)


def _input_image(block: Block) -> tuple[Part, ...]:
    file_id = string(block.get("file_id"))
    return (Media("image", file_id=file_id),) if file_id else media_at("image", block.get("image_url"))


def _input_file(block: Block) -> tuple[Part, ...]:
    file_id = string(block.get("file_id"))
    if file_id:
        return (Media("file", file_id=file_id),)
    return media_at("file", block.get("file_data") or block.get("file_url"))


def _input_audio(block: Block) -> tuple[Part, ...]:
    data, kind = (dig(block, ("input_audio", key)) for key in ("data", "format"))
    mime_type = f"audio/{kind}" if isinstance(kind, str) else None
    return (Media("audio", mime_type=mime_type, data=data),) if isinstance(data, str) else ()


def _output_audio(block: Block) -> tuple[Part, ...]:
    clip = Media("audio", data=string(block.get("data")))
    return clip, *parts_of(block.get("transcript"), _BLOCKS)


_ROLES: Final[Mapping[str, str]] = {"message": "user", "mcp_approval_response": "user"}
_ITEMS: Final[Mapping[str, Builder]] = {
    "message": _message,
    "reasoning": _reasoning,
    "image_generation_call": _image_generation,
}
_BLOCKS: Final[Mapping[str, Builder]] = {
    "text": text_block,
    "input_text": text_block,
    "output_text": text_block,
    "summary_text": text_block,
    "refusal": refusal_block,
    "reasoning_text": lambda block: thinking(block.get("text")),
    "input_image": _input_image,
    "input_file": _input_file,
    "input_audio": _input_audio,
    "output_audio": _output_audio,
}

RESPONSES: Final = Dialect(
    name="responses",
    operation="chat",
    list_key="input",
    accepts=accepts,
    split=Splitter("input", system_key="instructions", leading=True),
    params={
        "model": (("model",),),
        "max_tokens": (("max_output_tokens",),),
        "temperature": (("temperature",),),
        "top_p": (("top_p",),),
        "top_k": (("top_k",),),
        "stream": (("stream",),),
        "reasoning_level": (("reasoning", "effort"),),
        "previous_response_id": (("previous_response_id",),),
        "output_type": (("text", "format", "type"),),
        "tool_choice": (("tool_choice",),),
        "service_tier": (("service_tier",),),
        "conversation_id": (("conversation", "id"), ("conversation",)),
    },
    decode=decode,
    assemble=assemble,
    message=message,
    terminal=terminal(ends, (b"response.completed", b"response.failed", b"response.incomplete", b"error")),
    ends=ends,
    adds=adds,
    arguments=arguments,
    tools_in=grouped_at("tools"),
)
