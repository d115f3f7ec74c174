"""What must be true of every recorded run, whatever the row."""

from __future__ import annotations

import json
import re
import zlib
from base64 import b64decode
from collections.abc import Sequence
from email import message_from_bytes
from email.message import Message
from typing import Any, cast

from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from spanscript import _calls
from spanscript._json import dumps
from spanscript.transcript.check import Check

_CHANGING = {
    "authorization",
    "x-amz-date",
    "amz-sdk-invocation-id",
    "idempotency-key",
    "x-amzn-trace-id",
    "x-ms-client-request-id",
}
"""Headers that are new with every request of some client."""


def sent(provider: Any) -> list[Any]:
    """What the server received: bytes and headers, as far as they do not change with every run."""
    return [
        (r.method, r.path, *_unbounded(r.body, {k: v for k, v in r.headers.items() if k not in _CHANGING}))
        for r in provider.requests
    ]


def _unbounded(body: bytes, headers: dict[str, str]) -> tuple[bytes, dict[str, str]]:
    """Without what stands between the fields of a form, which is new with every request."""
    kind, is_form, boundary = headers.get("content-type", "").partition("boundary=")
    if not is_form:
        return body, headers
    return body.replace(boundary.encode(), b""), {**headers, "content-type": kind}


def told_of(request: Any) -> Any:
    """What is to be rebuilt: the body or, of a form, what tells of it, as another parser reads it."""
    kind = request.headers.get("content-type", "")
    if not kind.startswith("multipart/form-data"):
        return request.body
    form = message_from_bytes(f"content-type: {kind}\n\n".encode() + request.body)
    found: dict[str, list[Any]] = {}
    for part in cast("list[Message]", form.get_payload()):
        content = cast("bytes", part.get_payload(decode=True))
        about = {"filename": part.get_filename(), "content_type": part["content-type"], "bytes": len(content)}
        name = str(part.get_param("name", header="content-disposition"))
        found.setdefault(name, []).append(about if about["filename"] else content.decode())
    told = {name: values if len(values) > 1 else values[0] for name, values in found.items()}
    plain = {
        name: json.loads(told[name])
        for name in ("n", "stream", "partial_images", "temperature")
        if name in told
    }
    return dumps({**told, **plain})


def nothing_leaks(outer: Any) -> None:
    """Nothing of ours is current."""
    assert _calls._call.get() is None
    assert _calls._attempt.get() is None
    assert trace.get_current_span() is outer


_FORMATS = {"chat": "text", "generate_content": "text"}
"""Where tools can be offered; the rows offer none."""


def one_call(recording: Any, row: Any, statuses: Sequence[str], outer: Any) -> Any:
    """Exactly one call span, with its attempts under it; give the call."""
    calls = [span for span in recording.calls if span.name != "app"]
    assert len(calls) == 1, [span.name for span in calls]
    call, attempts = calls[0], sorted(recording.attempts, key=lambda span: span.attributes["llm.attempt"])
    api, told = row.api, call.attributes
    assert call.kind is SpanKind.CLIENT
    assert call.name == f"{api.operation} {api.model}"
    assert call.parent.span_id == outer.get_span_context().span_id
    assert told["gen_ai.operation.name"] == api.operation
    assert told["gen_ai.provider.name"] == api.provider
    assert told["gen_ai.request.model"] == api.model
    assert told["server.address"] == "127.0.0.1"
    assert told["llm.status"] == statuses[-1]
    assert told["llm.attempt"] == len(statuses) - 1
    is_error(call, statuses[-1])
    assert [a.attributes["llm.status"] for a in attempts] == list(statuses)
    for index, attempt in enumerate(attempts):
        assert attempt.kind is SpanKind.CLIENT
        assert attempt.name == f"attempt {index}"
        assert attempt.parent.span_id == call.context.span_id
        assert attempt.attributes["llm.call_id"] == told["llm.call_id"]
        assert attempt.attributes["llm.attempt"] == index
        assert attempt.attributes.get("http.request.resend_count") == (index or None)
        assert attempt.attributes.get("llm.tool_format") == _FORMATS.get(api.operation)
        assert not [name for name in attempt.attributes if name.startswith("gen_ai.")]
        assert call.start_time <= attempt.start_time <= attempt.end_time
        is_error(attempt, attempt.attributes["llm.status"])
    assert call.end_time >= attempts[-1].end_time
    return call


def is_error(span: Any, status: str) -> None:
    """An abandoned stream is no error: the app had enough of it."""
    failed = status not in ("ok", "abandoned")
    assert span.status.status_code is (StatusCode.ERROR if failed else StatusCode.UNSET)
    assert ("error.type" in span.attributes) == failed


def attempts_are_requests(recording: Any, provider: Any) -> None:
    """The server saw just the attempts, in their order."""
    received, attempts = provider.llm_requests, recording.attempts
    assert [a.attributes.get("http.response.status_code") for a in attempts] == [r.status for r in received]
    for attempt, request in zip(attempts, received, strict=True):
        assert attempt.attributes["http.request.method"] == request.method
        assert attempt.attributes["url.full"].endswith(request.path.partition("?")[0])
        wait = request.answer_headers.get("retry-after-ms")
        assert attempt.attributes.get("llm.retry_after_ms") == (wait and int(wait))


_INPUT = re.compile(
    rb'"(?:prompt_tokens|input_tokens|prompt_eval_count|promptTokenCount|total_input_tokens'
    rb'|inputTokens|inputTokenCount|prompt_token_count|inputTextTokenCount)": ?(\d+)'
)
_OUTPUT = re.compile(
    rb'"(?:completion_tokens|output_tokens|eval_count|candidatesTokenCount|total_output_tokens'
    rb'|outputTokens|outputTokenCount|generation_token_count)": ?(\d+)'
)


def tokens(answer: bytes, headers: Any) -> tuple[int | None, int | None]:
    """The last token counts that stand in an answer's bytes."""
    if headers.get("content-encoding") == "gzip":
        answer = zlib.decompressobj(wbits=31).decompress(answer)
    if "eventstream" in headers.get("content-type", ""):
        answer += b"".join(map(b64decode, re.findall(rb'"bytes":"([^"]*)"', answer)))
    found = _INPUT.findall(answer), _OUTPUT.findall(answer)
    told = (headers.get(f"x-amzn-bedrock-{kind}-token-count") for kind in ("input", "output"))
    last = [counts[-1] if counts else header for counts, header in zip(found, told, strict=True)]
    return tuple(int(count) if count else None for count in last)  # type: ignore[return-value]


def tokens_are_counted(call: Any, recording: Any, provider: Any) -> None:
    """A call that went well tells the tokens that stood on the wire, and each once."""
    last = provider.llm_requests[-1]
    asked, answered = tokens(last.answer, last.answer_headers)
    assert call.attributes.get("gen_ai.usage.input_tokens") == asked
    assert call.attributes.get("gen_ai.usage.output_tokens") == answered
    last_attempt = recording.attempts[-1].attributes
    assert last_attempt.get("llm.input_tokens") == asked
    assert last_attempt.get("llm.output_tokens") == answered


def replay_is_exact(recording: Any, received: Sequence[Any]) -> None:
    """The transcript is whole, and rebuilds every body that the server received to the byte."""
    if not received:
        assert not recording.directory.exists()
        return
    checked = Check(recording.directory)
    assert [p for p in checked if p.kind != "unfinished" and "was a form" not in p.reason] == []
    transcript = checked.transcript
    entries = [e for call in transcript.calls() for _, e in sorted(call.requests.items())]
    rebuilt = [transcript.rebuild(transcript.whole(entry)) for entry in entries]
    assert sorted(r.content for r in rebuilt) == sorted(map(told_of, received))
    forms = [r for r in rebuilt if r.proof == "summary"]
    assert len(forms) == sum(told_of(r) != r.body for r in received)
    assert {r.proof for r in rebuilt} <= {"exact", "summary"}


def parity(recording: Any) -> None:
    """Each attempt span has its request and outcome lines with the same ids, and the other way round."""
    requests = recording.entries_of("provider_call_request")
    outcomes = recording.entries_of("provider_call_response", "provider_call_error")
    spans = {(s.attributes["llm.call_id"], s.attributes["llm.attempt"]): s for s in recording.attempts}
    assert len(spans) == len(recording.attempts)
    for lines in (requests, outcomes):
        assert sorted((e["call_id"], e["attempt"]) for e in lines) == sorted(spans)
    for entry in (*requests, *outcomes):
        span = spans[entry["call_id"], entry["attempt"]]
        assert entry["trace_id"] == f"{span.context.trace_id:032x}"
        assert entry["span_id"] == f"{span.context.span_id:016x}"
    for entry in requests:
        told = spans[entry["call_id"], entry["attempt"]].attributes
        assert entry["model"] == told["llm.model"]
    for entry in outcomes:
        told = spans[entry["call_id"], entry["attempt"]].attributes
        well = entry["type"] == "provider_call_response"
        assert (told["llm.status"] == "ok") == well
        assert entry.get("status", "ok") == told["llm.status"]
        assert entry.get("error_type") == told.get("error.type")
        for key in ("input_tokens", "output_tokens", "retryable", "retry_after_ms"):
            assert entry.get(key) == told.get(f"llm.{key}"), key
        assert entry.get("http_status") == told.get("http.response.status_code")
