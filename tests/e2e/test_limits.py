"""Prompts of 1 MB on spans, before receivers that take a batch of 4 MiB over gRPC, as OTLP's default is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from asking import asking
from stack import Collector, until

from spanscript.transcript.check import check

CALLS = 6
WORDS = 200_000
LIMIT = "receivers.otlp.protocols.grpc.max_recv_msg_size_mib"
CASES = {
    "as shipped: 64 MiB": ({}, {}, True),
    "4 MiB, a batch of 6 MB": ({LIMIT: "4"}, {}, False),
    "4 MiB, batches of two spans": ({LIMIT: "4"}, {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "2"}, True),
    "4 MiB, prompts not on spans": (
        {LIMIT: "4"},
        {"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "NO_CONTENT"},
        True,
    ),
}
"""Settings of the collector; of the app; whether its spans arrive."""


@pytest.mark.parametrize("case", CASES)
def test_prompts_of_a_megabyte(case, provider, started, shared_jaeger, tmp_path):
    settings, environment, arrives = CASES[case]
    collector = started(
        Collector("local.yaml", tmp_path / "c", settings, {"JAEGER_URL": shared_jaeger.http}),
    )
    told = {
        "OTEL_SERVICE_NAME": case,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint("grpc"),
        "OTEL_EXPORTER_OTLP_TIMEOUT": "3",
        "OTEL_BSP_SCHEDULE_DELAY": "600000",  # all in one batch, at the app's end
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_ONLY",
        **environment,
    }

    with asking(provider, tmp_path / "run", words=WORDS, **told) as app:
        app.ask(CALLS)
        app.end()

    assert len(app.attempts) == len(provider.llm_requests) == CALLS
    _assert_transcript_has_it_all(tmp_path / "run")
    if arrives:
        seen = until(lambda: len((all_ := shared_jaeger.spans_of(case)).spans) == 2 * CALLS and all_)
        assert seen.attempts.keys() == app.attempts
        on_spans = [span["attributes"].get("gen_ai.input.messages", "") for span in seen.calls.values()]
        assert all((len(text) > 5 * WORDS) == ("not on spans" not in case) for text in on_spans)
    else:
        assert not shared_jaeger.spans_of(case).spans


def _assert_transcript_has_it_all(directory: Path) -> None:
    lines = (directory / "llm_transcript.jsonl").read_text().splitlines()
    entries = [json.loads(line) for line in lines]
    assert sum(entry["type"] == "provider_call_request" for entry in entries) == CALLS
    assert "word " * WORDS in [entry.get("content") for entry in entries]
    assert list(check(directory)) == []
