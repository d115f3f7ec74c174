"""
Exchange ↔ attributes and metrics, as tables: a rename in the conventions is one line here.

Source: open-telemetry/semantic-conventions-genai (no release; all names 'Development'), read in November
2026, and the stable HTTP conventions. Ours have the prefix `llm.`. What is not known is left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

from msgspec import Struct

from spanscript._exchange import Json, Outcome, Reply, Request, Usage

Value: TypeAlias = "str | bool | int | float | list[str]"
Attributes: TypeAlias = dict[str, Value]

OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
RESPONSE_MODEL: Final = "gen_ai.response.model"
OUTPUT_TYPE: Final = "gen_ai.output.type"
TOKEN_TYPE: Final = "gen_ai.token.type"  # noqa: S105  # a kind of token that is counted, no secret
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
ERROR_TYPE: Final = "error.type"
HTTP_STATUS: Final = "http.response.status_code"
CALL_ID: Final = "llm.call_id"
ATTEMPT: Final = "llm.attempt"
STATUS: Final = "llm.status"
EMPTY: Final = "llm.empty"
FIRST_CHUNK_S: Final = "gen_ai.response.time_to_first_chunk"

ENTRY: Final[Mapping[str, str]] = {
    "writer": "spanscript.writer",
    "seq": "spanscript.seq",
    "hash": "spanscript.hash",
    "call_id": CALL_ID,
    "attempt": ATTEMPT,
    "model": "llm.model",
}
"""What a log record tells of a transcript's entry: key → attribute."""

_LONGEST: Final = 1024
"""Characters of a text that are told. Only prompts and answers are longer; see `_content`."""
_INTEGERS: Final = range(-(2**63), 2**63)

_FINISH_REASONS: Final[Mapping[str, str]] = {
    "tool_calls": "tool_call",
    "function_call": "tool_call",
    "tool_use": "tool_call",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "completed": "stop",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "refusal": "content_filter",
    "requires_action": "tool_call",
    # Google's
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "BLOCKLIST": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "RECITATION": "content_filter",
    "SAFETY": "content_filter",
    "SPII": "content_filter",
    # Cohere's
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "TOOL_CALL": "tool_call",
    "ERROR_LIMIT": "length",
    "ERROR_TOXIC": "content_filter",
}
"""A provider's finish reason → the convention's; others stand as they are."""

_Fit: TypeAlias = Callable[[Json], Any]
"""Makes a value fit its attribute; `None`: it does not, and is left out."""


def _whole(value: Json) -> int | None:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: Json) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) else None


def _texts(value: Json) -> list[str] | None:
    values = [value] if isinstance(value, str) else value
    return values if isinstance(values, list) and values and all(isinstance(v, str) for v in values) else None


def _not_one(value: Json) -> int | None:
    return None if value == 1 else _whole(value)


def _true(value: Json) -> bool | None:
    return True if value is True else None


def _output_type(value: Json) -> str | None:
    return _OUTPUT_TYPES.get(value) if isinstance(value, str) else None


_OUTPUT_TYPES: Final[Mapping[str, str]] = {
    "text": "text",
    "json": "json",
    "json_object": "json",
    "json_schema": "json",
    "application/json": "json",
    "text/plain": "text",
}
_MADE: Final[Mapping[str, str]] = {
    "image_generation": "image",
    "speech_generation": "speech",
    "transcription": "text",
}
"""Operation → what it makes, whatever is asked for."""
_REQUEST: Final[Mapping[str, tuple[str, _Fit]]] = {
    "max_tokens": ("gen_ai.request.max_tokens", _whole),
    "temperature": ("gen_ai.request.temperature", _number),
    "top_p": ("gen_ai.request.top_p", _number),
    "top_k": ("gen_ai.request.top_k", _whole),
    "frequency_penalty": ("gen_ai.request.frequency_penalty", _number),
    "presence_penalty": ("gen_ai.request.presence_penalty", _number),
    "seed": ("gen_ai.request.seed", _whole),
    "stop_sequences": ("gen_ai.request.stop_sequences", _texts),
    "choice_count": ("gen_ai.request.choice.count", _not_one),
    "encoding_formats": ("gen_ai.request.encoding_formats", _texts),
    "reasoning_level": ("gen_ai.request.reasoning.level", _text),
    "previous_response_id": ("gen_ai.request.previous_response.id", _text),
    "output_type": (OUTPUT_TYPE, _output_type),
    "conversation_id": ("gen_ai.conversation.id", _text),
}
_OPENAI_REQUEST: Final[Mapping[str, tuple[str, _Fit]]] = {
    **_REQUEST,
    "service_tier": ("openai.request.service_tier", _text),
}
_USAGE: Final[Mapping[str, tuple[str, ...]]] = {
    "input_tokens": ("gen_ai.usage.input_tokens",),
    "output_tokens": ("gen_ai.usage.output_tokens",),
    "cache_read_tokens": ("gen_ai.usage.cache_read.input_tokens",),
    # The second is the name before the rename: Jaeger's GenAI view reads only that one yet.
    "cache_write_tokens": (
        "gen_ai.usage.cache_write.input_tokens",
        "gen_ai.usage.cache_creation.input_tokens",
    ),
    "reasoning_tokens": ("gen_ai.usage.reasoning.output_tokens",),
}
_EXTRAS: Final[Mapping[str, tuple[str, _Fit]]] = {
    "embedding_dimensions": ("gen_ai.embeddings.dimension.count", _whole),
}
_OPENAI_EXTRAS: Final[Mapping[str, tuple[str, _Fit]]] = {
    **_EXTRAS,
    "service_tier": ("openai.response.service_tier", _text),
    "system_fingerprint": ("openai.response.system_fingerprint", _text),
}


class Instrument(Struct, frozen=True):
    """One metric. `buckets` is empty for a counter."""

    name: str
    unit: str
    description: str
    buckets: tuple[float, ...] = ()


DURATION: Final = Instrument(
    "gen_ai.client.operation.duration",
    "s",
    "Duration of a call, retries and waits included.",
    tuple(0.01 * 2**n for n in range(14)),
)
TOKENS: Final = Instrument(
    "gen_ai.client.token.usage", "{token}", "Tokens of a call.", tuple(float(4**n) for n in range(14))
)
FIRST_CHUNK: Final = Instrument(
    "gen_ai.client.operation.time_to_first_chunk",
    "s",
    "From the start of a call to the first bytes of its streamed answer.",
    tuple(0.001 * 2**n for n in range(18)),
)
RETRY_WAIT: Final = Instrument(
    "llm.client.retry_wait",
    "s",
    "From the end of a failed attempt to the start of the next.",
    tuple(0.01 * 2**n for n in range(14)),
)
ATTEMPTS: Final = Instrument("llm.client.attempts", "{attempt}", "HTTP attempts.")
LOST_ENTRIES: Final = Instrument(
    "spanscript.lost_entries", "{entry}", "Transcript entries that could not be written."
)


def at_start(
    operation: str, provider: str | None, model: str | None, address: str | None, port: int | None
) -> Attributes:
    """What samplers see of a call span."""
    return known(
        {
            OPERATION: operation,
            PROVIDER: provider,
            REQUEST_MODEL: model,
            SERVER_ADDRESS: address,
            SERVER_PORT: port,
        }
    )


def known(values: Mapping[str, Value | None]) -> Attributes:
    """
    Leave out what is not known, and what an exporter cannot send.

    One value that it cannot encode, or a text too long for a receiver, can cost a whole batch of spans.
    """
    return {name: sound for name, value in values.items() if (sound := _sound(value)) is not None}


def of_entry(entry: Mapping[str, Json]) -> Attributes:
    """Attributes of the log record of an entry of the transcript."""
    return known({name: entry.get(key) for key, name in ENTRY.items()})


def short_text(text: str) -> str:
    """*text* as far as it is told in names and attributes."""
    return without_surrogates(text[:_LONGEST])


def without_surrogates(text: str) -> str:
    """Put `?` in the place of halves of characters, which JSON can hold and UTF-8 cannot."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def is_integer_sent(value: int) -> bool:
    """Whether a whole number has the 64 bits that there are for it."""
    return value in _INTEGERS


def _sound(value: Value | None) -> Value | None:
    if isinstance(value, str):
        return short_text(value) or None
    if isinstance(value, int):
        return value if is_integer_sent(value) else None
    if isinstance(value, list):
        return [short_text(text) for text in value if text] or None
    return value


def of_request(request: Request) -> Attributes:
    """What a call span tells of what was asked."""
    table = _OPENAI_REQUEST if request.provider == "openai" else _REQUEST
    made = _MADE.get(request.dialect.operation)
    attributes = known({OUTPUT_TYPE: made}) | _mapped(table, request.params)
    return attributes | known(
        {
            REQUEST_MODEL: request.model,
            "gen_ai.request.stream": True if request.stream else None,
            **_ours(request),
        }
    )


def of_target(request: Request) -> Attributes:
    """What a call span tells of who is asked, where only the request tells it."""
    return known(
        {
            PROVIDER: request.provider,
            SERVER_ADDRESS: request.server_address,
            SERVER_PORT: request.server_port,
        }
    )


def of_attempt(request: Request, method: str) -> Attributes:
    """What an attempt span has from its start."""
    return known(
        {
            CALL_ID: request.call_id,
            ATTEMPT: request.attempt,
            "http.request.method": method,
            "url.full": request.url,
            SERVER_ADDRESS: request.server_address,
            SERVER_PORT: request.server_port,
            "http.request.resend_count": request.attempt or None,
            "llm.rate_limit_wait_ms": request.rate_limit_wait_ms,
            **_ours(request),
        }
    )


def of_reply(reply: Reply, provider: str) -> Attributes:
    """What a call span tells of the answer of *provider*."""
    reasons = [_FINISH_REASONS.get(reason, reason) for reason in reply.finish_reasons]
    return known(
        {
            "gen_ai.response.id": reply.response_id,
            RESPONSE_MODEL: reply.model,
            "gen_ai.response.finish_reasons": reasons or None,
            **_mapped(_OPENAI_EXTRAS if provider == "openai" else _EXTRAS, reply.extras),
            **of_usage(reply.usage),
        }
    )


def of_usage(usage: Usage) -> Attributes:
    """Tokens by kind; on call spans only, so that a backend that sums over spans counts each once."""
    return known({name: getattr(usage, field) for field, names in _USAGE.items() for name in names})


def of_outcome(outcome: Outcome) -> Attributes:
    """How an attempt ended."""
    reply = outcome.reply
    return known(
        {
            HTTP_STATUS: outcome.http_status,
            "http.response.header.x-request-id": [outcome.request_id] if outcome.request_id else None,
            STATUS: outcome.status,
            ERROR_TYPE: outcome.failure.type if outcome.failure else None,
            "llm.retryable": outcome.retryable,
            "llm.retry_after_ms": outcome.retry_after_ms,
            EMPTY: outcome.empty or None,
            "llm.input_tokens": reply.usage.input_tokens if reply else None,
            "llm.output_tokens": reply.usage.output_tokens if reply else None,
        }
    )


def token_counts(usage: Usage) -> Iterable[tuple[str, int]]:
    """Kind of token (`gen_ai.token.type`) and number, for the metric."""
    kinds = (("input", usage.input_tokens), ("output", usage.output_tokens))
    return [(kind, count) for kind, count in kinds if count is not None and 0 <= count < 2**63]


def _ours(request: Request) -> dict[str, Value | None]:
    return {
        "llm.model": request.model,
        "llm.iteration": request.iteration,
        "llm.stage": request.stage,
        "llm.prompt_chars": request.prompt_chars,
        "llm.tool_format": request.tool_format,
    }


def _mapped(table: Mapping[str, tuple[str, _Fit]], values: Mapping[str, Json]) -> Attributes:
    return known({name: fit(values[key]) for key, (name, fit) in table.items() if key in values})
