"""What entries tell of requests, answers and failures: tables from field to source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, Final, TypeAlias

from msgspec import Struct

from spanscript import _exchange as x

Fields: TypeAlias = tuple[tuple[str, Callable[[Any], Any]], ...]
"""Field name → how to get it; `None` means not known."""


def answer(reply: x.Reply) -> dict[str, x.Json]:
    """What an outcome tells of a reply."""
    said = _said(reply.choices[0].message.parts) if reply.choices else {}
    return {**present(_REPLY_HEAD, reply), **said, **present(_REPLY, reply)}


def _said(parts: tuple[x.Part, ...]) -> dict[str, x.Json]:
    """What one choice says; `parts` only if the rest does not tell all of it in its order."""
    said: dict[str, x.Json] = {}
    for name, kind in (("text", x.Text), ("thinking", x.Thinking), ("refusal", x.Refusal)):
        texts = [part.text for part in parts if isinstance(part, kind)]
        if texts:
            said[name] = "".join(texts)
    calls = [fields_of_part(part) for part in parts if isinstance(part, x.ToolCall)]
    if calls:
        said["tool_calls"] = calls
    order = [_USUAL_ORDER.get(type(part), -1) for part in parts]
    if -1 in order or order != sorted(order):
        said["parts"] = [{"type": PART_TYPES[type(part)], **fields_of_part(part)} for part in parts]
    return said


def _choices(reply: x.Reply) -> list[x.Json] | None:
    if len(reply.choices) < 2:
        return None
    return [
        {
            "index": choice.index,
            "role": choice.message.role,
            **_said(choice.message.parts),
            **({} if choice.finish_reason is None else {"finish_reason": choice.finish_reason}),
        }
        for choice in reply.choices
    ]


def fields_of_part(part: Struct) -> dict[str, x.Json]:
    """A part of a message without its type; what is not known is left out."""
    values = {name: getattr(part, name) for name in part.__struct_fields__}
    if not values.get("server_side"):
        values.pop("server_side", None)
    return {name: value for name, value in values.items() if value is not None}


def _since_start(name: str) -> Callable[[x.Outcome], float | None]:
    def milliseconds(outcome: x.Outcome) -> float | None:
        end = getattr(outcome, name)
        return None if end is None else _rounded((end - outcome.started_ns) / 1e6)

    return milliseconds


def _rounded(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds, 3)


def _param(name: str) -> Callable[[x.Request], x.Json]:
    return lambda request: request.params.get(name)


def own(*names: str) -> Fields:
    """Fields that have the names of their sources."""
    return tuple((name, attrgetter(name)) for name in names)


CALL: Final = own("call_id", "attempt", "iteration", "stage")

REQUEST: Final[Fields] = (
    *CALL,
    *own("model", "provider"),
    ("dialect", attrgetter("dialect.name")),
    *own("client", "url", "stream"),
    *((name, _param(name)) for name in ("max_tokens", "temperature", "tool_choice")),
    *own("tool_format"),
    ("native_tool_count", attrgetter("tool_count")),
    ("rate_limit_wait_ms", lambda request: _rounded(request.rate_limit_wait_ms)),
)

REFERENCES: Final = own("system_prompt", "tool_schemas", "context")

_REPLY_HEAD: Final = own("model", "response_id")

_REPLY: Final[Fields] = (
    ("finish_reasons", lambda reply: reply.finish_reasons or None),
    ("choices", _choices),
    *((name, attrgetter(f"usage.{name}")) for name in x.Usage.__struct_fields__),
    ("extras", lambda reply: dict(reply.extras) or None),
)

_TIMES: Final[Fields] = (
    ("response_ms", _since_start("ended_ns")),
    ("first_chunk_ms", _since_start("first_chunk_ns")),
)

_TRUNCATED: Final[Fields] = (("truncated", lambda outcome: outcome.truncated or None),)
_EMPTY: Final[Fields] = (("empty", lambda outcome: outcome.empty or None),)

RESPONSE: Final[Fields] = (*_TIMES, *own("http_status", "request_id"), *_TRUNCATED, *_EMPTY)

ERROR: Final[Fields] = (
    *own("status", "retryable"),
    ("error_type", lambda outcome: outcome.failure and outcome.failure.type),
    ("error_message", lambda outcome: outcome.failure and outcome.failure.message),
    *own("http_status", "request_id", "retry_after_ms"),
    *_TIMES,
    *_TRUNCATED,
)

PART_TYPES: Final[Mapping[type[Struct], str]] = {
    x.Text: "text",
    x.Thinking: "thinking",
    x.ToolCall: "tool_call",
    x.ToolResult: "tool_result",
    x.Media: "media",
    x.Refusal: "refusal",
    x.Other: "other",
}
"""A part → the `type` that it has in an entry."""

_USUAL_ORDER: Final[Mapping[type[Struct], int]] = {x.Thinking: 0, x.Text: 1, x.Refusal: 2, x.ToolCall: 3}


def present(table: Fields, source: object) -> dict[str, x.Json]:
    """What *source* has of the fields of a table."""
    return {name: value for name, get in table if (value := get(source)) is not None}
