"""What the app says happened: on its current span, and in the transcript."""

from __future__ import annotations

from typing import Any

import msgspec
from opentelemetry import trace

from spanscript import _json
from spanscript import _semconv as semconv
from spanscript._exchange import Json
from spanscript._guard import guarded
from spanscript._secrets import mask
from spanscript._words import said
from spanscript.transcript import entries
from spanscript.transcript.processor import TranscriptProcessor, ids_of

_PLAIN = (str, bool, int, float)


def annotate(event: str, **fields: Any) -> None:
    """
    Say that something happened: a tool was run or refused, the history was made short, the loop is over.

        spanscript.annotate("tool_executed", tool="search", ms=41)

    It is an event of the current span, if one is recording, and an `annotation` entry of the transcript, if
    one is written, with the call (inside `spanscript.call`), iteration and stage that it is said in. Else
    nothing is done.

    Args:
        event: What happened, in one word.
        **fields: More of it: JSON values, or what can be made one; others by their `repr`. On the span
            stand those that are texts, numbers, true or false.

    Raises:
        TypeError: The event is no text.
    """
    if not isinstance(event, str):
        raise TypeError(f"an event is a text, not {type(event).__name__}")
    _annotate(event, fields)


@guarded
def _annotate(event: str, fields: dict[str, Any]) -> None:
    span = trace.get_current_span()
    is_written = TranscriptProcessor.is_on()
    if not span.is_recording() and not is_written:
        return
    told, words = _told(fields), said()
    if span.is_recording():
        plain = {name: value for name, value in told.items() if isinstance(value, _PLAIN)}
        span.add_event(semconv.short_text(event), semconv.known(plain))
    if is_written:
        context = span.get_span_context()
        about = {
            "call_id": words.block.call_id if words.block is not None else None,
            "iteration": words.iteration,
            "stage": words.stage,
        }
        ids = ids_of(context) if context.is_valid else None
        TranscriptProcessor.annotate(entries.annotation(event, told, about, ids))


def _told(fields: dict[str, Any]) -> dict[str, Json]:
    """The fields as JSON values, without keys that are known."""
    plain = msgspec.to_builtins(fields, str_keys=True, enc_hook=repr)
    found: dict[str, Json] = _json.loads(mask(_json.dumps(plain)))
    return found
