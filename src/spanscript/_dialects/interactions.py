"""
The interactions API: `POST …/interactions`, Google's: steps in, steps out.

Its first version had contents where there are steps now, and other names for the events; both are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Final, Literal

from spanscript._dialects._bodies import Extras, reply_of
from spanscript._dialects._interaction_events import adds, argument_pieces, assemble, ends
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
from spanscript._dialects._usage import first_integer
from spanscript._exchange import (
    ArgumentPiece,
    Choice,
    Dialect,
    Event,
    Failure,
    Json,
    Media,
    Message,
    Part,
    Reply,
    Thinking,
    ToolCall,
    ToolResult,
    Usage,
)
from spanscript._shapes import integer, mapping, sequence, string
from spanscript._wire import failure_in, terminal

_EXTRAS: Final[Extras] = {"service_tier": ("service_tier",)}
_ROLES: Final[Mapping[str, str]] = {
    "model": "assistant",
    "function_result": "tool",
    "model_output": "assistant",
    "thought": "assistant",
}
"""By the role of a turn, or the type of a step."""
_UNFINISHED: Final = "in_progress"
_TOOLS: Final = (
    *("code_execution", "file_search", "function", "google_maps", "google_search", "mcp_server_tool"),
    *("processing", "retrieval", "tool_search", "url_context"),
)


def accepts(body: Mapping[str, bytes]) -> bool:
    """Whether the body asks a model or an agent, or goes on with an interaction."""
    asks = body.get("input", b"").startswith((b'"', b"[", b"{")) or "continuation_token" in body
    return asks and any(key in body for key in ("model", "agent", "previous_interaction_id"))


def decode(body: Json) -> Reply:
    """The reply of a whole answer."""
    fields = mapping(body)
    status = string(fields.get("status"))
    finish = None if status == _UNFINISHED else status
    steps = [*sequence(fields.get("steps")), *sequence(fields.get("outputs"))]
    said = [step for step in steps if mapping(step).get("type") != "user_input"]
    parts = parts_of(said, _BLOCKS) if said else ()
    choices = [Choice(Message("assistant", parts), finish)] if parts or finish else []
    named = {**fields, "model": fields.get("model") or fields.get("agent")}
    return reply_of(named, choices, _EXTRAS, usage=_usage(fields.get("usage")), failure=_failure(fields))


def arguments(event: Event) -> Iterator[ArgumentPiece]:
    """The piece of a tool call in an event; see `Dialect.arguments`."""
    data = mapping(event.data)
    for key in ("step", "content", "delta"):
        if data.get(key):
            yield from calls_begun(parts_of(data[key], _BLOCKS), integer(data.get("index")))
    yield from argument_pieces(event)


def _failure(fields: Block) -> Failure | None:
    """The first of its errors; a background task that failed may tell none."""
    told = next((failure_in({"error": error}) for error in sequence(fields.get("errors")) if error), None)
    return told or (Failure("failed") if fields.get("status") == "failed" else None)


def _usage(counts: Json) -> Usage:
    """Thoughts, and what tools put into the prompt, are said beside input and output."""
    said = {key: first_integer(counts, ((f"total_{key}_tokens",),)) for key in _COUNTS}
    return Usage(
        input_tokens=_sum(said["input"], said["tool_use"]),
        output_tokens=_sum(said["output"], said["thought"]),
        cache_read_tokens=said["cached"],
        reasoning_tokens=said["thought"],
    )


_COUNTS: Final = ("input", "tool_use", "output", "thought", "cached")


def _sum(count: int | None, more: int | None) -> int | None:
    return count if more is None else (count or 0) + more


def message(value: Json) -> Message:
    """A step, a content or a turn of the input, or the system prompt."""
    fields = mapping(value)
    if "role" in fields:
        role = string(fields["role"]) or "user"
        return Message(_ROLES.get(role, role), parts_of(fields.get("content", ""), _BLOCKS))
    kind = str(fields.get("type"))
    tool = kind.endswith(("_call", "_result"))
    return Message(_ROLES.get(kind, "assistant" if tool else "user"), parts_of(value, _BLOCKS))


def _call(tool: str, step: Block) -> tuple[Part, ...]:
    name = string(step.get("name")) or tool
    call = ToolCall(string(step.get("id")), name, step.get("arguments"), tool != "function")
    return call, *leftovers(step, ("server_name",))


def _result(tool: str, step: Block) -> tuple[Part, ...]:
    name = string(step.get("name")) or (None if tool == "function" else tool)
    result = ToolResult(string(step.get("call_id")), step.get("result"), name, tool != "function")
    return result, *leftovers(step, ("is_error",))


def _thought(step: Block) -> tuple[Part, ...]:
    """Summaries; empty where there is only a signature."""
    shown = tuple(
        part for text in sequence(step.get("summary")) for part in thinking(mapping(text).get("text"))
    )
    return shown or (Thinking(""),)


def _content(step: Block) -> tuple[Part, ...]:
    content = step.get("content")
    return (*(parts_of(content, _BLOCKS) if content else ()), *leftovers(step, ("error",)))


def _media(modality: Literal["image", "audio", "video", "file"], block: Block) -> tuple[Part, ...]:
    uri, data = string(block.get("uri")), string(block.get("data"))
    media = Media(modality, mime_type=string(block.get("mime_type")), uri=uri, data=data)
    return (media,) if uri or data else ()


_BLOCKS: Final[Mapping[str, Builder]] = {
    "text": text_block,
    "thought": _thought,
    "image": partial(_media, "image"),
    "audio": partial(_media, "audio"),
    "video": partial(_media, "video"),
    "document": partial(_media, "file"),
    "user_input": _content,
    "model_output": _content,
    **{f"{tool}_call": partial(_call, tool) for tool in _TOOLS},
    **{f"{tool}_result": partial(_result, tool) for tool in _TOOLS},
}

INTERACTIONS: Final = Dialect(
    name="interactions",
    operation="chat",
    list_key="input",
    accepts=accepts,
    split=Splitter("input", system_key="system_instruction"),
    params={
        "model": (("model",), ("agent",)),
        "max_tokens": (("generation_config", "max_output_tokens"),),
        "temperature": (("generation_config", "temperature"),),
        "top_p": (("generation_config", "top_p"),),
        "seed": (("generation_config", "seed"),),
        "stop_sequences": (("generation_config", "stop_sequences"),),
        "stream": (("stream",),),
        "reasoning_level": (("generation_config", "thinking_level"),),
        "output_type": (("response_mime_type",),),
        "previous_response_id": (("previous_interaction_id",),),
        "tool_choice": (("generation_config", "tool_choice"),),
        "service_tier": (("service_tier",),),
    },
    decode=decode,
    assemble=assemble,
    message=message,
    terminal=terminal(ends, (b"interaction.complete", b"[DONE]", b"error")),
    ends=ends,
    adds=adds,
    arguments=arguments,
    provider="gcp.gemini",
)
