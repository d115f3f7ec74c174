"""
The span processor that writes the transcript, beside whatever exports the spans.

The exchange is handed over in the OpenTelemetry context that an attempt's span is started with, not in
attributes: so exporters see no content, and span limits cannot cut it. The request is written when the
span starts, before its bytes leave the process; the outcome when it ends. Both in the caller's thread.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import ClassVar
from weakref import WeakSet

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import SpanContext

from spanscript._attempt import Attempt
from spanscript._guard import guarded
from spanscript._interpretation import get_ready, interpretation
from spanscript.config import DEFAULT_MAX_BYTES, WriteMode
from spanscript.transcript import entries
from spanscript.transcript.conversation import request_entries
from spanscript.transcript.entries import SpanIds
from spanscript.transcript.writer import Listener, Writer

EXCHANGE = "spanscript.exchange"
"""Where the OpenTelemetry context holds the attempt whose span is started with it."""


class TranscriptProcessor(SpanProcessor):
    """
    Writes `llm_transcript.jsonl` into *directory*.

    For people who build their own provider: `provider.add_span_processor(TranscriptProcessor("./run"))`.
    The calls themselves are seen once `spanscript.instrument()` was called.

    Args:
        directory: Made with mode 0700 if it is missing; `None`: no file, but for *listener* alone.
        max_bytes: Size at which the live file is renamed and a new one begun; 0: never.
        write: `inline`, or `sync` for an fdatasync after each event.
        on_lost: Told the reason and the number of entries that could not be written.
        listener: Gets the lines too.
    """

    _living: ClassVar[WeakSet[TranscriptProcessor]] = WeakSet()

    def __init__(
        self,
        directory: str | os.PathLike[str] | None,
        *,
        max_bytes: int = DEFAULT_MAX_BYTES,
        write: WriteMode = "inline",
        on_lost: Callable[[str, int], None] | None = None,
        listener: Listener | None = None,
    ) -> None:
        # A link is followed when it is opened.
        self.directory = None if directory is None else os.path.abspath(directory)  # noqa: PTH100
        self._writer = Writer(
            self.directory, max_bytes=max_bytes, mode=write, on_lost=on_lost, listener=listener
        )
        self._attempts: dict[int, Attempt] = {}
        self.stopped = False
        """Whether no more attempts are begun in it."""
        self._living.add(self)

    @classmethod
    def is_on(cls) -> bool:
        """Whether any transcript is being written in this process."""
        return any(processor._is_wanted() for processor in cls._living)  # noqa: SLF001  # its own

    @classmethod
    def annotate(cls, entry: entries.Entry) -> None:
        """Write what the app says of itself into every transcript of this process."""
        for processor in list(cls._living):
            if processor._is_wanted():  # noqa: SLF001  # its own
                processor._writer.write(lambda _: [entry])  # noqa: SLF001

    @property
    def listener(self) -> Listener | None:
        """Who gets the lines, beside the file or instead of one."""
        return self._writer.listener

    @listener.setter
    def listener(self, listener: Listener | None) -> None:
        self._writer.listener = listener

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Write the request, if this is the span of an attempt."""
        attempt = parent_context.get(EXCHANGE) if parent_context else None
        context = span.get_span_context()
        if isinstance(attempt, Attempt) and attempt.running and context is not None and self._is_wanted():
            self._begin(attempt, context, span.resource)

    def on_end(self, span: ReadableSpan) -> None:
        """Write the outcome, if this is the span of an attempt."""
        context = span.get_span_context()
        attempt = self._attempts.pop(context.span_id, None) if context else None
        if attempt is not None and context is not None:
            self._finish(attempt, context)
            self._interpret(attempt, context)
            self._close_if_done()

    def stop(self) -> None:
        """Begin no more attempts, and close the file: a provider has no way to take a processor off."""
        self.stopped = True
        self._close_if_done()

    def shutdown(self) -> None:
        """Nothing is pending. What still ends after this is still written."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002  # the SDK's signature
        """Nothing is pending: lines are written when they happen."""
        return True

    def _is_wanted(self) -> bool:
        """Whether attempts are begun in it: not where nobody would get them."""
        if self.stopped:
            return False
        return self.directory is not None or (self.listener is not None and self.listener.is_on())

    @guarded
    def _begin(self, attempt: Attempt, context: SpanContext, resource: Resource) -> None:
        self._attempts[context.span_id] = attempt
        service = resource.attributes.get("service.name")
        self._writer.service_name = service if isinstance(service, str) else None
        self._writer.write(request_entries(attempt.request, ids_of(context)), attempt.started_ns)
        get_ready(attempt.request)

    @guarded
    def _finish(self, attempt: Attempt, context: SpanContext) -> None:
        outcome = attempt.outcome
        if outcome is not None:
            entry = entries.provider_call_outcome(attempt.request, outcome, ids_of(context))
            self._writer.write(lambda _: [entry], outcome.ended_ns)

    @guarded
    def _interpret(self, attempt: Attempt, context: SpanContext) -> None:
        outcome = attempt.outcome
        found = interpretation(attempt.request, outcome) if outcome is not None else None
        if outcome is not None and outcome.reply is not None and found is not None:
            entry = entries.interpreted_response(attempt.request, outcome.reply, found, ids_of(context))
            self._writer.write(lambda _: [entry], outcome.ended_ns)

    @guarded
    def _close_if_done(self) -> None:
        if self.stopped and not self._attempts:
            self._writer.close()


def ids_of(context: SpanContext) -> SpanIds:
    """Trace and span as a line has them."""
    return SpanIds(trace_id=f"{context.trace_id:032x}", span_id=f"{context.span_id:016x}")
