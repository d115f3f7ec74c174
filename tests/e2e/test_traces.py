"""An app, the real collector, the real Jaeger: what Jaeger's query API tells is what happened."""

from __future__ import annotations

import textwrap

import pytest
from instrumented import APP, assert_parity, run_app
from otlp import RECEIVERS
from picture import page
from stack import until

AGENT = "from opentelemetry import trace\n" + "\n".join(
    (
        "with trace.get_tracer('the-app').start_as_current_span('answer a question'):",
        textwrap.indent(APP, "    "),
    )
)
ANSWERS = (
    *("429 retry-after-ms=5", "429 retry-after-ms=5", "ok"),
    "ok",
    *("529 retry-after-ms=5", "ok"),
    "ok",
    "ok",
    *("500 retry-after-ms=5", "500"),
)
CALLS = (
    ("chat gpt-5", ["retrying", "retrying", "ok"]),
    ("chat gpt-5", ["ok"]),
    ("chat claude-5", ["retrying", "ok"]),
    ("chat gpt-5", ["abandoned"]),
    ("embeddings embed-3", ["ok"]),
    ("chat gpt-5", ["retrying", "retries_exhausted"]),
)
"""Name of each call's span, and the statuses of its attempts."""
TYPES = {
    "gen_ai.operation.name": str,
    "gen_ai.provider.name": str,
    "gen_ai.request.model": str,
    "gen_ai.request.max_tokens": int,
    "gen_ai.request.stream": bool,
    "gen_ai.response.id": str,
    "gen_ai.response.model": str,
    "gen_ai.response.finish_reasons": list,
    "gen_ai.response.time_to_first_chunk": float,
    "gen_ai.usage.input_tokens": int,
    "gen_ai.usage.output_tokens": int,
    "gen_ai.embeddings.dimension.count": int,
    "error.type": str,
    "server.address": str,
    "server.port": int,
    "http.request.method": str,
    "http.request.resend_count": int,
    "http.response.status_code": int,
    "http.response.header.x-request-id": list,
    "url.full": str,
    "llm.attempt": int,
    "llm.call_id": str,
    "llm.input_tokens": int,
    "llm.output_tokens": int,
    "llm.model": str,
    "llm.prompt_chars": int,
    "llm.retry_after_ms": int,
    "llm.retryable": bool,
    "llm.status": str,
    "llm.tool_format": str,
}


@pytest.mark.parametrize("protocol", RECEIVERS)
def test_the_trace_of_an_agent(protocol, provider, local, shared_jaeger, tmp_path):
    provider.script(*ANSWERS)
    service = f"agent-{protocol.partition('/')[0]}"

    entries = run_app(
        AGENT,
        provider,
        tmp_path,
        OTEL_SERVICE_NAME=service,
        OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
        OTEL_EXPORTER_OTLP_ENDPOINT=local.endpoint(protocol),
    )

    (trace_id,) = {entry["trace_id"] for entry in entries if "trace_id" in entry}
    wanted = 1 + len(CALLS) + len(ANSWERS)
    seen = until(lambda: len((found := shared_jaeger.spans_in(trace_id)).spans) == wanted and found)
    assert_parity(seen, entries)
    assert shared_jaeger.spans_of(service).spans == seen.spans
    assert {resource["service.name"] for resource in seen.resources} == {service}
    ((root_id, root),) = ((i, span) for i, span in seen.spans.items() if not span["parent"])
    assert (root["name"], root["scope"], root["error"]) == ("answer a question", "the-app", False)
    assert _told(seen, root_id) == [*CALLS]
    _assert_errors(seen)
    _assert_types(seen)
    _assert_picture(seen)


def _below(seen, parent):
    """Those under a span, by start."""
    found = [(i, span) for i, span in seen.spans.items() if span["parent"] == parent]
    return sorted(found, key=lambda each: each[1]["start"])


def _told(seen, root_id):
    calls = _below(seen, root_id)
    attempts = [[span for _, span in _below(seen, call_id)] for call_id, _ in calls]
    for each in attempts:
        assert [span["name"] for span in each] == [f"attempt {n}" for n in range(len(each))]
    return [
        (call["name"], [span["attributes"]["llm.status"] for span in each])
        for (_, call), each in zip(calls, attempts, strict=True)
    ]


def _assert_errors(seen):
    """As errors, with words, are marked: attempts that failed and calls that did."""
    wrong = {"retrying", "retries_exhausted", "error", "cancelled"}
    for span in seen.spans.values():
        failed = span["attributes"].get("llm.status") in wrong
        assert (span["error"], bool(span["description"])) == (failed, failed), span
    assert sum(span["error"] for span in seen.calls.values()) == 1


def _assert_types(seen):
    told = {name: value for span in seen.spans.values() for name, value in span["attributes"].items()}
    assert {name: type(told.get(name)) for name in TYPES} == TYPES
    assert {type(value) for name, value in told.items() if ".usage." in name} == {int}


def _assert_picture(seen):
    """Each span is one line of the picture in the README, below its parent, and what failed is red."""
    drawn = page(seen)
    assert drawn.count("<tr") == len(seen.spans)
    assert drawn.count('class="error"') == sum(span["error"] for span in seen.spans.values())
    assert drawn.index("answer a question") < drawn.index("attempt 0") < drawn.index("attempt 2")
