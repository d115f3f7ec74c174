"""The gateway: what is kept, what is taken off, and where it waits while the backend is away."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from servers import free_port
from stack import Collector, Jaeger, until

APP = """
import os, sys, openai
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

client = openai.OpenAI(base_url=os.environ["PROVIDER"] + "/v1", api_key="unused")
for line in sys.stdin:
    trace_id, retries, said = line.strip().split(" ", 2)
    above = NonRecordingSpan(SpanContext(int(trace_id, 16), 1, is_remote=True, trace_flags=TraceFlags(1)))
    with trace.use_span(above):
        try:
            client.with_options(max_retries=int(retries)).chat.completions.create(
                model="gpt-5", messages=[{"role": "user", "content": said}]
            )
        except openai.APIStatusError:
            pass
"""
BEHAVIOUR = {
    "never works": (["500"], True),
    "works at the second time": (["503 retry-after-ms=5", "ok"] * 4, False),
    "takes its time": (["delay=1.5"], True),
}
"""What a question says → how it is answered, and whether always so."""
CONTENT = {
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.system_instructions",
    "gen_ai.tool.definitions",
}
SETTINGS = {"DECISION_WAIT": "2s", "KEEP_PERCENT": "0", "SLOW_CALL": "1s"}
_IDS = iter(range(1, 1000))


@pytest.fixture
def replicas(started, tmp_path):
    """Starts so many collectors that are one gateway, before a backend."""

    def start(count: int, backend: Jaeger, **settings: str) -> list[Collector]:
        ports = [free_port() for _ in range(count)]
        hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
        return [
            started(
                Collector(
                    "gateway.yaml",
                    tmp_path / str(port),
                    {
                        "receivers.otlp/replicas.protocols.grpc.endpoint": f"127.0.0.1:{port}",
                        **(
                            {"exporters.loadbalancing.resolver.dns.port": f"'{port}'"}
                            if count == 1
                            else {
                                "exporters.loadbalancing.resolver.dns": "null",
                                "exporters.loadbalancing.resolver.static.hostnames": f"[{hosts}]",
                            }
                        ),
                    },
                    {**SETTINGS, **settings, "BACKEND_ENDPOINT": backend.grpc},
                )
            )
            for port in ports
        ]

    return start


def ask(provider, collector: Collector, service: str, questions: list[tuple[str, int, str]], directory: Path):
    """One app: asks in traces of these ids, with so many retries, and ends."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "SPANSCRIPT_"))}
    subprocess.run(
        [Path(sys.executable).parent / "opentelemetry-instrument", sys.executable, "-c", APP],
        env={
            **kept,
            "PROVIDER": provider.url,
            "SPANSCRIPT_DIR": str(directory),
            "OTEL_SERVICE_NAME": service,
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint("grpc"),
            "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_ONLY",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
        },
        input="".join(f"{trace_id} {retries} {said}\n" for trace_id, retries, said in questions),
        text=True,
        check=True,
        timeout=120,
    )


def traces(count: int) -> Iterator[str]:
    return (f"{os.getpid():016x}{next(_IDS):016x}" for _ in range(count))


def behave(provider) -> None:
    for said, (steps, forever) in BEHAVIOUR.items():
        provider.script(*steps, match=said, forever=forever)


def kept_of(jaeger: Jaeger, service: str, count: int) -> dict[str, dict[str, Any]]:
    """The traces with spans of a service, whole, once there are so many spans."""

    def look():
        seen = jaeger.spans_of(service)
        return len(seen.spans) >= count and seen

    return until(look).spans


def test_errors_retries_and_slow_calls_are_kept_without_their_content(
    provider, replicas, shared_jaeger, tmp_path
):
    behave(provider)
    (gateway,) = replicas(1, shared_jaeger)
    kinds = ["works", "never works", "works at the second time", "takes its time"] * 3
    questions = [(trace_id, 1, said) for trace_id, said in zip(traces(12), kinds, strict=True)]
    expected = {trace_id for trace_id, _, said in questions if said != "works"}

    ask(provider, gateway, "sampled", questions, tmp_path / "run")

    spans = kept_of(shared_jaeger, "sampled", 24)  # nine calls: six with two attempts, three with one
    assert {span["trace_id"] for span in spans.values()} == expected
    calls = [span for span in spans.values() if "gen_ai.operation.name" in span["attributes"]]
    assert (len(calls), len(spans)) == (9, 24)
    assert not {name for span in spans.values() for name in span["attributes"]} & CONTENT
    assert all("gen_ai.request.model" in call["attributes"] for call in calls)


def test_a_trace_is_decided_on_as_a_whole_by_two_replicas(provider, replicas, shared_jaeger, tmp_path):
    """Two apps share traces and send to different replicas; what goes wrong in the second keeps the first's part."""
    behave(provider)
    first, second = replicas(2, shared_jaeger, DECISION_WAIT="15s")  # both apps have asked by then
    ids = list(traces(20))
    bad = set(ids[::2])

    ask(provider, first, "front", [(i, 0, "works") for i in ids], tmp_path / "front")
    second_half = [(i, 0, "never works" if i in bad else "works") for i in ids]
    ask(provider, second, "back", second_half, tmp_path / "back")

    spans = kept_of(shared_jaeger, "front", 4 * len(bad))
    assert {span["trace_id"] for span in spans.values()} == bad
    assert len(spans) == 4 * len(bad)


def test_an_outage_of_the_backend_loses_nothing(provider, replicas, started, tmp_path):
    """Nor does the death of the gateway meanwhile: what was decided on is on disk."""
    behave(provider)
    jaeger = Jaeger(tmp_path / "jaeger")
    (gateway,) = replicas(1, jaeger)
    ids = set(traces(30))
    ask(provider, gateway, "stored", [(i, 0, "never works") for i in ids], tmp_path / "run")
    queue = gateway.directory / "queue"
    until(lambda: all(bytes.fromhex(i) in b"".join(f.read_bytes() for f in queue.iterdir()) for i in ids))

    gateway.kill()
    gateway.start()
    started(jaeger)

    assert {span["trace_id"] for span in kept_of(jaeger, "stored", 2 * len(ids)).values()} == ids
