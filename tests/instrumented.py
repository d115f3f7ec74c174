"""An app under `opentelemetry-instrument`, as a user runs it, and what its spans and transcript must say of each other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

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
    """Run *code* as a user would; returns the entries of the transcript, if there is one."""
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
    file = tmp_path / "run" / "llm_transcript.jsonl"
    lines = file.read_bytes().splitlines() if file.exists() else []
    return [json.loads(line) for line in lines]


def assert_parity(received, entries):
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
