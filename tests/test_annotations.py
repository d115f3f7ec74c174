"""`annotate()`: what the app says happened stands on its span and in the transcript."""

from __future__ import annotations

import dataclasses
import datetime as dt

import openai
import pytest
from opentelemetry import trace

import spanscript
from spanscript.transcript.check import check
from spanscript.transcript.reader import Transcript

ASK = [{"role": "user", "content": "hi"}]


@dataclasses.dataclass
class Result:
    ok: bool


FIELDS = {
    # what is given → what stands in the transcript, and on the span
    "text": ({"tool": "search"}, {"tool": "search"}, {"tool": "search"}),
    "numbers": ({"ms": 4.5, "n": 2, "ok": False}, {"ms": 4.5, "n": 2, "ok": False}, {"ms": 4.5, "n": 2, "ok": False}),
    "nested": ({"a": {"b": [1, None]}}, {"a": {"b": [1, None]}}, {}),
    "dataclass": ({"result": Result(ok=True)}, {"result": {"ok": True}}, {}),
    "date": ({"on": dt.date(2026, 11, 27)}, {"on": "2026-11-27"}, {"on": "2026-11-27"}),
    "anything": ({"it": range(3)}, {"it": "range(0, 3)"}, {"it": "range(0, 3)"}),
    "keys that are no texts": ({"by": {1: "a"}}, {"by": {"1": "a"}}, {}),
    "half a character": ({"text": "a\ud800"}, {"text": "a\ud800"}, {"text": "a?"}),
    "the entry's own names": ({"type": "x", "seq": 1}, {"type": "x", "seq": 1}, {"type": "x", "seq": 1}),
    "nothing": ({}, {}, {}),
}  # fmt: skip


@pytest.mark.parametrize("case", FIELDS)
def test_fields(case, recording):
    given, written, told = FIELDS[case]
    with recording.provider.get_tracer("app").start_as_current_span("work"):
        spanscript.annotate("happened", **given)

    (entry,) = recording.entries_of("annotation")
    (span,) = recording.spans
    (event,) = span.events
    assert (entry["event"], entry["fields"]) == ("happened", written)
    assert (event.name, dict(event.attributes)) == ("happened", told)
    assert entry["span_id"] == f"{span.context.span_id:016x}"
    assert list(check(recording.directory)) == []


def test_where_it_stands(provider, recording):
    with spanscript.stage("plan"), spanscript.iteration(2), spanscript.call() as asked:
        openai.OpenAI(base_url=provider.openai_url, api_key="unused").chat.completions.create(
            model="gpt-5", messages=ASK
        )
        spanscript.annotate("tool_rejected", tool="rm")
    spanscript.annotate("loop_complete")

    first, second = recording.entries_of("annotation")
    assert (first["call_id"], first["iteration"], first["stage"]) == (asked.id, 2, "plan")
    assert not {"call_id", "iteration", "stage", "trace_id"} & second.keys()
    assert Transcript(recording.directory).problems == 0


def test_keys_are_masked(provider, recording):
    key = "sk-a-very-secret-key"
    openai.OpenAI(base_url=provider.openai_url, api_key=key).chat.completions.create(
        model="gpt-5", messages=ASK
    )
    spanscript.annotate("request", header=f"Bearer {key}")
    (entry,) = recording.entries_of("annotation")
    assert entry["fields"] == {"header": "Bearer [secret]"}


def test_a_circle_does_not_reach_the_app(recording, monkeypatch):
    monkeypatch.setattr("spanscript._guard.strict", False)
    circle = []
    circle.append(circle)
    spanscript.annotate("happened", it=circle)
    assert recording.entries_of("annotation") == []


def test_nobody_listens():
    assert not trace.get_current_span().is_recording()
    spanscript.annotate("happened")


def test_an_event_is_a_word():
    with pytest.raises(TypeError, match="int"):
        spanscript.annotate(3)
