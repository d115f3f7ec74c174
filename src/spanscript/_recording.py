"""
What records calls, put together: loaded when the app imports the first library that is hooked.

An app that uses none of them need not load it, and `opentelemetry-instrument` starts every app.
"""

from __future__ import annotations

from collections.abc import Callable

from opentelemetry._logs import LoggerProvider
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from spanscript._calls import Calls
from spanscript._content import Content
from spanscript._log_records import LogRecords
from spanscript._loggers import Loggers
from spanscript._meters import Meters
from spanscript._telemetry import Telemetry
from spanscript._tracers import Tracers
from spanscript.config import Settings
from spanscript.transcript.processor import TranscriptProcessor


def make_calls(
    settings: Settings,
    tracer_provider: TracerProvider | None,
    meter_provider: MeterProvider | None,
    logger_provider: LoggerProvider | None,
) -> tuple[Calls, Callable[[], None]]:
    """Make what hooks report to (for `None` see `spanscript.instrument`), and what ends its transcript."""
    meters = Meters(meter_provider)
    loggers = Loggers(logger_provider)
    transcript = _transcript(settings, meters, LogRecords(loggers) if settings.logs else None)
    tracers = Tracers(tracer_provider, transcript)
    calls = Calls(Telemetry(tracers, meters, Content(settings.capture, loggers)), settings.tool_format)
    return calls, transcript.stop if transcript else lambda: None


def _transcript(settings: Settings, meters: Meters, records: LogRecords | None) -> TranscriptProcessor | None:
    if settings.directory is None and records is None:
        return None
    return TranscriptProcessor(
        settings.directory,
        max_bytes=settings.max_bytes,
        write=settings.write,
        on_lost=meters.lost,
        listener=records,
    )
