"""`ls`: what is listed, and which calls are chosen."""

from __future__ import annotations

import json
import shlex
from datetime import datetime, timedelta, timezone

import pytest
from hostile import HOSTILE
from spec_writer import IDS, TURNS, SpecWriter, chat, compact, sample

from spanscript.cli import _source
from spanscript.cli._filters import _moment
from spanscript.transcript import indexing
from spanscript.transcript.reader import Transcript

GOOD = sample()[0].bytes()


def varied():
    """Six calls: of two providers, models and stages; ok, failed, retried, slow, and never ended."""
    w = SpecWriter()
    trace = "a1" * 16
    w.request(IDS[0], 0, compact(chat(1)), stage="plan", trace_id=trace)
    w.response(IDS[0], 0, "Rain in Porto")
    w.request(IDS[1], 0, compact(chat(3)), stage="plan")
    w.error(IDS[1], 0, error_message="slow down")
    w.request(IDS[1], 1, compact(chat(3)), stage="plan")
    w.response(IDS[1], 1, None, tool_calls=[{"id": "c", "name": "book", "arguments": '{"to": "Faro"}'}])
    anthropic = {"provider": "anthropic", "dialect": "messages", "client": "anthropic"}
    w.request(IDS[2], 0, compact(chat(0, model="claude-haiku-4-5")), **anthropic)
    w.second += 60
    w.error(IDS[2], 0, "error", error_message="no such thing")
    w.request(IDS[3], 0, compact(chat(1, user="x", model="gpt-5-mini")), stage="write")
    w.error(IDS[3], 0, "abandoned", text="half an answer")
    w.raw_request(IDS[4], 0, b"x", model="whisper", body_text="what was said: a.b(c")
    w.response(IDS[4], 0, "")
    w.request(IDS[5], 0, compact({"model": "o3", "messages": [{"role": "user", "content": "K\u00f6ln\nis"}]}))
    return w.bytes()


def test_ls(run):
    code, out, err = run("ls", data=GOOD)

    assert (code, err) == (0, "")
    assert out.decode().splitlines() == [
        "time (UTC)           call           model  stage  attempts  status      in  out    ms",
        "2026-11-22 07:00:04  0199b000-0000  gpt-5  1             1  ok          12    3  1000",
        "2026-11-22 07:00:10  0199b000-0001  gpt-5  2             3  ok          12    3  5000",
        "2026-11-22 07:00:18  0199b000-0002  gpt-5                1  unfinished",
    ]


def test_ls_tells_errors(run):
    _, out, _ = run("ls", "--status", "error", data=varied())

    assert (
        out.decode()
        .splitlines()[1]
        .endswith("claude-haiku-4-5         1  error            61000  no such thing")
    )


def test_ls_json(run):
    _, out, _ = run("ls", "--json", data=GOOD)
    found = json.loads(out)
    told = {"attempts": 3, "status": "ok", "output_tokens": 3, "ms": 5000.0, "stream": True}

    assert [call["call_id"] for call in found] == IDS[:3]
    assert found[1].items() >= told.items()
    assert "input_tokens" not in found[2], "absent is not zero"
    assert json.loads(run("ls", "--json", "--model", "none")[1]) == []


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        ("", [0, 1, 2, 3, 4, 5]),
        ("-n 2", [4, 5]),
        ("--limit 99", [0, 1, 2, 3, 4, 5]),
        ("--model gpt-5", [0, 1]),
        ("--model gpt-5*", [0, 1, 3, 4]),
        ("--model GPT-5-MINI", [3]),
        ("--model *2026", [0, 1, 4]),
        ("--provider anthropic", [2]),
        ("--provider [ab]*", [2]),
        ("--stage plan", [0, 1]),
        ("--stage ?rite", [3]),
        ("--status ok", [0, 1, 4]),
        ("--status error,abandoned", [2, 3]),
        ("--status failed", [2, 3, 5]),
        ("--retried", [1]),
        ("--slow 2000", [1, 2]),
        ("--slow 60000ms", [2]),
        ("--trace a1", [0]),
        ("--trace A1A1", [0]),
        ("--trace ab", []),
        ("--since 2026-11-22T07:01", [3, 4, 5]),
        ("--since 2026-11-22T08:01+01:00", [3, 4, 5]),
        ("--until 2026-11-22T07:00:05Z", [0]),
        ("--since 2026-11-22 --until 2026-11-23", [0, 1, 2, 3, 4, 5]),
        ("--since 2026-11-23", []),
        ("--grep porto", [0]),
        ("--grep faro", [1]),
        ("--grep sunny", [1]),
        ("--grep weather", [0, 1, 2, 3]),
        ("--grep exact", [0, 1, 2, 3]),
        ("--grep half", [3]),
        ("--grep slow", [1]),
        ("--grep a.b(c", [4]),
        ("--grep 'KÖLN\nIS'", [5]),
        ("--grep context", []),
        ("--regex ^Rain", [0]),
        ("--regex ^rain", []),
        ("--regex (?i)RAIN|such", [0, 2]),
        ("--model gpt* --status failed --stage write", [3]),
        ("--model gpt* -n 1", [4]),
    ],
)
def test_which_calls_are_listed(run, options, numbers):
    code, out, err = run("ls", "--json", *shlex.split(options), data=varied())

    assert (code, err) == (0, "")
    assert [IDS.index(call["call_id"]) for call in json.loads(out)] == numbers


def test_none_of_the_calls_is_so(run):
    assert run("ls", "--model", "x", data=GOOD)[:2] == (0, b"none of 3 calls is so\n")
    assert run("ls", data=SpecWriter().bytes())[:2] == (0, b"no calls yet\n")


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--since", "yesterday-ish", "'yesterday-ish' is no time; give 90s, 30m, 2h, 3d or 1w (ago)"),
        ("--since", "9" * 30 + "d", "is no time"),
        ("--until", "2026-13-01", "'2026-13-01' is no time"),
        ("--since", "25:00", "'25:00' is no time"),
        ("--slow", "fast", "'fast' is no number of milliseconds, e.g. 2000"),
        ("--slow", "nan", "is no number of milliseconds"),
        ("--slow", "-1", "is no number of milliseconds"),
        ("--trace", "xyz", "'xyz' is no trace id; one has 32 hex digits"),
        ("--status", "ok,fine", "'fine' is no status; there are ok, error, "),
        ("--grep", "", "there is no text to look for"),
        ("--regex", "(", "'(' is no regular expression: missing )"),
        ("-n", "0", "'0' is no number of calls, 1 or more"),
        ("-n", "٣", "is no number of calls"),
        ("--since", HOSTILE, "is no time"),
    ],
)
def test_values_that_make_no_sense(run, option, value, says):
    code, out, err = run("ls", f"{option}={value}" if option != "-n" else f"-n{value}", data=GOOD)

    assert (code, out) == (2, b"")
    assert says in err
    assert "\x1b" not in err


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("90s", timedelta(seconds=90)),
        ("1.5h", timedelta(hours=1.5)),
        ("3d", timedelta(days=3)),
        ("1w", timedelta(weeks=1)),
    ],
)
def test_times_ago(text, age):
    assert abs(datetime.now(timezone.utc) - age - _moment(text)) < timedelta(seconds=5)


def test_a_time_of_today():
    now = datetime.now(timezone.utc)

    assert _moment("7:05") == now.replace(hour=7, minute=5, second=0, microsecond=0)
    assert _moment("7:05:09") == now.replace(hour=7, minute=5, second=9, microsecond=0)


def test_grep_passes_over_what_is_lost(run):
    """A message that is missing is not searched; those after it are."""
    w = SpecWriter()
    w.request(IDS[0], 0, compact(chat(3)))
    lines = [line for line in w.lines if b"K\xc3\xb6ln?" not in line]

    assert TURNS[0]["content"].encode() not in b"".join(lines)
    assert len(json.loads(run("ls", "--json", "--grep", "sunny", data=b"".join(lines))[1])) == 1
    assert json.loads(run("ls", "--json", "--grep", "köln?")[1]) == []


# Of a large transcript, while it is read


def test_a_large_transcript_is_listed_while_it_is_read(run, monkeypatch):
    """The same calls; the first rows are printed before the last lines are read."""
    w = SpecWriter()
    for number in range(3000):
        call_id = f"0199b000-{number:04x}-7000-8000-000000000000"
        w.request(call_id, 0, compact(chat(1)))
        w.response(call_id, 0, "x")
    data = w.bytes()
    _, plain, _ = run("ls", data=data)
    read_when_printed = []
    stream = Transcript.stream

    def watched(self, progress=None):
        for call in stream(self, progress):
            read_when_printed.append(len(self.calls()))
            yield call

    monkeypatch.setattr(_source, "INDEX_FROM", 1000)
    monkeypatch.setattr(indexing, "_BATCH", 10_000)
    monkeypatch.setattr(Transcript, "stream", watched)
    code, out, err = run("ls")

    assert (code, err) == (0, "")
    ids = [line.split()[2] for line in out.decode().splitlines()[1:]]
    assert len(ids) == 3000
    assert {line.split()[2] for line in plain.decode().splitlines()[1:]} == {name[:13] for name in ids}
    assert read_when_printed[0] < 100 < read_when_printed[-1] == 3000


def test_of_a_large_one_the_filters_hold_too(run, monkeypatch):
    monkeypatch.setattr(_source, "INDEX_FROM", 10)
    code, out, _ = run("ls", "--json", "--status", "failed", data=varied())
    assert (code, len(json.loads(out))) == (0, 3)
    code, out, _ = run("ls", "--model", "nobody")
    assert (code, out) == (0, b"none of 6 calls is so\n")
    code, _, err = run("ls", data=b"no transcript\n" * 10)
    assert (code, "holds no entry of a transcript" in err) == (2, True)
