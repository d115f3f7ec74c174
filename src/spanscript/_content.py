"""
Prompts and answers on spans and events, where the operator asked for it, and only there.

The transcript is an opt-in of its own and is written in any case.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from opentelemetry import trace
from opentelemetry._logs import LogRecord
from opentelemetry.trace import Span

from spanscript import _messages
from spanscript import _semconv as semconv
from spanscript._attempt import Attempt
from spanscript._blobs import MIN_TEXT, without_base64
from spanscript._exchange import Json, Reply, Request
from spanscript._json import dumps
from spanscript._loggers import Loggers
from spanscript.config import Capture

_EVENT = "gen_ai.client.inference.operation.details"
_DEEPEST = 16
"""Of a value's levels these are told as such: receivers refuse a whole batch for one that is too deep."""


class Content:
    """
    Records content.

    Args:
        capture: Where it goes.
        loggers: Carry the events.
    """

    def __init__(self, capture: Capture, loggers: Loggers) -> None:
        self._on_span = capture in ("SPAN_ONLY", "SPAN_AND_EVENT")
        self._on_event = capture in ("EVENT_ONLY", "SPAN_AND_EVENT")
        self._loggers = loggers

    def record(self, span: Span, attempt: Attempt) -> None:
        """Record the last attempt of a call on its span, as an event, both or neither."""
        logger = self._loggers.current() if self._on_event else None
        if not self._on_span and logger is None:
            return
        outcome = attempt.outcome
        content = content_of(attempt.request, outcome.reply if outcome else None)
        if self._on_span:
            # Attributes hold no structured values in every supported release of the SDK: JSON text then.
            span.set_attributes({name: text_of(value) for name, value in content.items()})
        if logger is not None:
            logger.emit(
                LogRecord(
                    timestamp=time.time_ns(),
                    context=trace.set_span_in_context(span),
                    event_name=_EVENT,
                    attributes={**_about(attempt), **_sound(content)},
                )
            )


def content_of(request: Request, reply: Reply | None) -> Mapping[str, Any]:
    """Prompt and answer by the names of their attributes; what is empty is left out."""
    content = {
        "gen_ai.input.messages": _messages.input_messages(request),
        "gen_ai.system_instructions": _messages.system_instructions(request),
        "gen_ai.tool.definitions": _messages.tool_definitions(request),
        "gen_ai.output.messages": _messages.output_messages(reply) if reply else [],
    }
    return {name: value for name, value in content.items() if value}


def _about(attempt: Attempt) -> Mapping[str, Any]:
    request = attempt.request
    reply = attempt.outcome.reply if attempt.outcome else None
    return {
        semconv.OPERATION: request.dialect.operation,
        semconv.PROVIDER: request.provider,
        **semconv.of_request(request),
        **(semconv.of_reply(reply, request.provider) if reply else {}),
    }


def text_of(value: Json) -> str:
    """A value as an attribute: JSON text, large base64 by its hash alone."""
    return without_base64(dumps(value)).decode()


def _without_base64(text: str) -> str:
    return text if len(text) < MIN_TEXT else without_base64(text.encode()).decode()


def _sound(value: Json, levels: int = _DEEPEST) -> Any:
    """A value as every exporter can send it; what lies too deep, as JSON text."""
    if isinstance(value, str):
        return _without_base64(semconv.without_surrogates(value))
    if isinstance(value, int) and not semconv.is_integer_sent(value):
        return str(value)
    if not isinstance(value, (dict, list)):
        return value
    if not levels:
        return text_of(value)
    if isinstance(value, list):
        return [_sound(item, levels - 1) for item in value]
    return {semconv.without_surrogates(key): _sound(item, levels - 1) for key, item in value.items()}
