"""An app under `opentelemetry-instrument`, and an OTLP receiver: every span arrives, and says what the transcript says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("grpc")
openai = pytest.importorskip("openai")
pytest.importorskip("anthropic")

from otlp import RECEIVERS  # noqa: E402

APP = """
import os, sys
import anthropic, openai

url = os.environ["PROVIDER"]
o = openai.OpenAI(base_url=url + "/v1", api_key="key-of-the-app")
a = anthropic.Anthropic(base_url=url, api_key="key-of-the-app")
ask = [{"role": "user", "content": "What is the weather in Oslo?"}]
tools = [{"type": "function", "function": {"name": "weather", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}}}}]
o.chat.completions.create(model="gpt-5", messages=ask, tools=tools)
for _ in o.chat.completions.create(model="gpt-5", messages=ask, stream=True,
                                   stream_options={"include_usage": True}):
    pass
with a.messages.stream(model="claude-5", max_tokens=99, messages=ask) as stream:
    stream.get_final_message()
stream = o.responses.create(model="gpt-5", input="hi", stream=True)
next(iter(stream))
stream.close()
o.embeddings.create(model="embed-3", input=["a", "b"])
try:
    o.with_options(max_retries=1).chat.completions.create(model="gpt-5", messages=ask + ask)
except openai.InternalServerError:
    pass
"""


def run_app(code: str, provider, tmp_path: Path, **environment: str) -> list[dict]:
    """Run *code* as a user would; returns the transcript's entries."""
    app = tmp_path / "app.py"
    app.write_text(code)
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "SPANSCRIPT_"))}
    subprocess.run(
        [str(Path(sys.executable).parent / "opentelemetry-instrument"), sys.executable, str(app)],
        env={
            **clean,
            "PROVIDER": provider.url,
            "SPANSCRIPT_DIR": str(tmp_path / "run"),
            "OTEL_SERVICE_NAME": "the-app",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
            **environment,
        },
        check=True,
        timeout=120,
    )
    lines = (tmp_path / "run" / "llm_transcript.jsonl").read_bytes().splitlines()
    return [json.loads(line) for line in lines]


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
    _assert_parity(received, entries)


def _assert_parity(received, entries):
    """Each attempt span has its request and outcome lines with the same ids, and the other way round."""
    requests = {e["span_id"]: e for e in entries if e["type"] == "provider_call_request"}
    outcomes = {
        e["span_id"]: e for e in entries if e["type"].startswith("provider_call_") and "body" not in e
    }
    assert requests.keys() == outcomes.keys() == received.attempts.keys()
    for span_id, span in received.attempts.items():
        request, outcome, attributes = requests[span_id], outcomes[span_id], span["attributes"]
        call = received.spans[span["parent"]]
        assert (
            call["attributes"]["llm.call_id"]
            == attributes["llm.call_id"]
            == request["call_id"]
            == outcome["call_id"]
        )
        assert span["trace_id"] == call["trace_id"] == request["trace_id"] == outcome["trace_id"]
        assert attributes["llm.attempt"] == request["attempt"] == outcome["attempt"]
        assert attributes["llm.model"] == request["model"] == call["attributes"]["gen_ai.request.model"]
        assert attributes["llm.status"] == outcome.get("status", "ok")
        assert attributes.get("error.type") == outcome.get("error_type")
        assert attributes.get("http.response.status_code") == outcome.get("http_status")
        assert attributes.get("llm.input_tokens") == outcome.get("input_tokens")
        assert attributes.get("llm.output_tokens") == outcome.get("output_tokens")
        assert attributes["url.full"] == request["url"]
        assert attributes["llm.prompt_chars"] == request["prompt_chars"]
        assert span["error"] == ("error_type" in outcome)
        assert attributes.get("http.response.header.x-request-id", [None]) == [outcome.get("request_id")]
        assert not any(key.startswith("gen_ai.") for key in attributes)
        assert span["start"] >= call["start"]
    last = {e["call_id"]: e for e in outcomes.values()}
    for call in received.calls.values():
        attributes = call["attributes"]
        assert attributes.get("gen_ai.usage.input_tokens") == last[attributes["llm.call_id"]].get(
            "input_tokens"
        )
        assert attributes["llm.attempt"] == last[attributes["llm.call_id"]]["attempt"]


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
