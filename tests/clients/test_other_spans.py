"""Spans of somebody else around or beside ours: each token is counted once, and the transcript is whole."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import pytest
from apps import ANSWER, COLOURS, Each, now, run
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider, sampling
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from proof import replay_is_exact, tokens
from rows import CHAT, KEY, MESSAGES

import spanscript
from spanscript.transcript.check import Check

SDK_SCOPE = "com.anthropic.sdk.python"
TRACES_ITSELF = (
    hasattr(anthropic, "_tracing") or "open_telemetry" in anthropic.Anthropic.__init__.__kwdefaults__
)
native = pytest.mark.skipif(not TRACES_ITSELF, reason="this SDK has no tracing of its own")
USAGE = "gen_ai.usage.output_tokens"


async def _asked(kind: Any, provider: Any, stream: bool, **options: Any) -> str:
    client = kind(base_url=provider.url, api_key=KEY, **options)
    answer = await now(client.messages.create(**MESSAGES, stream=stream))
    text = ""
    if stream:
        async for event in Each(answer):
            text += getattr(getattr(event, "delta", None), "text", "")
    else:
        text = answer.content[0].text
    await now(client.close())
    return text


@native
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("on", ["option", "environment", "default"])
def test_anthropics_own_tracing(
    on: str, colour: str, stream: bool, provider: Any, recording: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exactly one span with usage per call, attempts under it."""
    options: dict[str, Any] = {}
    if on == "option":
        options = {"open_telemetry": {"traces": True, "tracer_provider": recording.provider}}
    if on == "environment":
        monkeypatch.delenv("ANTHROPIC_OPEN_TELEMETRY")
        monkeypatch.setattr(trace, "_TRACER_PROVIDER", recording.provider)
    provider.script("429 retry-after-ms=1", "ok")
    kind = anthropic.AsyncAnthropic if colour == "async" else anthropic.Anthropic
    assert run(colour, _asked(kind, provider, stream, **options)) == ANSWER

    counted = [span for span in recording.spans if USAGE in span.attributes]
    assert len(counted) == 1
    assert counted[0].instrumentation_scope.name == ("spanscript" if on == "default" else SDK_SCOPE)
    assert recording.calls == counted
    assert counted[0].attributes["llm.call_id"]
    assert [a.attributes["llm.status"] for a in recording.attempts] == ["retrying", "ok"]
    assert {a.parent.span_id for a in recording.attempts} == {counted[0].context.span_id}
    replay_is_exact(recording, provider.llm_requests)
    (entry,) = recording.entries_of("provider_call_response")
    assert entry["text"] == ANSWER
    traced = {"traceparent" in r.headers for r in provider.llm_requests}
    assert traced == {on != "default"}


def logged(provider: Any) -> list[Any]:
    """The requests, when the server is done with them: its client may be ahead of its log."""
    assert provider.wait_for(len(provider.llm_requests), finished=True)
    return list(provider.llm_requests)


OUTER: Mapping[str, Mapping[str, Any]] = {
    "genai": {"gen_ai.operation.name": "chat"},
    "openinference": {"openinference.span.kind": "LLM"},
    "openllmetry": {"llm.request.type": "chat"},
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("attributes", OUTER.values(), ids=OUTER.keys())
def test_inside_an_inference_span(
    attributes: Mapping[str, Any], stream: bool, provider: Any, recording: Any
) -> None:
    """Another instrumentation has opened the call's span: ours would be its double."""
    provider.script("429 retry-after-ms=1", "ok")
    client = openai.OpenAI(base_url=provider.openai_url, api_key=KEY)
    tracer = recording.provider.get_tracer("theirs")
    with tracer.start_as_current_span("theirs", attributes=attributes) as outer:
        answer = client.chat.completions.create(**CHAT, stream=stream)
        if stream:
            list(answer)
    (call,) = recording.calls
    assert call.name == "theirs"
    answered = logged(provider)[-1]
    told = tuple(call.attributes.get(f"gen_ai.usage.{kind}_tokens") for kind in ("input", "output"))
    assert told == tokens(answered.answer, answered.answer_headers)
    assert [a.attributes["llm.status"] for a in recording.attempts] == ["retrying", "ok"]
    assert {a.parent.span_id for a in recording.attempts} == {outer.get_span_context().span_id}
    replay_is_exact(recording, provider.llm_requests)


def test_an_inference_span_that_counts_itself_has_the_last_word(provider: Any, recording: Any) -> None:
    client = openai.OpenAI(base_url=provider.openai_url, api_key=KEY)
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 1}
    with recording.provider.get_tracer("theirs").start_as_current_span(
        "theirs", attributes=attributes
    ) as outer:
        client.chat.completions.create(**CHAT)
        outer.set_attribute(USAGE, 2)
    (call,) = recording.calls
    assert call.attributes["gen_ai.usage.input_tokens"] == 1
    assert call.attributes[USAGE] == 2


def test_an_inference_span_that_is_closed_too_early(provider: Any, recording: Any) -> None:
    """OpenInference closes those of asynchronous streams before they are read: they tell no tokens."""
    client = openai.OpenAI(base_url=provider.openai_url, api_key=KEY)
    attributes = {"openinference.span.kind": "LLM"}
    with recording.provider.get_tracer("theirs").start_as_current_span(
        "theirs", attributes=attributes
    ) as outer:
        stream = client.chat.completions.create(**CHAT, stream=True, stream_options={"include_usage": True})
    list(stream)
    ours = next(call for call in recording.calls if call.name != "theirs")
    assert ours.parent.span_id == outer.get_span_context().span_id
    answered = logged(provider)[-1]
    assert ours.attributes[USAGE] == tokens(answered.answer, answered.answer_headers)[1]
    assert ours.attributes["gen_ai.request.model"] == CHAT["model"]
    assert ours.start_time <= recording.attempts[0].start_time <= ours.end_time


def test_a_kind_that_is_told_when_the_span_ends(provider: Any, recording: Any) -> None:
    """OpenInference keeps it on the span's proxy until then."""
    client = openai.OpenAI(base_url=provider.openai_url, api_key=KEY)
    with recording.provider.get_tracer("theirs").start_as_current_span("theirs") as outer:
        outer._self_important_attributes = {"openinference.span.kind": "LLM"}
        client.chat.completions.create(**CHAT)
    assert [call.name for call in recording.calls] == ["theirs"]
    assert recording.calls[0].attributes[USAGE] > 0


def test_a_call_that_openllmetry_counts(provider: Any, recording: Any) -> None:
    """Its span is not current; a note in the context says that it is there."""
    client = openai.OpenAI(base_url=provider.openai_url, api_key=KEY)
    token = otel_context.attach(otel_context.set_value("suppress_language_model_instrumentation", True))
    try:
        client.chat.completions.create(**CHAT)
    finally:
        otel_context.detach(token)
    (call,) = recording.calls
    assert not [name for name in call.attributes if "usage" in name]
    assert call.attributes["llm.status"] == "ok"
    assert recording.attempts[0].attributes["llm.output_tokens"] > 0
    data = recording.reader.get_metrics_data()
    names = [m.name for r in data.resource_metrics for scope in r.scope_metrics for m in scope.metrics]
    assert "llm.client.attempts" in names
    assert "gen_ai.client.token.usage" not in names


@pytest.mark.parametrize("told", [{"gen_ai.usage.output_tokens": 5}, {}], ids=["told", "untold"])
@pytest.mark.parametrize("closed", [False, True])
def test_an_inference_span_inside_a_call(
    closed: bool, told: Mapping[str, Any], provider: Any, recording: Any
) -> None:
    """Of the SDK that a call of litellm uses: theirs tells the tokens, unless it is closed without."""
    client = openai.OpenAI(base_url=provider.openai_url, api_key=KEY)
    tracer = recording.provider.get_tracer("theirs")
    attributes = {"gen_ai.operation.name": "chat", **told}
    send = client._client.send

    def sent(*args: Any, **kwargs: Any) -> Any:
        inner = tracer.start_span("theirs", attributes=attributes)
        with trace.use_span(inner, end_on_exit=closed):
            return send(*args, **kwargs)

    client._client.send = sent
    answer = client.chat.completions.create(**CHAT)
    counted = [span.name for span in recording.calls if USAGE in span.attributes]
    if closed:
        assert counted == (["theirs"] if told else [f"chat {CHAT['model']}"])
    else:  # it is open still: ours has left it the tokens
        assert counted == []
    assert answer.usage.completion_tokens > 0


def test_an_inference_span_around_several_calls(provider: Any, recording: Any) -> None:
    """An app's own, which tells no tokens: it tells those of all calls."""
    client = openai.OpenAI(base_url=provider.openai_url, api_key=KEY)
    attributes = {"gen_ai.operation.name": "chat"}
    with recording.provider.get_tracer("theirs").start_as_current_span("theirs", attributes=attributes):
        for _ in range(3):
            client.chat.completions.create(**CHAT)
    (call,) = recording.calls
    answers = [tokens(r.answer, r.answer_headers) for r in logged(provider)]
    assert call.attributes[USAGE] == sum(answered for _, answered in answers)


@pytest.mark.parametrize(
    "attributes", [{"gen_ai.operation.name": "invoke_agent"}, {"openinference.span.kind": "CHAIN"}, {}]
)
def test_inside_another_span(attributes: Mapping[str, Any], provider: Any, recording: Any) -> None:
    """An agent's, a chain's or a web server's span does not stand for the call."""
    tracer = recording.provider.get_tracer("theirs")
    with tracer.start_as_current_span("theirs", attributes=attributes):
        openai.OpenAI(base_url=provider.openai_url, api_key=KEY).chat.completions.create(**CHAT)
    assert [span.name for span in recording.calls] == ["theirs", f"chat {CHAT['model']}"]


def test_http_instrumentation_is_suppressed_below_an_attempt(provider: Any, recording: Any) -> None:
    seen: list[Any] = []

    def hook(request: Any) -> None:
        seen.append(otel_context.get_value(otel_context._SUPPRESS_HTTP_INSTRUMENTATION_KEY))

    client = httpx.Client(event_hooks={"request": [hook]})
    client.post(f"{provider.openai_url}/chat/completions", json=CHAT)
    client.get(f"{provider.openai_url}/models")
    assert seen == [True, None]


SAMPLERS: Mapping[str, Any] = {
    "always-off": sampling.ALWAYS_OFF,
    "parent-based-off": sampling.ParentBased(sampling.ALWAYS_OFF),
    "ratio-0": sampling.TraceIdRatioBased(0.0),
}


@pytest.mark.parametrize("below", [False, True])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS.keys())
def test_head_sampling(sampler: Any, stream: bool, below: bool, provider: Any, tmp_path: Path) -> None:
    """What is not sampled is not exported; the transcript has everything, with ids."""
    exporter = InMemorySpanExporter()
    tracers = TracerProvider(sampler=sampler)
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    provider.script("429 retry-after-ms=1", "ok")
    undo = spanscript.instrument(tracers, directory=str(tmp_path / "run"))
    try:
        outer = tracers.get_tracer("app").start_span("app") if below else trace.INVALID_SPAN
        with trace.use_span(outer):
            client = openai.OpenAI(base_url=provider.openai_url, api_key=KEY)
            answer = client.chat.completions.create(**CHAT, stream=stream)
            if stream:
                list(answer)
    finally:
        undo()
    assert exporter.get_finished_spans() == ()
    checked = Check(tmp_path / "run")
    assert list(checked) == []
    (call,) = checked.transcript.calls()
    assert [call.attempt_status(n) for n in call.attempts] == ["retrying", "ok"]
    spans = {checked.transcript.whole(e).get("span_id") for e in call.requests.values()}
    assert len(spans) == 2
    assert None not in spans


def test_without_transcript_a_dropped_call_costs_nothing(provider: Any) -> None:
    """The sampler has its way where nobody else wants the spans."""
    asked: list[str] = []

    class Off(sampling.Sampler):
        def should_sample(self, context: Any, trace_id: int, name: str, *args: Any, **kwargs: Any) -> Any:
            asked.append(name)
            return sampling.SamplingResult(sampling.Decision.DROP)

        def get_description(self) -> str:
            return "off"

    undo = spanscript.instrument(TracerProvider(sampler=Off()))
    try:
        openai.OpenAI(base_url=provider.openai_url, api_key=KEY).chat.completions.create(**CHAT)
    finally:
        undo()
    assert asked == [f"chat {CHAT['model']}", "attempt 0"]


LATE = """
import sys, openai, spanscript
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
spanscript.instrument(directory=sys.argv[2])
client = openai.OpenAI(base_url=sys.argv[1], api_key="unused")
ask = lambda: client.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}])
ask()
exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
ask()
print(len(exporter.get_finished_spans()))
"""


def test_provider_that_comes_late(provider: Any, tmp_path: Path) -> None:
    """Before it there is a private one for the transcript; nothing is lost at the change."""
    done = subprocess.run(
        [sys.executable, "-c", LATE, provider.openai_url, tmp_path / "run"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("2\n", "")
    checked = Check(tmp_path / "run")
    assert list(checked) == []
    assert len(checked.transcript.calls()) == 2
