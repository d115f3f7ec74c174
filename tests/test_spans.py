"""What stands on spans, as the people who look at them in a backend want it, and as exporters can send it."""

from __future__ import annotations

import json

import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor

import spanscript
from spanscript.demo.provider import Step

httpx = pytest.importorskip("httpx")

ASK = [{"role": "user", "content": "hi"}]
STRANGE = {
    "half a character": "\ud800",
    "two halves": "x\udfff\ud800",
    "zero byte": "a\0b",
    "long": "m" * 5000,
    "empty": "",
    "escape": "\x1b[31m",
}


def asked(strange: str) -> dict:
    tool = {"type": "function", "function": {"name": strange, "parameters": {strange or "k": 2**70}}}
    return {
        "model": strange,
        "messages": [{"role": strange, "content": strange, "name": strange}, *ASK],
        "tools": [tool],
        "seed": 2**70,
        "stop": [strange],
        "reasoning_effort": strange,
    }


def answered(strange: str) -> dict:
    deep: object = strange
    for _ in range(60):
        deep = {strange[:9] or "k": [deep]}
    call = {"id": strange, "function": {"name": strange, "arguments": json.dumps(deep)}}
    message = {"role": strange, "content": strange, "tool_calls": [call]}
    return {
        "id": strange,
        "model": strange,
        "choices": [{"finish_reason": strange, "message": message}],
        "usage": {"prompt_tokens": 2**70, "completion_tokens": -1},
    }


ANSWERS = {
    "whole": lambda strange: Step(raw=(json.dumps(answered(strange)).encode(),)),
    "error": lambda strange: Step(
        status=400, raw=(json.dumps({"error": {"code": strange, "message": strange}}).encode(),)
    ),
}


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("strange", STRANGE)
def test_whatever_is_said_can_be_exported(strange, answer, provider, recording, tmp_path, caplog):
    trace_encoder = pytest.importorskip("opentelemetry.exporter.otlp.proto.common.trace_encoder")
    log_encoder = pytest.importorskip("opentelemetry.exporter.otlp.proto.common._log_encoder")
    recording.undo()
    said = InMemoryLogRecordExporter()
    logs = LoggerProvider()
    logs.add_log_record_processor(SimpleLogRecordProcessor(said))
    undo = spanscript.instrument(
        recording.provider, recording.meters, logs, directory=str(tmp_path), capture="SPAN_AND_EVENT"
    )
    provider.script(ANSWERS[answer](STRANGE[strange]))

    try:
        httpx.post(f"{provider.openai_url}/chat/completions", content=json.dumps(asked(STRANGE[strange])))
    finally:
        undo()
    spans = trace_encoder.encode_spans(recording.spans)
    events = log_encoder.encode_logs(said.get_finished_logs())

    assert caplog.records == []
    type(spans).FromString(spans.SerializeToString())
    type(events).FromString(events.SerializeToString())
    for span in recording.spans:
        assert len(span.name) + len(span.status.description or "") < 2200
        told = {k: v for k, v in span.attributes.items() if not k.startswith("gen_ai.")}
        assert "" not in told.values()
        assert all(len(str(value)) <= 1100 for value in told.values())


@pytest.mark.parametrize("number", ["1e999", "-1e999", "1e30", "1.5", '"a"', "true", "null", "[]"])
def test_numbers_that_are_none(number, provider, recording):
    body = f'{{"model":"g","messages":[],"max_tokens":{number},"temperature":{number}}}'
    provider.script("400")
    httpx.post(f"{provider.openai_url}/chat/completions", content=body)

    assert "gen_ai.request.max_tokens" not in recording.calls[0].attributes
    assert len(recording.attempts) == 1


def test_only_calls_of_openai_have_its_attributes(provider, recording):
    anthropic = pytest.importorskip("anthropic")
    with anthropic.Anthropic(base_url=provider.url, api_key="k") as client:
        message = client.messages.create(model="claude-5", max_tokens=9, messages=ASK)

    assert message.usage.service_tier
    assert not [name for name in recording.calls[0].attributes if name.startswith("openai.")]
