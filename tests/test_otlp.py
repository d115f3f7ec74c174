"""An app under `opentelemetry-instrument`, and an OTLP receiver: every span arrives, and says what the transcript says."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("grpc")
openai = pytest.importorskip("openai")
pytest.importorskip("anthropic")

from instrumented import APP, assert_parity, run_app  # noqa: E402
from otlp import RECEIVERS  # noqa: E402


@pytest.mark.parametrize("protocol", RECEIVERS)
def test_spans_and_transcript_say_the_same(protocol, provider, tmp_path):
    provider.script(
        "429 retry-after-ms=5",
        "429 retry-after-ms=5",
        "ok",
        "ok",
        "529 retry-after-ms=5",
        "ok",
        "ok",
        "ok",
        "500 retry-after-ms=5",
        "500",
    )

    with RECEIVERS[protocol]() as received:
        entries = run_app(
            APP,
            provider,
            tmp_path,
            OTEL_TRACES_EXPORTER="otlp",
            OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
            OTEL_EXPORTER_OTLP_ENDPOINT=received.endpoint,
        )

    assert len(provider.llm_requests) == len(received.attempts) == 10
    assert [s["attributes"]["llm.status"] for s in received.calls.values()] == [
        "ok",
        "ok",
        "ok",
        "abandoned",
        "ok",
        "retries_exhausted",
    ]
    assert all(resource["service.name"] == "the-app" for resource in received.resources)
    assert entries[0]["service_name"] == "the-app"
    assert_parity(received, entries)


def test_nothing_secret_and_no_content_leaves_by_default(provider, tmp_path):
    with RECEIVERS["http/protobuf"]() as received:
        run_app(
            APP,
            provider,
            tmp_path,
            OTEL_TRACES_EXPORTER="otlp",
            OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
            OTEL_EXPORTER_OTLP_ENDPOINT=received.endpoint,
        )

    told = json.dumps([*received.spans.values()])
    assert "Oslo" not in told
    assert "key-of-the-app" not in told + (tmp_path / "run" / "llm_transcript.jsonl").read_text()


@pytest.mark.parametrize("capture", ["span_only", "SPAN_AND_EVENT"])
def test_content_on_spans_where_it_is_asked_for(capture, provider, tmp_path):
    with RECEIVERS["http/protobuf"]() as received:
        run_app(
            APP,
            provider,
            tmp_path,
            OTEL_TRACES_EXPORTER="otlp",
            OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=capture,
            OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
            OTEL_EXPORTER_OTLP_ENDPOINT=received.endpoint,
        )

    first = min(received.calls.values(), key=lambda span: span["start"])["attributes"]
    assert json.loads(first["gen_ai.input.messages"]) == [
        {"role": "user", "parts": [{"type": "text", "content": "What is the weather in Oslo?"}]}
    ]
    (answer,) = json.loads(first["gen_ai.output.messages"])
    assert answer["parts"][0]["type"] == "tool_call"
    assert answer["parts"][0]["name"] == "weather"
    assert isinstance(answer["parts"][0]["arguments"], dict)
    assert json.loads(first["gen_ai.tool.definitions"])[0]["function"]["name"] == "weather"


def test_without_any_provider_the_transcript_is_written(provider, tmp_path):
    """No distro's configurator has run: the global provider is a proxy, and a private one carries the spans."""
    code = "import spanscript, os\nspanscript.instrument(directory=os.environ['SPANSCRIPT_DIR'])\n" + APP
    app = tmp_path / "app.py"
    app.write_text(code)
    subprocess.run(
        [sys.executable, str(app)],
        check=True,
        timeout=120,
        env={**os.environ, "PROVIDER": provider.url, "SPANSCRIPT_DIR": str(tmp_path / "run")},
    )

    entries = [json.loads(x) for x in (tmp_path / "run" / "llm_transcript.jsonl").read_bytes().splitlines()]
    assert sum(e["type"] == "provider_call_request" for e in entries) == len(provider.llm_requests)
