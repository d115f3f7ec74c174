"""`subscribe()`: every call that begins is told, in order, to listeners that never hold up the app."""

from __future__ import annotations

import asyncio
import gzip
import logging
import os
import subprocess
import sys
import threading
import time
from itertools import groupby

import anthropic
import httpx2
import openai
import pytest
from test_calls import Told, described, send
from test_deltas import told, value

import spanscript
from spanscript import _guard
from spanscript._calls import Calls
from spanscript._delivery import Mailbox
from spanscript._deltas import Delta
from spanscript._subscribers import AttemptEnd, CallEnd, CallProgress, CallStart, _listeners, subscribe
from spanscript.demo.provider.script import Step

ASK = [{"role": "user", "content": "Say grüß dich, twice."}]
TOOL = {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}
TOOLS = [{"type": "function", "function": TOOL}]
CLAUDES_TOOLS = [{"name": "weather", "input_schema": TOOL["parameters"]}]
RETRIED = ("429 retry-after-ms=1", "503 retry-after-ms=1", "ok")


@pytest.fixture
def records(recording):
    """All that is told; complete once `undo` (of the same list) was called."""
    records = Records()
    records.undo = subscribe(records.append)
    yield records
    records.undo()
    assert _listeners.mailboxes == ()


class Records(list):
    @property
    def all(self):
        """After what is pending was delivered."""
        self.undo()
        return list(self)


def gpt(provider, **options):
    return openai.OpenAI(base_url=provider.openai_url, api_key="unused", **options)


def claude(provider):
    return anthropic.Anthropic(base_url=provider.url, api_key="unused")


def whole(provider):
    message = gpt(provider).chat.completions.create(model="gpt-5", messages=ASK).choices[0].message
    return message.content, []


def stream(provider, **more):
    text, calls = "", {}
    for chunk in gpt(provider).chat.completions.create(model="gpt-5", messages=ASK, stream=True, **more):
        for choice in chunk.choices:
            text += choice.delta.content or ""
            for call in choice.delta.tool_calls or ():
                name, arguments = calls.get(call.index, ("", ""))
                calls[call.index] = name + (call.function.name or ""), arguments + call.function.arguments
    return text, list(calls.values())


def tools(provider):
    return stream(provider, tools=TOOLS)


def responses(provider):
    with gpt(provider).responses.stream(model="gpt-5", input="hi") as events:
        return events.get_final_response().output_text, []


def messages(provider):
    with claude(provider).messages.stream(
        model="claude-5", max_tokens=99, messages=ASK, tools=CLAUDES_TOOLS
    ) as events:
        blocks = events.get_final_message().content
    text = "".join(block.text for block in blocks if block.type == "text")
    return text, [(block.name, block.input) for block in blocks if block.type == "tool_use"]


def asynchronous(provider):
    async def ask():
        client = openai.AsyncOpenAI(base_url=provider.openai_url, api_key="unused")
        chunks = await client.chat.completions.create(model="gpt-5", messages=ASK, stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in chunks if chunk.choices]), []

    return asyncio.run(ask())


def raw_http(provider):
    body = {"model": "gpt-5", "messages": ASK}
    answer = httpx2.post(f"{provider.openai_url}/chat/completions", json=body).json()
    return answer["choices"][0]["message"]["content"], []


def embeddings(provider):
    gpt(provider).embeddings.create(model="embed-3", input="a")
    return "", []


CASES = {
    # (what is asked, what is answered) → client, model
    "whole": (whole, ["ok"], "openai", "gpt-5"),
    "retried": (whole, RETRIED, "openai", "gpt-5"),
    "stream": (stream, ["ok"], "openai", "gpt-5"),
    "stream, in pieces of 7 bytes": (stream, ["ok chunk_size=7"], "openai", "gpt-5"),
    "stream, compressed": (stream, ["gzip"], "openai", "gpt-5"),
    "stream, retried": (stream, RETRIED, "openai", "gpt-5"),
    "tools": (tools, ["ok"], "openai", "gpt-5"),
    "responses": (responses, ["ok"], "openai", "gpt-5"),
    "messages": (messages, ["ok"], "anthropic", "claude-5"),
    "messages, retried": (messages, RETRIED, "anthropic", "claude-5"),
    "async": (asynchronous, RETRIED, "openai", "gpt-5"),
    "raw HTTP": (raw_http, ["ok"], "httpx2", "gpt-5"),
    "embeddings": (embeddings, ["ok"], "openai", "embed-3"),
}


def shape(records):
    """The kinds of records, one for each run of progress."""
    return [kind.__name__ for kind, _ in groupby(records, type)]


def as_deltas(records):
    return [Delta(r.kind, r.delta, r.tool_index, r.tool) for r in records if isinstance(r, CallProgress)]


@pytest.mark.parametrize("case", CASES)
def test_a_call_is_told(case, provider, records, recording):
    ask, steps, client, model = CASES[case]
    provider.script(*steps)
    with spanscript.stage("plan"), spanscript.iteration(3):
        text, calls = ask(provider)
    found = records.all

    said = ["CallProgress"] if text or calls else []
    ends = ["AttemptEnd"] if not said or len(steps) == 1 else ["AttemptEnd", "CallProgress", "AttemptEnd"]
    assert shape(found) == ["CallStart", *(said + ends if len(steps) == 1 else ends), "CallEnd"]
    start, *_, end = found
    (span,) = recording.calls
    assert {r.call_id for r in found} == {span.attributes["llm.call_id"]}
    assert (start.client, start.provider, start.model) == (
        client,
        span.attributes["gen_ai.provider.name"],
        model,
    )
    assert (start.stage, start.iteration) == ("plan", 3)
    assert start.operation == span.attributes["gen_ai.operation.name"]
    assert (end.status, end.attempts, end.error_type, end.error_message) == ("ok", len(steps), None, None)
    assert end.seconds == pytest.approx((span.end_time - span.start_time) / 1e9)
    assert end.input_tokens == span.attributes.get("gen_ai.usage.input_tokens")
    assert end.output_tokens == span.attributes.get("gen_ai.usage.output_tokens")
    assert not end.empty
    attempts = [r for r in found if isinstance(r, AttemptEnd)]
    assert [r.attempt for r in attempts] == list(range(len(steps)))
    assert [r.status for r in attempts] == ["retrying"] * (len(steps) - 1) + ["ok"]
    assert [r.http_status for r in attempts] == [429, 503, 200][-len(steps) :]
    assert {r.attempt for r in found if isinstance(r, CallProgress)} <= {len(steps) - 1}
    told_text, _, told_calls = told(as_deltas(found))
    assert told_text == text
    assert [(name, value(said)) for name, said in told_calls] == [(name, value(said)) for name, said in calls]


def test_what_the_app_asks_as_one_call_is_told_as_one(provider, records):
    provider.script("503", "ok")
    for attempt in spanscript.retrying(retries=1, backoff_ms=1):
        with attempt:
            gpt(provider, max_retries=0).chat.completions.create(model="gpt-5", messages=ASK)
    found = records.all
    assert shape(found) == ["CallStart", "AttemptEnd", "CallProgress", "AttemptEnd", "CallEnd"]
    assert [r.attempt for r in found if isinstance(r, AttemptEnd)] == [0, 1]
    assert len({r.call_id for r in found}) == 1
    assert (found[-1].status, found[-1].attempts) == ("ok", 2)


FAILURES = {
    "refused": ("400", "error", "error", openai.BadRequestError),
    "given up": (
        "503 retry-after-ms=1",
        "retries_exhausted",
        "retries_exhausted",
        openai.InternalServerError,
    ),
    "reset": ("reset", "retries_exhausted", "retries_exhausted", openai.APIConnectionError),
}


@pytest.mark.parametrize("case", FAILURES)
def test_a_call_that_fails(case, provider, records):
    step, last, status, error = FAILURES[case]
    provider.script(step, step)
    with pytest.raises(error):
        gpt(provider, max_retries=1).chat.completions.create(model="gpt-5", messages=ASK)
    *_, attempt, end = records.all
    assert (attempt.status, end.status, end.empty) == (last, status, False)
    assert attempt.error_type == end.error_type
    assert end.error_type


def test_a_stream_that_breaks(provider, records):
    provider.script("cut after=6")
    with pytest.raises(Exception, match=r"."):
        list(claude(provider).messages.create(model="claude-5", max_tokens=99, messages=ASK, stream=True))
    found = records.all
    assert shape(found) == ["CallStart", "CallProgress", "AttemptEnd", "CallEnd"]
    assert found[-1].status == "error"
    assert found[1].input_tokens


def test_an_answer_that_says_nothing(provider, records):
    provider.script(Step(answer={"texts": [" "]}))
    gpt(provider).chat.completions.create(model="gpt-5", messages=ASK)
    *_, end = records.all
    assert (end.status, end.empty) == ("ok", True)


def test_progress_comes_while_the_app_reads(provider, records):
    provider.script("hang after=3")
    chunks = iter(gpt(provider).chat.completions.create(model="gpt-5", messages=ASK, stream=True))
    begun = [next(chunks).choices[0].delta.content or "" for _ in range(3)]
    wait_until(lambda: told(as_deltas(records))[0] == "".join(begun))
    assert not any(isinstance(record, CallEnd) for record in records)
    provider.release()
    rest = [chunk.choices[0].delta.content or "" for chunk in chunks]
    assert told(as_deltas(records.all))[0] == "".join(begun + rest)


def test_a_stream_that_the_app_leaves(provider, records):
    chunks = gpt(provider).chat.completions.create(model="gpt-5", messages=ASK, stream=True)
    next(iter(chunks))
    chunks.close()
    found = records.all
    assert [r.status for r in found if isinstance(r, (AttemptEnd, CallEnd))] == ["abandoned"] * 2


async def test_a_task_that_is_cancelled(provider, records):
    provider.script("hang")
    client = openai.AsyncOpenAI(base_url=provider.openai_url, api_key="unused")
    task = asyncio.create_task(client.chat.completions.create(model="gpt-5", messages=ASK))
    assert await asyncio.to_thread(provider.wait_for, 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    provider.release()
    found = records.all
    assert shape(found) == ["CallStart", "AttemptEnd", "CallEnd"]
    assert found[-1].status == "cancelled"


async def test_fifty_tasks(provider, records):
    client = openai.AsyncOpenAI(base_url=provider.openai_url, api_key="unused")

    async def agent(number):
        ask = [{"role": "user", "content": f"agent {number}, " * 9}]
        with spanscript.iteration(number):
            chunks = await client.chat.completions.create(model="gpt-5", messages=ask, stream=True)
            return "".join([c.choices[0].delta.content or "" async for c in chunks if c.choices])

    texts = await asyncio.gather(*map(agent, range(50)))
    by_call = {}
    for record in records.all:
        by_call.setdefault(record.call_id, []).append(record)
    assert len(by_call) == 50
    for found in by_call.values():
        assert shape(found) == ["CallStart", "CallProgress", "AttemptEnd", "CallEnd"]
        assert told(as_deltas(found))[0] == texts[found[0].iteration]


@pytest.mark.parametrize(("sent", "told"), [(0, []), (1, [[0], [0]]), (2, [[0, 1], [0]])])
def test_a_lazy_call_begins_when_it_sends(sent, told, records):
    """And one that sent nothing was none: what it returned asks by itself when it is read."""
    calls = Calls(Told())
    with calls.calling(lambda: described(lazy=True)):
        for _ in range(sent):
            send(calls, 200)
    if sent:
        send(calls, 200)
    by_call = [list(found) for _, found in groupby(records.all, lambda record: record.call_id)]
    assert [shape(found)[0] for found in by_call] == ["CallStart"] * len(by_call)
    assert [[r.attempt for r in found if isinstance(r, AttemptEnd)] for found in by_call] == told


def test_compressed_bytes_are_not_read_as_a_stream(provider, records):
    """These could be: gzip may store what it was given."""
    event = b'data: {"choices":[{"index":0,"delta":{"content":"Hi "}}]}\n\n'
    headers = {"content-type": "text/event-stream", "content-encoding": "gzip"}
    stored = gzip.compress(event * 3 + b"data: [DONE]\n\n", compresslevel=0)
    provider.script(Step(raw=(stored,), headers=headers))
    assert stream(provider) == ("Hi " * 3, [])
    assert [r.delta for r in records.all if isinstance(r, CallProgress)] == ["Hi " * 3]


def test_who_listens_when_a_call_begins_is_told(provider, recording):
    first, second = [], []
    undo_first = subscribe(first.append)
    whole(provider)
    with subscribe(second.append):
        whole(provider)
        undo_first()
        undo_first()
        chunks = gpt(provider).chat.completions.create(model="gpt-5", messages=ASK, stream=True)
    list(chunks)
    whole(provider)
    assert shape(first).count("CallEnd") == 2
    assert shape(second).count("CallEnd") == 1
    assert isinstance(second[-1], (CallStart, CallProgress))


def test_nobody_listens(provider, recording, monkeypatch):
    monkeypatch.setattr(_listeners.decoding, "put", lambda item: pytest.fail("told to nobody"))
    stream(provider)


def test_not_instrumented(provider):
    found = []
    with subscribe(found.append):
        whole(provider)
    assert found == []


@pytest.mark.parametrize("listener", [None, "text", asyncio.sleep])
def test_what_cannot_listen(listener):
    with pytest.raises(TypeError, match="plain function"):
        subscribe(listener)
    assert _listeners.mailboxes == ()


# --- listeners that misbehave


def test_a_listener_that_raises_goes_on_being_told(provider, recording, monkeypatch, caplog):
    monkeypatch.setattr(_guard, "strict", False)
    monkeypatch.setattr(_guard.PLACES["spanscript._delivery.Mailbox._tell"], "reported", False)
    found, good = [], []

    def raises(record):
        found.append(record)
        raise ValueError(record)

    with caplog.at_level(logging.WARNING), subscribe(raises), subscribe(good.append):
        text = stream(provider)
        assert text == stream(provider)
    assert told(as_deltas(found))[0] == told(as_deltas(good))[0] == text[0] * 2
    assert shape(found).count("CallEnd") == 2
    (logged,) = (record.getMessage() for record in caplog.records if "_tell" in record.getMessage())
    assert "ValueError" in logged
    assert text[0] not in logged


@pytest.mark.parametrize("leave", [SystemExit, KeyboardInterrupt])
def test_a_listener_cannot_leave_its_thread(leave, provider, recording):
    found = []

    def leaves(record):
        found.append(record)
        raise leave

    with subscribe(leaves):
        whole(provider)
    assert shape(found) == ["CallStart", "CallProgress", "AttemptEnd", "CallEnd"]


def test_a_slow_listener_lags_and_loses_nothing(provider, recording):
    """The app is through before the listener has seen more than the first record; what waits is joined."""
    through = threading.Event()
    found = []

    def slow(record):
        through.wait(10)
        found.append(record)

    with subscribe(slow):
        text, _ = stream(provider)
        _listeners.decoding.flush(time.monotonic() + 5)
        assert found == []
        through.set()
    assert [type(record) for record in found] == [CallStart, CallProgress, AttemptEnd, CallEnd]
    assert found[1].delta == text


def test_what_waits_for_long_is_kept_small():
    """And in its order: only what follows one another in its own call is joined."""
    found = []
    mailbox = Mailbox(found.append, "".join)
    for number in range(10_000):
        mailbox.put(f"{number} ", "one call", "text")
        mailbox.put(f"{number}.", "another", "text")
    assert len(mailbox._pending) == 2
    assert all(len(pending.records) < 256 for pending in mailbox._pending)
    mailbox.put("thought", "another", "thinking")
    mailbox.put("more", "another", "text")
    mailbox.put("end", "another")
    mailbox.put("end", "another")
    mailbox.worker.start()
    mailbox.close(time.monotonic() + 5)
    mailbox.put("late", "another")
    numbers = range(10_000)
    expected = ["".join(f"{n} " for n in numbers), "".join(f"{n}." for n in numbers)]
    assert found == [*expected, "thought", "more", "end", "end"]


def test_undo_does_not_wait_for_ever(provider, recording, monkeypatch):
    monkeypatch.setattr("spanscript._subscribers._UNDO_SECONDS", 0.2)
    hangs = threading.Event()
    found = []

    def listener(record):
        found.append(record)
        hangs.wait(10)

    undo = subscribe(listener)
    whole(provider)
    before = time.monotonic()
    undo()
    assert time.monotonic() - before < 2
    hangs.set()
    time.sleep(0.1)
    assert len(found) == 1


def test_a_listener_may_undo_itself(provider, recording):
    found = []

    def once(record):
        found.append(record)
        undo()

    undo = subscribe(once)
    whole(provider)
    wait_until(lambda: _listeners.mailboxes == ())
    whole(provider)
    assert [type(record) for record in found] == [CallStart]


def test_a_listener_may_ask_a_model(provider, recording):
    """Its calls are calls of their own, and told like all others."""
    found = []

    def asks(record):
        found.append(record)
        if len(found) == 1:
            whole(provider)

    with spanscript.stage("of the app"), subscribe(asks):
        whole(provider)
        wait_until(lambda: shape(found).count("CallEnd") == 2)
    assert [record.stage for record in found if isinstance(record, CallStart)] == ["of the app", None]


# --- processes


def run(code, provider):
    done = subprocess.run(
        [sys.executable, "-c", SETUP + code],
        env={**os.environ, "PROVIDER": provider.url},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.split()


SETUP = r"""
import os, sys, threading, time
import openai, spanscript
spanscript.instrument()
client = openai.OpenAI(base_url=os.environ["PROVIDER"] + "/v1", api_key="unused")
def ask():
    list(client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "hi"}], stream=True))
def told(record):
    time.sleep(0.02)
    # At once: what a buffer holds when the process is forked would be written twice.
    os.write(1, f"{os.getpid()} {type(record).__name__}\n".encode())
"""
ONE_CALL = ["CallStart", "CallProgress", "AttemptEnd", "CallEnd"]


def test_what_is_pending_at_exit_is_delivered(provider):
    kinds = run("spanscript.subscribe(told); ask()", provider)[1::2]
    assert [kind for kind, _ in groupby(kinds)] == ONE_CALL


def test_a_listener_that_hangs_does_not_keep_the_process(provider):
    before = time.monotonic()
    assert run("spanscript.subscribe(lambda record: threading.Event().wait()); ask()", provider) == []
    assert time.monotonic() - before < 30


def test_a_forked_child_tells_of_its_own_calls(provider):
    """And not of its parent's, whose records may be pending when it is forked."""
    code = """
spanscript.subscribe(told)
ask()
child = os.fork()
if child == 0:
    ask()
    sys.exit(0)
os.waitpid(child, 0)
ask()
"""
    words = run(code, provider)
    by_process = {}
    for process, record in zip(words[::2], words[1::2], strict=True):
        by_process.setdefault(process, []).append(record)
    # Progress is one record or several, as the listener keeps up.
    told = [[kind for kind, _ in groupby(kinds)] for kinds in by_process.values()]
    assert sorted(told, key=len) == [ONE_CALL, ONE_CALL * 2]


def wait_until(true, seconds=10):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.005)
