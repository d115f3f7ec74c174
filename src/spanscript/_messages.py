"""
Messages as the GenAI conventions write them (`gen_ai.input.messages` and its kin).

Source: the JSON schemas of open-telemetry/semantic-conventions-genai, read in November 2026. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from spanscript import _json
from spanscript._blobs import fingerprint
from spanscript._exchange import (
    Choice,
    Json,
    Media,
    Message,
    Other,
    Part,
    Refusal,
    Reply,
    Request,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)


def input_messages(request: Request) -> list[Json]:
    """The messages that were sent, oldest first."""
    items = request.split.items if request.split else ()
    return [_message(request.dialect.message(_json.loads(item))) for item in items]


def system_instructions(request: Request) -> list[Json]:
    """The parts of the system prompt; empty if there is none."""
    if request.split is None or request.split.system is None:
        return []
    content = _json.loads(request.split.system)
    message = request.dialect.message({"role": "system", "content": content})
    return [part_json(part) for part in message.parts]


def tool_definitions(request: Request) -> list[Json]:
    """The tools that were offered, as sent."""
    tools = request.split.tools if request.split else None
    return list(_json.loads(tools)) if tools else []


def output_messages(reply: Reply) -> list[Json]:
    """The answers, each with its finish reason."""
    return [_choice(choice) for choice in reply.choices]


def _choice(choice: Choice) -> Json:
    return {**_message(choice.message), "finish_reason": choice.finish_reason or ""}


def _message(message: Message) -> dict[str, Json]:
    named = {"name": message.name} if message.name else {}
    return {"role": message.role, "parts": [part_json(part) for part in message.parts], **named}


def part_json(part: Part) -> Json:
    """A part as the conventions write it; base64 by its hash alone."""
    return _PARTS[type(part)](part)


def _tool_call(part: ToolCall) -> Json:
    arguments = part.arguments
    if isinstance(arguments, str):
        try:
            arguments = _json.loads(arguments.encode("utf-8", "surrogatepass"))
        except (ValueError, RecursionError):
            arguments = part.arguments  # what the model wrote is no JSON: it stands as it came
    return {"type": "tool_call", "id": part.id, "name": part.name, "arguments": arguments}


def _media(part: Media) -> Json:
    about = {"modality": part.modality, "mime_type": part.mime_type}
    if part.uri is not None:
        return {"type": "uri", "uri": part.uri, **about}
    if part.file_id is not None:
        return {"type": "file", "file_id": part.file_id, **about}
    if part.data is None:
        return {"type": "media", **about}
    # Base64 stays out of telemetry, which is bounded by items and not by bytes; the transcript has it.
    # A `blob` part must have its content, so this is a `uri` part: by the hash, the name of the blob there.
    digest, size = fingerprint(part.data)
    return {"type": "uri", "uri": f"sha256:{digest}", "size": size, **about}


_PARTS: Final[Mapping[type, Callable[[Any], Json]]] = {
    Text: lambda part: {"type": "text", "content": part.text},
    Thinking: lambda part: {"type": "reasoning", "content": part.text},
    Refusal: lambda part: {"type": "text", "content": part.text},
    ToolCall: _tool_call,
    ToolResult: lambda part: {"type": "tool_call_response", "id": part.id, "response": part.result},
    Media: _media,
    Other: lambda part: (
        part.value if isinstance(part.value, dict) else {"type": "other", "value": part.value}
    ),
}
