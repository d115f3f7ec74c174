"""
What is compared.

- A: the bare SDK
- B: with the spans that spanscript would make, made by hand with the OpenTelemetry SDK, same attributes
- C: spanscript, spans only
- D: spanscript, spans and transcript

No variant has an exporter, nor a meter provider: their cost is the same for B, C and D.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider

import spanscript
from benchmarks.measure import Around, Block, Variant


@contextmanager
def _bare(_: Block) -> Iterator[Around]:
    yield nullcontext


@contextmanager
def _by_hand(block: Block) -> Iterator[Around]:
    spans = _spans_of(block)
    tracer = TracerProvider().get_tracer("by hand")

    @contextmanager
    def around() -> Iterator[None]:
        call, *attempts = spans
        with tracer.start_as_current_span(call.name, kind=call.kind, attributes=call.first) as outer:
            started = [tracer.start_span(a.name, kind=a.kind, attributes=a.first) for a in attempts]
            yield
            for span, attempt in zip(started, attempts, strict=True):
                span.set_attributes(attempt.later)
                span.end()
            outer.set_attributes(call.later)

    yield around


@contextmanager
def _spans_only(_: Block) -> Iterator[Around]:
    undo = spanscript.instrument(TracerProvider(), directory=None)
    try:
        yield nullcontext
    finally:
        undo()


@contextmanager
def _with_transcript(_: Block) -> Iterator[Around]:
    with tempfile.TemporaryDirectory() as directory:
        undo = spanscript.instrument(TracerProvider(), directory=directory)
        try:
            yield nullcontext
        finally:
            undo()


@contextmanager
def _with_listener(block: Block) -> Iterator[Around]:
    with _spans_only(block) as around, spanscript.subscribe(lambda _: None):
        yield around


VARIANTS: Mapping[str, Variant] = {
    "A": _bare,
    "B": _by_hand,
    "C": _spans_only,
    "D": _with_transcript,
}

LISTENED: Mapping[str, Variant] = {"C": _spans_only, "D": _with_listener}
"""D: spans, and a listener that does nothing."""


@dataclass(frozen=True)
class _Seen:
    """A span that was made: its attributes at its start, and those that came later."""

    name: str
    kind: trace.SpanKind
    first: dict[str, Any]
    later: dict[str, Any]


class _Watcher(SpanProcessor):
    def __init__(self) -> None:
        self.spans: list[_Seen] = []
        self._first: dict[int, dict[str, Any]] = {}

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002
        self._first[span.get_span_context().span_id] = dict(span.attributes or {})

    def on_end(self, span: ReadableSpan) -> None:
        first = self._first[span.get_span_context().span_id]
        later = {key: value for key, value in (span.attributes or {}).items() if key not in first}
        self.spans.append(_Seen(span.name, span.kind, first, later))


def _spans_of(block: Block) -> list[_Seen]:
    """The spans that spanscript makes of one call, the call's own first."""
    watcher = _Watcher()
    provider = TracerProvider()
    provider.add_span_processor(watcher)
    undo = spanscript.instrument(provider, directory=None)
    try:
        block(nullcontext, 1)
    finally:
        undo()
    return [watcher.spans[-1], *watcher.spans[:-1]]
