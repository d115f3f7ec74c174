"""
Calls as spans, sent to a collector as if they happened now, with the times and ids that they had.

An attempt has the trace and span that the transcript names. The span of the call itself is not in a
transcript: it has an id made of the call's, the same at each export. Attributes come from the tables that
live spans have theirs from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import islice
from typing import Any, Final
from urllib.parse import urlsplit

from msgspec import Struct
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from spanscript import _semconv as semconv
from spanscript._content import content_of, text_of
from spanscript._dialects import METHOD
from spanscript._exchange import Failure, Outcome, Request
from spanscript._semconv import Attributes
from spanscript._tracers import SCOPE
from spanscript._version import __version__
from spanscript.transcript.lines import Entry, TranscriptError

_AT_ONCE: Final = 512
"""Spans in one request, as the SDK has it."""

_PATH: Final = "/v1/traces"


def exporter(endpoint: str | None) -> Any:
    """
    What sends spans by OTLP over HTTP; without *endpoint*, as the `OTEL_EXPORTER_OTLP_…` variables say.

    Raises:
        TranscriptError: It is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415  # optional
            OTLPSpanExporter,
        )
    except ImportError as error:
        hint = "to send spans an OTLP exporter is needed: pip install 'spanscript[otlp]'"
        raise TranscriptError(hint) from error
    if endpoint is not None and urlsplit(endpoint).path in {"", "/"}:
        endpoint = endpoint.rstrip("/") + _PATH
    return OTLPSpanExporter(endpoint=endpoint)


def send(spans: Iterator[ReadableSpan], exporter: Any) -> int:
    """
    Send spans.

    Returns:
        How many were sent.

    Raises:
        TranscriptError: They were refused, or nobody took them.
    """
    sent = 0
    while batch := list(islice(spans, _AT_ONCE)):
        if exporter.export(batch) is not SpanExportResult.SUCCESS:
            raise TranscriptError(f"the collector did not take the spans; {sent} were sent before")
        sent += len(batch)
    return sent


class Told(Struct, frozen=True):
    """An attempt that ended: what was asked, how it ended, and the line that names its span."""

    request: Request
    outcome: Outcome
    line: Entry


def spans_of(attempts: Sequence[Told], service: str | None, *, with_content: bool) -> Iterator[ReadableSpan]:
    """
    The spans of a call, its attempts first.

    Args:
        attempts: Those that ended, from the first.
        service: The name of the service that asked, if it is known.
        with_content: Whether prompts and answers stand on the call's span.
    """
    call_id, last = attempts[0].request.call_id, attempts[-1]
    trace_id = _number(last.line.get("trace_id"), 32) or int(_digest(call_id)[:32], 16)
    call = _context(trace_id, int(_digest(f"{call_id} call")[:16], 16))
    resource = Resource({"service.name": service or "unknown_service"})

    def span(name: str, attributes: Attributes, first: Outcome, end: Outcome, **ids: Any) -> ReadableSpan:
        return ReadableSpan(
            name=name,
            resource=resource,
            attributes=attributes,
            kind=SpanKind.CLIENT,
            status=_status(end.failure),
            start_time=first.started_ns,
            end_time=end.ended_ns,
            instrumentation_scope=InstrumentationScope(SCOPE, __version__),
            **ids,
        )

    for told in attempts:
        number = told.request.attempt
        ident = _number(told.line.get("span_id"), 16) or int(_digest(f"{call_id} {number}")[:16], 16)
        attributes = semconv.of_attempt(told.request, METHOD) | semconv.of_outcome(told.outcome)
        ids = {"context": _context(trace_id, ident), "parent": call}
        yield span(f"attempt {number}", attributes, told.outcome, told.outcome, **ids)
    model, operation = last.request.model, last.request.dialect.operation
    name = semconv.short_text(f"{operation} {model}") if model else operation
    attributes = _of_call(attempts)
    if with_content:
        content = content_of(last.request, last.outcome.reply)
        attributes |= {key: text_of(value) for key, value in content.items()}
    yield span(name, attributes, attempts[0].outcome, last.outcome, context=call)


def _of_call(attempts: Sequence[Told]) -> Attributes:
    """What a call's span tells, as a live one does."""
    request, outcome = attempts[-1].request, attempts[-1].outcome
    first, reply = outcome.first_chunk_ns, outcome.reply
    failure = outcome.failure
    about: dict[str, semconv.Value | None] = {
        semconv.OPERATION: request.dialect.operation,
        semconv.CALL_ID: request.call_id,
        semconv.ATTEMPT: request.attempt,
        semconv.STATUS: outcome.status,
        semconv.ERROR_TYPE: failure.type if failure else None,
        semconv.EMPTY: outcome.empty or None,
        semconv.FIRST_CHUNK_S: None if first is None else (first - attempts[0].outcome.started_ns) / 1e9,
    }
    return {
        **semconv.known(about),
        **semconv.of_target(request),
        **semconv.of_request(request),
        **(semconv.of_reply(reply, request.provider) if reply is not None else {}),
    }


def _status(failure: Failure | None) -> Status:
    if failure is None:
        return Status()
    return Status(StatusCode.ERROR, semconv.short_text(failure.message or failure.type))


def _context(trace_id: int, span_id: int) -> SpanContext:
    return SpanContext(trace_id, span_id, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def _number(hexadecimal: str | None, length: int) -> int | None:
    """An id of so many digits; `None` for what is none, and for zero, which means that there is none."""
    if hexadecimal is None or len(hexadecimal) != length:
        return None
    try:
        return int(hexadecimal, 16) or None
    except ValueError:
        return None


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
