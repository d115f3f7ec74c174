"""
Entries of the transcript as OpenTelemetry log records: the line as it stands, and what backends filter by.

All is taken from the line alone: a collector that reads the file makes the same records.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry._logs import Logger, LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from spanscript import _json
from spanscript import _semconv as semconv
from spanscript._exchange import Json
from spanscript._guard import guarded
from spanscript._loggers import Loggers
from spanscript.transcript.entries import ENVELOPE

_IDS: Final = ("trace_id", "span_id")
_READ: Final = frozenset({"type", *_IDS, *semconv.ENTRY})
_TROUBLE: Final = frozenset({"provider_call_error", "gap"})
_SUPPRESS: Final = otel_context._SUPPRESS_INSTRUMENTATION_KEY  # noqa: SLF001


class LogRecords:
    """Emits a record for each line; see `spanscript.transcript.writer.Listener`. Nothing here raises."""

    def __init__(self, loggers: Loggers) -> None:
        self._loggers = loggers

    def is_on(self) -> bool:
        """Whether anybody would get a record."""
        return self._loggers.current() is not None

    @guarded
    def take(self, lines: bytes, time_ns: int) -> None:
        """Emit a record for each of the *lines* of an event, of the time that stands in them."""
        logger = self._loggers.current()
        if logger is None:
            return
        context = otel_context.get_current()
        # A log processor that asks a model itself must not make records of that, and so on without end.
        token = otel_context.attach(otel_context.set_value(_SUPPRESS, True, context))
        try:
            for line in lines.removesuffix(b"\n").split(b"\n"):
                _emit(logger, line, time_ns // 1000 * 1000, context)
        finally:
            otel_context.detach(token)


@guarded
def _emit(logger: Logger, line: bytes, time_ns: int, context: Context) -> None:
    entry = _head(line)
    is_trouble = entry["type"] in _TROUBLE
    logger.emit(
        LogRecord(
            timestamp=time_ns,
            context=_joined(entry, context),
            severity_number=SeverityNumber.ERROR if is_trouble else SeverityNumber.INFO,
            severity_text="ERROR" if is_trouble else "INFO",
            body=line.decode(),
            attributes=semconv.of_entry(entry),
            event_name=f"spanscript.{entry['type']}",
        )
    )


def _head(line: bytes) -> Mapping[str, Json]:
    """What a record says beside the line; a message's own keys are none of it, whatever their names."""
    raw = _json.members(line)
    wanted = _READ & ENVELOPE if raw["type"] == b'"message"' else _READ
    return {key: _json.loads(raw[key]) for key in wanted & raw.keys()}


def _joined(entry: Mapping[str, Json], context: Context) -> Context:
    """The context of the entry's span, not of whatever runs now; of no span if the entry has none."""
    if not all(name in entry for name in _IDS):
        return trace.set_span_in_context(trace.INVALID_SPAN, context)
    trace_id, span_id = (int(entry[name], 16) for name in _IDS)
    # A transcript follows no sampler, and a logger may be told to drop what its trace does not keep.
    flags = TraceFlags(TraceFlags.SAMPLED)
    span = NonRecordingSpan(SpanContext(trace_id, span_id, is_remote=False, trace_flags=flags))
    return trace.set_span_in_context(span, context)
