"""Other instrumentation beside ours, put on before it or after it: one span with usage per call, every attempt seen."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.trace import TracerProvider

openai = pytest.importorskip("openai")

Off = Callable[[], object]


def instrumentor(module: str, name: str) -> Callable[[TracerProvider | None], Off]:
    def put_on(provider: TracerProvider | None) -> Off:
        found = getattr(pytest.importorskip(module, exc_type=ImportError), name)()
        if provider is not None:
            found.instrument(tracer_provider=provider)
        return found.uninstrument

    return put_on


def wrapped_request(suppress: bool) -> Callable[[TracerProvider | None], Off]:
    """As openinference does, or (and then it suppresses all else) Logfire: around the public class's own method."""

    def put_on(provider: TracerProvider | None) -> Off:
        inner = openai.OpenAI.request
        there = "request" in vars(openai.OpenAI)

        @functools.wraps(inner)
        def request(*args, **kwargs):
            attributes = {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 1}
            with provider.get_tracer("theirs").start_as_current_span("theirs", attributes=attributes):
                if not suppress:
                    return inner(*args, **kwargs)
                with suppress_instrumentation():
                    return inner(*args, **kwargs)

        def off() -> None:
            if there:
                openai.OpenAI.request = inner
            else:
                del openai.OpenAI.request

        if provider is not None:
            openai.OpenAI.request = request
        return off

    return put_on


NEIGHBOURS = {
    "wrapper": wrapped_request(suppress=False),
    "wrapper that suppresses": wrapped_request(suppress=True),
    "httpx": instrumentor("opentelemetry.instrumentation.httpx", "HTTPXClientInstrumentor"),
    "openai-v2": instrumentor("opentelemetry.instrumentation.openai_v2", "OpenAIInstrumentor"),
    "openinference": instrumentor("openinference.instrumentation.openai", "OpenAIInstrumentor"),
    "traceloop": instrumentor("opentelemetry.instrumentation.openai", "OpenAIInstrumentor"),
}
CALLS = {
    "chat": lambda client: client.chat.completions.create(model="gpt-5", messages=[]),
    "embeddings": lambda client: client.embeddings.create(model="embed-3", input="hi"),
}


def ask(provider, call: str) -> None:
    provider.script("429 retry-after-ms=5", "ok")
    with openai.OpenAI(base_url=provider.openai_url, api_key="k") as client:
        CALLS[call](client)


def has_usage(span) -> bool:
    return any("usage" in name or "token_count" in name for name in span.attributes)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("first", ["ours", "theirs"])
@pytest.mark.parametrize("neighbour", NEIGHBOURS)
def test_one_span_with_usage_and_every_attempt(neighbour, first, call, provider, recording, tmp_path):
    recording.undo()
    NEIGHBOURS[neighbour](None)  # or skip, while nothing is on
    beside = [NEIGHBOURS[neighbour](recording.provider)] if first == "theirs" else []
    both = type(recording)(tmp_path / "both")
    beside += [NEIGHBOURS[neighbour](both.provider)] if first == "ours" else []

    ask(provider, call)
    spans = [*both.spans, *recording.spans]
    both.undo()
    ask(provider, call)  # ours is off, below theirs or around it
    for off in beside:
        off()

    assert sum(map(has_usage, spans)) == 1
    assert [s.attributes["llm.attempt"] for s in both.attempts] == [0, 1]
    assert len({e["call_id"] for e in both.entries_of("provider_call_request")}) == 1
    assert not [s for s in spans if s.name == "POST"]
    assert len(both.entries_of("provider_call_response")) == 1
