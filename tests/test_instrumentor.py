"""Put together in every way that an app can: whose provider, when it appears, and what is switched off."""

from __future__ import annotations

import gc
import json
import logging
import os
import subprocess
import sys
import weakref
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from recording import Recording

import spanscript
from spanscript.config import Settings

httpx = pytest.importorskip("httpx")

ASK = {"model": "gpt-5", "messages": [{"role": "user", "content": "hi"}]}
CALL = f"""
import os, httpx
httpx.post(os.environ["PROVIDER"] + "/chat/completions", json={ASK!r})
"""


def run(
    code: str, provider, tmp_path: Path, launcher: bool = False, **environment: str
) -> tuple[list[dict], str]:
    """Run *code* in a process of its own; its transcript, and what it said on stderr."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "SPANSCRIPT_"))}
    command = [sys.executable, "-c", code]
    if launcher:
        (tmp_path / "app.py").write_text(code)
        instrument = Path(sys.executable).parent / "opentelemetry-instrument"
        command = [instrument, sys.executable, tmp_path / "app.py"]
        clean |= dict.fromkeys(
            ("OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER"), "none"
        )
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**clean, "PROVIDER": provider.openai_url, "SPANSCRIPT_DIR": "run", **environment},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    file = tmp_path / "run" / "llm_transcript.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    return [json.loads(line) for line in lines], done.stderr


def outcomes(entries: list[dict]) -> int:
    return sum(entry["type"] == "provider_call_response" for entry in entries)


IN_CODE = "import spanscript; undo = spanscript.instrument()"
WAYS = {
    "no provider at all": f"{IN_CODE}\n{CALL}",
    "client imported first": f"import httpx\n{IN_CODE}\n{CALL}",
    "provider set before": f"""
from opentelemetry import trace; from opentelemetry.sdk.trace import TracerProvider
trace.set_tracer_provider(TracerProvider())
{IN_CODE}
{CALL}""",
    "provider set after": f"""
{IN_CODE}
from opentelemetry import trace; from opentelemetry.sdk.trace import TracerProvider
trace.set_tracer_provider(TracerProvider())
{CALL}""",
    "provider given": f"""
import spanscript; from opentelemetry.sdk.trace import TracerProvider
spanscript.instrument(TracerProvider())
{CALL}""",
    "a processor of one's own, and the same directory": f"""
import spanscript; from opentelemetry.sdk.trace import TracerProvider
provider = TracerProvider()
provider.add_span_processor(spanscript.TranscriptProcessor("run"))
spanscript.instrument(provider)
{CALL}""",
    "instrumented twice": f"{IN_CODE}\n{IN_CODE}\n{CALL}",
    "working directory changed": f"{IN_CODE}\nimport os; os.chdir('/')\n{CALL}",
}


@pytest.mark.parametrize("way", WAYS)
def test_one_call_is_one_outcome(way, provider, tmp_path):
    entries, said = run(WAYS[way], provider, tmp_path)

    assert outcomes(entries) == 1
    assert said == ""


def test_a_provider_that_appears_between_two_calls_gets_the_second(provider, tmp_path):
    code = f"""
{IN_CODE}
{CALL}
from opentelemetry import trace; from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, ConsoleSpanExporter
import sys
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(out=sys.stderr)))
trace.set_tracer_provider(provider)
{CALL}
"""
    entries, said = run(code, provider, tmp_path)

    assert outcomes(entries) == 2
    assert said.count('"name": "chat gpt-5"') == 1


OFF = {
    "no directory": ({"SPANSCRIPT_DIR": ""}, False),
    "disabled by name": ({"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "flask, spanscript"}, False),
    "SDK disabled": ({"OTEL_SDK_DISABLED": "true"}, False),
    "nothing": ({}, True),
    "always off": ({"OTEL_TRACES_SAMPLER": "always_off"}, True),
}


@pytest.mark.parametrize("off", OFF)
def test_under_opentelemetry_instrument(off, provider, tmp_path):
    environment, written = OFF[off]

    entries, said = run(CALL, provider, tmp_path, launcher=True, **environment)

    assert outcomes(entries) == written
    assert len(provider.llm_requests) == 1
    assert "rror" not in said


def test_undo_and_again(provider, tmp_path):
    exporter = InMemorySpanExporter()
    traces = TracerProvider()
    traces.add_span_processor(SimpleSpanProcessor(exporter))
    before = httpx.Client.send, httpx.AsyncClient.send

    for expected in (1, 2):
        undo = spanscript.instrument(traces, directory=str(tmp_path))
        httpx.post(f"{provider.openai_url}/chat/completions", json=ASK)
        undo()
        undo()
        httpx.post(f"{provider.openai_url}/chat/completions", json=ASK)
        assert len(exporter.get_finished_spans()) == 2 * expected
    assert (httpx.Client.send, httpx.AsyncClient.send) == before


def test_after_undo_a_transcript_gets_no_more(provider, tmp_path):
    traces = TracerProvider()
    directories = [str(tmp_path / "a"), str(tmp_path / "b"), str(tmp_path / "a"), None]

    for directory in directories:
        undo = spanscript.instrument(traces, directory=directory)
        httpx.post(f"{provider.openai_url}/chat/completions", json=ASK)
        undo()

    calls = {
        name: (tmp_path / name / "llm_transcript.jsonl").read_text().count('"provider_call_response"')
        for name in ("a", "b")
    }
    assert calls == {"a": 2, "b": 1}


def test_a_provider_without_processors_is_named(provider, tmp_path, caplog):
    class Foreign(trace.TracerProvider):
        def get_tracer(self, *_, **__):
            return trace.NoOpTracer()

    undo = spanscript.instrument(Foreign(), directory=str(tmp_path))
    with caplog.at_level(logging.WARNING):
        httpx.post(f"{provider.openai_url}/chat/completions", json=ASK)
    undo()

    assert "Foreign" in caplog.text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("environment", "field", "value", "warns"),
    [
        ({}, "directory", None, False),
        ({"SPANSCRIPT_DIR": "run"}, "directory", "run", False),
        ({"SPANSCRIPT_MAX_BYTES": "0"}, "max_bytes", 0, False),
        ({"SPANSCRIPT_MAX_BYTES": "10 MB"}, "max_bytes", 1_000_000_000, True),
        ({"SPANSCRIPT_WRITE": "SYNC"}, "write", "sync", False),
        ({"SPANSCRIPT_WRITE": "later"}, "write", "inline", True),
        ({"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "span_only"}, "capture", "SPAN_ONLY", False),
        ({"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "true"}, "capture", "NO_CONTENT", True),
    ],
)
def test_settings(environment, field, value, warns, caplog):
    with caplog.at_level(logging.WARNING):
        assert getattr(Settings.from_environment(environment), field) == value

    assert bool(caplog.records) == warns
    assert all(name in caplog.text for name in environment if warns)


def test_an_unknown_setting_is_refused():
    with pytest.raises(TypeError, match="directroy"):
        spanscript.instrument(directroy="./run")


@pytest.mark.parametrize(
    "group",
    ["opentelemetry_instrumentor", "opentelemetry_pre_instrument", "opentelemetry_environment_variables"],
)
def test_entry_points(group):
    (found,) = entry_points(group=group, name="spanscript")

    assert found.load() is not None


def test_public_names():
    assert spanscript.__all__ == sorted(spanscript.__all__) == dir(spanscript)
    assert all(getattr(spanscript, name) is not None for name in spanscript.__all__)
    with pytest.raises(AttributeError, match="nothing_of_ours"):
        _ = spanscript.nothing_of_ours


def test_importing_spanscript_loads_no_opentelemetry():
    code = "import sys, spanscript, spanscript.cli; sys.exit('opentelemetry' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_nothing_is_left_of_what_was_undone(provider, tmp_path):
    """Hooks on libraries that the app never imports wait for ever: they must not hold what they were to report to."""
    recording = Recording(tmp_path / "run")
    httpx.post(f"{provider.openai_url}/chat/completions", json=ASK)
    assert len(recording.calls) == 1
    tracers = weakref.ref(recording.provider)

    recording.undo()
    del recording
    gc.collect()

    assert tracers() is None
