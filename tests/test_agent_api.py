"""What an agent's runtime needs, row by row of `docs/agent-api.md`; and the example that uses most of it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import threading
from collections import Counter
from contextvars import copy_context
from pathlib import Path

import openai
import pytest

import spanscript
from spanscript.config import Settings
from spanscript.transcript.check import check
from spanscript.transcript.reader import Transcript

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "agent-api.md").read_text()
BIN = Path(sys.executable).parent
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}]


@pytest.fixture
def ask(provider):
    """Asks, and gives what the model says."""
    client = openai.OpenAI(base_url=provider.openai_url, api_key="unused")

    def ask(text="hi", *, system=None, **options):
        messages = [{"role": "system", "content": system}] if system else []
        messages += [{"role": "user", "content": text}] if isinstance(text, str) else text
        return client.chat.completions.create(**{"model": "gpt-5", **options}, messages=messages)

    return ask


def environment(provider, **more):
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "SPANSCRIPT_", "OPENAI_"))}
    quiet = {f"OTEL_{signal}_EXPORTER": "none" for signal in ("TRACES", "METRICS", "LOGS")}
    return {**kept, **quiet, "OPENAI_BASE_URL": provider.openai_url, "OPENAI_API_KEY": "unused", **more}


def instrumented(provider, directory, *argv, **more):
    done = subprocess.run(
        [BIN / "opentelemetry-instrument", sys.executable, *argv],
        cwd=directory,
        env=environment(provider, **more),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def entries(directory):
    return [json.loads(line) for line in (directory / "llm_transcript.jsonl").read_text().splitlines()]


# The rows


@pytest.mark.skipif(not (BIN / "opentelemetry-instrument").exists(), reason="no opentelemetry-distro")
def test_transcript(provider, tmp_path):
    """On by the environment alone; a directory that cannot be written does not reach the app."""
    program = 'import openai\nm = [{"role": "user", "content": "hi"}]\nprint(openai.OpenAI().chat.completions.create(model="gpt-5", messages=m).choices[0].message.content)'
    (tmp_path / "a file").write_text("")

    for directory in (None, tmp_path / "run", tmp_path / "a file"):
        more = {} if directory is None else {"SPANSCRIPT_DIR": str(directory)}
        assert instrumented(provider, tmp_path, "-c", program, **more) == "You said: hi\n"
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["llm_transcript.jsonl"]
    assert [entry["type"] for entry in entries(tmp_path / "run")] == [
        "transcript_open",
        "message",
        "provider_call_request",
        "provider_call_response",
    ]


def test_system_prompt_and_tools(ask, recording):
    """Once for all agents, again where it changes, again in a new stage."""
    for system in ("A", "B", "A", "B"):  # two agents, taking turns
        ask(system=system, tools=TOOLS)
    assert [e["content"] for e in recording.entries_of("system_prompt")] == ["A", "B"]
    assert len(recording.entries_of("tool_schemas")) == 1
    with spanscript.stage("next"):
        ask(system="A", tools=TOOLS)
    assert [e["content"] for e in recording.entries_of("system_prompt")] == ["A", "B", "A"]
    assert len(recording.entries_of("tool_schemas")) == 2


def test_messages(ask, recording):
    """Pushes, rewrites and compaction are seen, for the request tells."""
    with spanscript.iteration(1):
        ask(
            [
                {"role": "user", "content": "a"},
                {"role": "assistant", "content": "b"},
                {"role": "user", "content": "c"},
            ]
        )
    with spanscript.iteration(2):
        ask([{"role": "user", "content": "a, in short"}, {"role": "user", "content": "nudge"}])
    told = [(e["iteration"], e["content"]) for e in recording.entries_of("message")]
    assert told == [(1, "a"), (1, "b"), (1, "c"), (2, "a, in short"), (2, "nudge")]


def test_requests_and_answers(ask, provider, recording):
    """Also what fails has its end; joined by the call's id; tokens that nobody told are not 0."""
    provider.script("429 retry-after-ms=1", "ok", "400")
    with spanscript.call() as asked:
        ask()
    with pytest.raises(openai.BadRequestError):
        ask()
    told = [e for e in recording.entries if e["type"].startswith("provider_call_")]
    assert [(e["type"], e["attempt"]) for e in told if e["call_id"] == asked.id] == [
        ("provider_call_request", 0),
        ("provider_call_error", 0),
        ("provider_call_request", 1),
        ("provider_call_response", 1),
    ]
    assert told[-1]["type"] == "provider_call_error"
    assert not {"input_tokens", "output_tokens"} & told[-1].keys()


def test_interpretation(ask, provider, recording):
    """By the call's own id: what can be run, and a sentence on what cannot."""
    wrong = {"texts": [None], "calls": [["get_weather", {"town": 1}], ["fly", {}]], "finish": "tool_calls"}
    provider.script({"answer": wrong})
    ask(tools=TOOLS)
    ask(tools=TOOLS)
    first, second = recording.entries_of("interpreted_response")
    answers = recording.entries_of("provider_call_response")
    assert [first["call_id"], second["call_id"]] == [answer["call_id"] for answer in answers]
    assert first["tool_calls"] == []
    assert first["tool_parse_errors"] == [
        "Arguments of get_weather: city is missing.",
        'The tool "fly" does not exist. Tools: get_weather.',
    ]
    assert [call["name"] for call in second["tool_calls"]] == ["get_weather"]


@pytest.mark.parametrize(
    ("said", "variable", "tools", "expected"),
    [
        ("hermes", "json", True, "hermes"),
        (None, "json", True, "json"),
        (None, None, True, "native"),
        (None, None, False, "text"),
    ],
)
def test_tool_format(said, variable, tools, expected, provider, tmp_path):
    """The argument, the environment, else by the tools."""
    from recording import Recording

    settings = Settings.from_environment({"SPANSCRIPT_TOOL_FORMAT": variable} if variable else {})
    recording = Recording(tmp_path / "run", tool_format=settings.tool_format)
    client = openai.OpenAI(base_url=provider.openai_url, api_key="unused")
    try:
        with spanscript.call(tool_format=said):
            client.chat.completions.create(
                model="gpt-5",
                messages=[{"role": "user", "content": "hi"}],
                **({"tools": TOOLS} if tools else {}),
            )
    finally:
        recording.undo()
    assert recording.entries_of("provider_call_request")[0]["tool_format"] == expected


def test_iteration(provider, recording):
    """Nested agents, tasks and threads each have their own; none is left."""

    async def agent(client, name, turns=2, inner=True):
        with spanscript.stage(name):
            for turn in range(turns):
                with spanscript.iteration(turn):
                    question = [{"role": "user", "content": f"{name} {turn}"}]
                    await client.chat.completions.create(model="gpt-5", messages=question)
                    if inner:
                        await agent(client, f"{name}'s", inner=False)

    async def some(names):
        async with openai.AsyncOpenAI(base_url=provider.openai_url, api_key="unused", timeout=60) as client:
            await asyncio.gather(*(agent(client, name) for name in names))

    asyncio.run(some([f"task {number}" for number in range(50)]))
    threads = [
        threading.Thread(target=copy_context().run, args=(asyncio.run, some([f"thread {number}"])))
        for number in range(2)
    ]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]

    assert len(recording.entries_of("message")) == 52 * 4
    for entry in recording.entries_of("message"):
        assert entry["content"] == f"{entry['stage']} {entry['iteration']}"
    said = spanscript._words.said()
    assert (said.iteration, said.stage) == (None, None)


def test_spans(ask, provider, recording):
    """A later call does not overwrite an earlier one; tokens stand on it, errors on the attempt."""
    provider.script("503 retry-after-ms=1", "ok")
    with spanscript.iteration(3):
        ask("first question")
    ask()
    first, second = recording.calls
    assert first.attributes["llm.call_id"] != second.attributes["llm.call_id"]
    assert first.attributes["llm.iteration"] == 3
    assert "llm.iteration" not in second.attributes
    failed, fine = recording.attempts[:2]
    assert failed.attributes["error.type"]
    assert (failed.attributes["llm.retryable"], failed.attributes["llm.status"]) == (True, "retrying")
    assert fine.attributes["llm.input_tokens"] == first.attributes["gen_ai.usage.input_tokens"] > 0
    assert first.attributes["llm.prompt_chars"] > second.attributes["llm.prompt_chars"]


@pytest.mark.parametrize(
    ("steps", "status"),
    [
        (["ok"], "ok"),
        (["503 retry-after-ms=1"] * 3, "retries_exhausted"),
        (["400"], "error"),
    ],
)
def test_status(steps, status, ask, provider, recording):
    provider.script(*steps)
    with spanscript.call() as asked:
        if status == "ok":
            ask()
        else:
            with pytest.raises(openai.APIStatusError):
                ask()
    assert asked.status == recording.calls[0].attributes["llm.status"] == status


@pytest.mark.parametrize(
    ("status", "text", "expected"),
    [
        (400, "typeof x is not a function: EOF, timeout, overloaded", False),
        (401, "rate limit", False),
        (422, "please try again", False),
        (408, "", True),
        (429, "", True),
        (504, "no such text", True),
        (529, "", True),
    ],
)
def test_what_may_be_tried_again(status, text, expected, provider, recording):
    """By status and class; the text never decides."""
    provider.script({"status": status, "raw": [json.dumps({"error": {"message": text}})]})
    client = openai.OpenAI(base_url=provider.openai_url, api_key="unused", max_retries=0)
    with pytest.raises(openai.APIStatusError):
        client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "hi"}])
    assert recording.attempts[0].attributes["llm.retryable"] is expected
    assert recording.entries_of("provider_call_error")[0]["retryable"] is expected


def test_an_empty_answer(ask, provider, recording):
    provider.script({"answer": {"texts": [""]}}, "ok")
    ask()
    ask()
    assert [s.attributes.get("llm.empty") for s in recording.calls] == [True, None]


def test_retries(ask, provider, recording):
    """More in `test_retrying.py`."""
    provider.script("503 retry-after-ms=1", "503 retry-after-ms=1", "503 retry-after-ms=1", "ok")
    spanscript.retrying(retries=1)(ask)()
    assert [s.attributes["llm.attempt"] for s in recording.attempts] == [0, 1, 2, 3]
    assert len(recording.calls) == 1


def test_rate_limit(ask, recording):
    """More in `test_rate_limit.py`."""
    undo = spanscript.rate_limit("openai", 60_000)
    ask()
    undo()
    assert "llm.rate_limit_wait_ms" not in recording.attempts[0].attributes


def test_notifications(ask, provider, recording):
    """More in `test_subscribers.py` and `test_live.py`."""
    provider.script("503 retry-after-ms=1", "ok")
    told = []
    with spanscript.subscribe(told.append):
        said = "".join(c.choices[0].delta.content or "" for c in ask(stream=True) if c.choices)
    kinds = [type(record).__name__ for record in told]
    assert kinds[0] == "CallStart"
    assert kinds[-2:] == ["AttemptEnd", "CallEnd"]
    assert [r.status for r in told if isinstance(r, spanscript.AttemptEnd)] == ["retrying", "ok"]
    assert "".join(r.delta for r in told if isinstance(r, spanscript.CallProgress)) == said
    assert {record.call_id for record in told} == {recording.calls[0].attributes["llm.call_id"]}


def test_usage_and_events(ask, provider, recording):
    """More in `test_usage.py` and `test_annotations.py`."""
    provider.script("503 retry-after-ms=50", "ok")
    with spanscript.usage() as used:
        told = ask().usage
        spanscript.annotate("tool_executed", tool="search")
    assert (used.calls, used.attempts, used.failed_attempts) == (1, 2, 1)
    assert (used.input_tokens, used.output_tokens) == (told.prompt_tokens, told.completion_tokens)
    assert used.seconds > used.waiting_seconds > 0.04
    assert recording.entries_of("annotation")[0]["fields"] == {"tool": "search"}


def test_cost(ask, recording):
    """Absent where no price is known."""
    pytest.importorskip("genai_prices")
    with spanscript.usage() as used:
        ask(model="a-model-of-ours")
        assert (used.cost_usd, used.unpriced) == (None, 1)
        ask()
    assert used.cost_usd > 0
    assert used.unpriced == 1


def test_every_row_has_a_test():
    rows = re.findall(r"^\| \[(.+?)\]\(#", PAGE, re.MULTILINE)
    names = {"test_" + row.lower().replace(" ", "_") for row in rows}
    assert len(rows) == 15
    assert names <= {name for name in globals() if name.startswith("test_")}
    assert rows == re.findall(r"^## (.+)$", PAGE, re.MULTILINE)


# The example


@pytest.mark.skipif(not (BIN / "opentelemetry-instrument").exists(), reason="no opentelemetry-distro")
def test_the_example(provider, tmp_path):
    """Its transcript, replayed, is what the provider got, with iteration and stage on every entry."""
    empty = {"answer": {"texts": [""], "calls": [], "finish": "stop"}}
    provider.script("429 retry-after-ms=20", empty, "ok", match="Faro?")
    provider.script("503 retry-after-ms=20", "reset", "ok", match="Plan a journey")
    printed = instrumented(
        provider, tmp_path, str(ROOT / "examples" / "journey.py"), SPANSCRIPT_DIR=str(tmp_path / "run")
    )

    transcript = Transcript(tmp_path / "run")
    requests = [transcript.request(call, n) for call in transcript.calls() for n in call.requests]
    rebuilt = [transcript.rebuild(request) for request in requests]
    assert Counter(found.content for found in rebuilt) == Counter(r.body for r in provider.llm_requests)
    assert all(found.proof == "exact" for found in rebuilt)
    assert list(check(tmp_path / "run")) == []

    told = [entry for entry in entries(tmp_path / "run") if entry["type"] != "transcript_open"]
    assert all("iteration" in entry and (entry.get("stage") or entry["name"]) for entry in told)
    assert {entry["name"] for entry in told if entry["type"] == "stage"} == {
        "plan", "research Lisbon", "research Porto", "research Faro", "write",
    }  # fmt: skip
    for entry in told:
        if entry["type"] == "message" and "What is the weather in" in str(entry.get("content")):
            assert entry["stage"] == f"research {entry['content'].split()[-1].strip('?')}"
    assert sum(entry["type"] == "annotation" for entry in told) == 3
    assert [len(call.attempts) for call in transcript.calls()].count(3) == 2
    assert "8 calls, 12 attempts" in printed
