"""
Calls and attempts as spans and metrics: the only file that opens a span or records a metric.

One span for the call, one for each attempt under it. Where somebody else's GenAI span is open around the
call, ours steps back: attempts hang under that one, and tokens are counted once: there, by us if it does
not say them itself.
"""

from __future__ import annotations

import threading
from typing import Any, Final, cast
from weakref import WeakKeyDictionary

from msgspec import structs
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from spanscript import _semconv as semconv
from spanscript._attempt import Attempt
from spanscript._call import Call, CallInfo
from spanscript._content import Content
from spanscript._exchange import Failure, Usage
from spanscript._guard import guarded
from spanscript._meters import Meters
from spanscript._tracers import Tracers
from spanscript.transcript.processor import EXCHANGE

_INFERENCE: Final = frozenset({"chat", "text_completion", "generate_content", "embeddings"})
_OUTER_KEY: Final = "opentelemetry.genai.client.inference.context"
"""Where the GenAI utilities of OpenTelemetry note that an inference span is open."""
_COUNTED_KEY: Final = "suppress_language_model_instrumentation"
"""Where OpenLLMetry notes that a span of its own, which is not current, counts what is asked further in."""


class _CallSpan:
    """The span that stands for a call: our own, or one of somebody else that we add to."""

    __slots__ = ("counts", "described", "inner", "last_end_ns", "owned", "span")

    def __init__(self, span: Span, *, owned: bool, counts: bool = True) -> None:
        self.span = span
        self.owned = owned
        self.counts = counts
        """Whether it tells tokens, if it is our own."""
        self.described: CallInfo | None = None
        """What it tells of the call; in a block of the app, another client may go on with it."""
        self.inner: Span | None = None
        """Somebody else's, around the last attempt and inside our own: of the SDK that litellm uses."""
        self.last_end_ns: int | None = None


class _Lent:
    """
    Tokens told on spans of somebody else.

    Not each of them tells any: OpenInference's of a DSPy model does not, nor may an app's own. One that does
    has the last word, for it is closed after our call.
    """

    def __init__(self) -> None:
        self._told: WeakKeyDictionary[Span, dict[str, int]] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def count(self, span: Span, call: Call) -> None:
        """Add the tokens of *call* to those that *span* has from us; what it has from others stays."""
        present = getattr(span, "attributes", None) or {}
        with self._lock:
            told = self._told.setdefault(span, {})
            for name, tokens in cast("dict[str, int]", _usage(call)).items():
                if present.get(name) == told.get(name):
                    told[name] = told.get(name, 0) + tokens
                    span.set_attribute(name, told[name])


class Telemetry:
    """Observes calls; see `spanscript._calls.Observer`. Nothing here raises."""

    def __init__(self, tracers: Tracers, meters: Meters, content: Content) -> None:
        self._tracers = tracers
        self._meters = meters
        self._content = content
        self._lent = _Lent()

    @guarded
    def call_started(self, call: Call) -> None:
        """Open the call span, unless somebody else's stands for the call."""
        outer = _outer_inference_span()
        if outer is not None:
            call.span = _CallSpan(outer, owned=False)
        elif not call.info.traced:
            call.span = self._open(call)

    @guarded
    def attempt_started(self, attempt: Attempt) -> None:
        """Open the attempt span; the transcript's processor writes the request when it starts."""
        call = cast("Call", attempt.call)
        if call.span is None:
            # The client said that it traces itself: by now its own span is open, or there will be none.
            outer = _outer_inference_span()
            call.span = self._open(call) if outer is None else _CallSpan(outer, owned=False)
        holder: _CallSpan = call.span
        if holder.owned and trace.get_current_span() is not holder.span:
            holder.inner = _outer_inference_span()
        request = attempt.request
        if holder.described is not call.info or call.info.provider is None:  # then each may go elsewhere
            self._describe(holder, call, attempt)
        if request.attempt and holder.last_end_ns is not None:
            self._meters.retry_wait(call, (attempt.started_ns - holder.last_end_ns) / 1e9)
        context = otel_context.set_value(EXCHANGE, attempt, trace.set_span_in_context(holder.span))
        attempt.span = self._tracers.current().start_span(
            f"attempt {request.attempt}",
            context=context,
            kind=SpanKind.CLIENT,
            attributes=semconv.of_attempt(request, attempt.wire.method),
            start_time=attempt.started_ns,
        )

    @guarded
    def attempt_ended(self, attempt: Attempt) -> None:
        """Close the attempt span; the transcript's processor writes the outcome."""
        outcome, span = attempt.outcome, attempt.span
        if outcome is None or span is None:
            return
        if span.is_recording():
            span.set_attributes(semconv.of_outcome(outcome))
            if len(attempt.legs) > 1:
                span.set_attribute("llm.http_statuses", attempt.legs)
            _set_error(span, outcome.failure)
        span.end(end_time=outcome.ended_ns)
        call = cast("Call", attempt.call)
        if call.span is not None:
            call.span.last_end_ns = outcome.ended_ns
        self._meters.attempt(call, outcome)

    @guarded
    def call_ended(self, call: Call) -> None:
        """Complete the call span and close it, if it is ours; count tokens and time."""
        holder: _CallSpan | None = call.span
        if holder is not None and _is_left_uncounted(holder, call):
            holder = self._open_late(holder.span, call)
        if holder is not None and holder.inner is not None:
            self._leave_tokens_to(holder.inner, holder, call)
        if holder is not None and holder.span.is_recording():
            holder.span.set_attributes(_ending(call, holder))
            if holder.owned:
                if call.last is not None:
                    self._content.record(holder.span, call.last)
                _set_error(holder.span, call.failure)
            else:
                self._lent.count(holder.span, call)
        if holder is not None and holder.owned:
            holder.span.end(end_time=call.ended_ns)
            if holder.counts:
                self._meters.call(call)

    @guarded
    def enter(self, scope: Call | Attempt) -> Any:
        """Make the span current; HTTP libraries' own spans under an attempt would say the same again."""
        span = scope.span.span if isinstance(scope.span, _CallSpan) else scope.span
        if span is None:
            return None
        context = trace.set_span_in_context(span)
        if isinstance(scope, Attempt):
            context = otel_context.set_value(_SUPPRESS_HTTP, True, context)
        return otel_context.attach(context)

    @guarded
    def leave(self, token: Any) -> None:
        """Make current again what was."""
        if token is not None:
            otel_context.detach(token)

    @guarded
    def suppressed(self) -> bool:
        """
        Whether somebody asked that nothing be instrumented in this context.

        Not if that is whose span stands for the call (Logfire does so): it knows neither the attempts nor
        the transcript.
        """
        return bool(otel_context.get_value(_SUPPRESS)) and _outer_inference_span() is None

    def _leave_tokens_to(self, inner: Span, holder: _CallSpan, call: Call) -> None:
        if inner.is_recording():
            self._lent.count(inner, call)
            holder.counts = False
        elif _tells_tokens(inner):
            holder.counts = False

    def _open_late(self, outer: Span, call: Call) -> _CallSpan:
        """Open a call span after all, below the one that was to stand for the call."""
        token = otel_context.attach(trace.set_span_in_context(outer))
        try:
            holder = self._open(call)
        finally:
            otel_context.detach(token)
        if call.last is not None:
            self._describe(holder, call, call.last)
        return holder

    def _open(self, call: Call) -> _CallSpan:
        info = call.info
        span = self._tracers.current().start_span(
            _name(info.operation, info.model),
            kind=SpanKind.CLIENT,
            attributes={
                semconv.CALL_ID: call.id,
                **semconv.at_start(
                    info.operation, info.provider, info.model, info.server_address, info.server_port
                ),
            },
            start_time=call.started_ns,
        )
        return _CallSpan(span, owned=True, counts=not otel_context.get_value(_COUNTED_KEY))

    def _describe(self, holder: _CallSpan, call: Call, attempt: Attempt) -> None:
        goes_on = holder.described not in (None, call.info)
        holder.described = call.info
        if not holder.span.is_recording():
            return
        if not holder.owned:
            holder.span.set_attribute(semconv.CALL_ID, call.id)
            return
        request = attempt.request
        holder.span.set_attributes(semconv.of_request(request))
        if call.info.provider is None or goes_on:
            holder.span.set_attributes(semconv.of_target(request))
        if request.model != call.info.model or goes_on:
            holder.span.update_name(_name(call.info.operation, request.model))


_SUPPRESS_HTTP: Final = otel_context._SUPPRESS_HTTP_INSTRUMENTATION_KEY  # noqa: SLF001  # shared with contrib
_SUPPRESS: Final = otel_context._SUPPRESS_INSTRUMENTATION_KEY  # noqa: SLF001


def _usage(call: Call) -> semconv.Attributes:
    outcome = call.last.outcome if call.last else None
    return semconv.of_usage(outcome.reply.usage) if outcome is not None and outcome.reply is not None else {}


def _is_left_uncounted(holder: _CallSpan, call: Call) -> bool:
    """
    Whether somebody else's span that stands for the call was closed without its tokens.

    OpenInference closes those of asynchronous streams before the stream is read.
    """
    if holder.owned or holder.span.is_recording() or not _usage(call):
        return False
    return not _tells_tokens(holder.span)


def _tells_tokens(span: Span) -> bool:
    attributes = getattr(span, "attributes", None) or {}
    return any(".usage." in name or ".token_count." in name for name in attributes)


def _ending(call: Call, holder: _CallSpan) -> semconv.Attributes:
    """What is told of a call at its end, all at once: each telling costs as much as several attributes."""
    attributes = semconv.known(
        {
            semconv.CALL_ID: None if holder.owned else call.id,
            semconv.ATTEMPT: call.attempts - 1 if call.attempts else None,
            semconv.STATUS: call.status,
            semconv.ERROR_TYPE: call.failure.type if call.failure else None,
        }
    )
    outcome = call.last.outcome if call.last else None
    if outcome is not None and outcome.empty:
        attributes[semconv.EMPTY] = True
    if holder.owned and outcome is not None:
        if outcome.reply is not None and call.last is not None:
            elsewhere = not holder.counts or (call.info.counted and not call.last.request.stream)
            reply = structs.replace(outcome.reply, usage=Usage()) if elsewhere else outcome.reply
            attributes |= semconv.of_reply(reply, call.last.request.provider)
        if outcome.first_chunk_ns is not None:
            attributes[semconv.FIRST_CHUNK_S] = (outcome.first_chunk_ns - call.started_ns) / 1e9
    return attributes


def _set_error(span: Span, failure: Failure | None) -> None:
    if failure is not None:
        span.set_status(Status(StatusCode.ERROR, semconv.short_text(failure.message or failure.type)))


def _name(operation: str, model: str | None) -> str:
    return semconv.short_text(f"{operation} {model}") if model else operation


def _outer_inference_span() -> Span | None:
    """The GenAI inference span of somebody else around us, of which ours would be a double."""
    span = trace.get_current_span()
    if not span.is_recording():
        return None
    # OpenInference sets its kind when it ends, and keeps it there till then.
    places = getattr(span, "_self_important_attributes", {}), getattr(span, "attributes", None) or {}

    def told(name: str) -> object:
        return next((place[name] for place in places if name in place), None)

    if (
        otel_context.get_value(_OUTER_KEY) is not None
        or told(semconv.OPERATION) in _INFERENCE
        or told("openinference.span.kind") in ("LLM", "EMBEDDING")
        or told("llm.request.type") in ("chat", "completion")
    ):
        return span
    return None
