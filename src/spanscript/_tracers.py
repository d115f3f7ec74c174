"""
Whose tracer carries our spans: the given provider's, the app's, or a private one for the transcript alone.

- Under `opentelemetry-instrument` without a distro, and in an app that sets its provider late, the global
  provider is a proxy that takes no processors; so it is looked at again with every call.
- Under head sampling a processor is not called at all; while a transcript is on, our own tracer's DROP
  becomes RECORD_ONLY: processors see the span, exporters still skip it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.trace import sampling
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.util.types import Attributes

from spanscript._version import __version__
from spanscript.transcript.processor import TranscriptProcessor

SCOPE = "spanscript"
_LOG = logging.getLogger("spanscript")


class Tracers:
    """
    Gives the tracer for the next span.

    Args:
        given: The provider to use; `None`: the global one, whichever that is at the time.
        transcript: The processor to attach to it, once.
    """

    def __init__(self, given: trace.TracerProvider | None, transcript: TranscriptProcessor | None) -> None:
        self._given = given
        self._transcript = transcript
        self._seen: trace.TracerProvider | None = None
        self._tracer: trace.Tracer = trace.NoOpTracer()

    def current(self) -> trace.Tracer:
        """The tracer of the provider that is in force now."""
        provider = self._given or trace.get_tracer_provider()
        if provider is not self._seen:
            self._tracer = self._open(provider)
            self._seen = provider
        return self._tracer

    def _open(self, provider: trace.TracerProvider) -> trace.Tracer:
        if self._transcript is not None:
            if isinstance(provider, (trace.ProxyTracerProvider, trace.NoOpTracerProvider)):
                provider = sdk.TracerProvider(shutdown_on_exit=False)
            attach(self._transcript, provider)
        tracer = provider.get_tracer(SCOPE, __version__)
        if isinstance(tracer, sdk.Tracer):
            tracer.sampler = _RecordAnyway(tracer.sampler)
        return tracer


def attach(transcript: TranscriptProcessor, provider: trace.TracerProvider) -> None:
    """Add *transcript* to *provider*; one for the same directory that is there does its work."""
    add = getattr(provider, "add_span_processor", None)
    if add is None:
        _LOG.warning(
            "No transcript is written: the tracer provider, a %s, takes no span processors.",
            type(provider).__qualname__,
        )
        return
    present = getattr(getattr(provider, "_active_span_processor", None), "_span_processors", ())
    running = [p for p in present if isinstance(p, TranscriptProcessor) and not p.stopped]
    same = next((p for p in running if p.directory == transcript.directory), None)
    if same is None:
        add(transcript)
    elif same.listener is None:
        same.listener = transcript.listener


class _RecordAnyway(sampling.Sampler):
    """Asks the provider's own sampler; while a transcript is on, what it drops is recorded, not exported."""

    def __init__(self, inner: sampling.Sampler) -> None:
        self._inner = inner

    def should_sample(  # noqa: PLR0913, PLR0917  # the SDK's signature
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> sampling.SamplingResult:
        result = self._inner.should_sample(
            parent_context, trace_id, name, kind, attributes, links, trace_state
        )
        if result.decision is not sampling.Decision.DROP or not TranscriptProcessor.is_on():
            return result
        # A sampler that drops gives no attributes back: these are the ones it was asked with.
        return sampling.SamplingResult(sampling.Decision.RECORD_ONLY, attributes, result.trace_state)

    def get_description(self) -> str:
        return f"spanscript({self._inner.get_description()})"
