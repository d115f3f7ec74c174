"""Iterations and stages: who is in which, and where it stands."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context

import pytest

import spanscript
from spanscript._words import said
from spanscript.transcript.check import check

httpx = pytest.importorskip("httpx")

ASK = {
    "model": "gpt-5",
    "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "hi"}],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
}


def here():
    words = said()
    return words.iteration, words.stage


# Ways to say it: each gives what holds inside, from one that is decorated or has a block.


def block():
    with spanscript.iteration(2), spanscript.stage("plan"):
        return here()


@spanscript.iteration(2)
@spanscript.stage("plan")
def function():
    return here()


@spanscript.iteration(2)
@spanscript.stage("plan")
async def coroutine():
    await asyncio.sleep(0)
    return here()


@spanscript.iteration(2)
@spanscript.stage("plan")
def generator():
    yield here()


@spanscript.iteration(2)
@spanscript.stage("plan")
async def async_generator():
    await asyncio.sleep(0)
    yield here()


class Agent:
    @spanscript.iteration(2)
    @spanscript.stage("plan")
    def method(self):
        return here()

    @classmethod
    @spanscript.iteration(2)
    @spanscript.stage("plan")
    def of_class(cls):
        return here()


async def first_of(items):
    return await anext(items)


WAYS = {
    "block": block,
    "function": function,
    "coroutine": lambda: asyncio.run(coroutine()),
    "generator": lambda: next(generator()),
    "async generator": lambda: asyncio.run(first_of(async_generator())),
    "method": lambda: Agent().method(),
    "class method": Agent.of_class,
}


@pytest.mark.parametrize("way", WAYS)
def test_what_is_said_holds_inside_and_no_longer(way):
    assert WAYS[way]() == (2, "plan")
    assert here() == (None, None)


def test_nested_each_has_its_own():
    seen = []
    with spanscript.stage("a"):
        seen.append(here())
        with spanscript.iteration(1):
            seen.append(here())
            with spanscript.stage("b"):
                seen.append(here())
            seen.append(here())
        seen.append(here())
    assert seen == [(None, "a"), (1, "a"), (1, "b"), (1, "a"), (None, "a")]


def fails():
    with spanscript.stage("plan"):
        raise LookupError


@spanscript.stage("plan")
def fails_decorated():
    raise LookupError


@spanscript.stage("plan")
def fails_between():
    yield 1
    raise LookupError


@spanscript.stage("plan")
async def is_cancelled():
    task = asyncio.current_task()
    task.cancel()
    await asyncio.sleep(1)


@pytest.mark.parametrize(
    ("run", "error"),
    [
        (fails, LookupError),
        (fails_decorated, LookupError),
        (lambda: list(fails_between()), LookupError),
        (lambda: asyncio.run(is_cancelled()), asyncio.CancelledError),
    ],
)
def test_nothing_is_left_after_an_error(run, error):
    with pytest.raises(error):
        run()
    assert here() == (None, None)


@spanscript.stage("inner")
def dialogue():
    """A generator that is talked to."""
    try:
        got = yield here()
        yield got, here()
    except KeyError:
        yield "caught", here()
    return "done"


def test_who_reads_a_generator_is_not_in_its_stage():
    """And it can be sent to, thrown at and closed as before."""
    with spanscript.stage("outer"):
        talk = dialogue()
        assert next(talk) == (None, "inner")
        assert here() == (None, "outer")
        assert talk.send("word") == ("word", (None, "inner"))
        with pytest.raises(StopIteration, match="done"):
            next(talk)
        other = dialogue()
        next(other)
        assert other.throw(KeyError()) == ("caught", (None, "inner"))
        third = dialogue()
        next(third)
        third.close()
        assert here() == (None, "outer")


def test_a_generator_that_is_closed_elsewhere():
    """Its block is left in a context that never entered it."""

    def holds():
        with spanscript.stage("inner"):
            yield here()

    running = holds()
    assert Context().run(next, running) == (None, "inner")
    with spanscript.stage("outer"):
        running.close()
        assert here() == (None, "outer")
        lost = holds()
        Context().run(next, lost)
        del lost
        gc.collect()
        assert here() == (None, "outer")


def test_one_that_is_kept_is_entered_by_many():
    kept = spanscript.stage("kept")
    inside = threading.Barrier(4)

    def enter(number):
        with spanscript.iteration(number):
            with kept:
                inside.wait(10)
                seen = here()
                inside.wait(10)
            return seen, here()

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(enter, range(4)))
    assert found == [((n, "kept"), (n, None)) for n in range(4)]


@pytest.mark.parametrize(
    ("say", "wrong"), [(spanscript.iteration, "3"), (spanscript.iteration, 1.5), (spanscript.stage, 3)]
)
def test_what_could_not_be_written_is_refused_where_it_is_said(say, wrong):
    with pytest.raises(TypeError, match=type(wrong).__name__):
        say(wrong)


# Where it stands


def ask(provider, text="hi"):
    body = {**ASK, "messages": [*ASK["messages"][:1], {"role": "user", "content": text}]}
    httpx.post(f"{provider.openai_url}/chat/completions", json=body)


def test_spans_and_entries_carry_it(provider, recording):
    with spanscript.stage("plan"), spanscript.iteration(3):
        ask(provider)
    ask(provider, "again")

    told = [(s.attributes.get("llm.iteration"), s.attributes.get("llm.stage")) for s in recording.spans]
    assert told == [(3, "plan")] * 2 + [(None, None)] * 2
    first, second = recording.entries_of("provider_call_request")
    assert (first["iteration"], first["stage"]) == (3, "plan")
    assert not {"iteration", "stage"} & second.keys()
    assert [e.get("iteration") for e in recording.entries_of("provider_call_response")] == [3, None]
    assert [e.get("iteration") for e in recording.entries_of("message")] == [3, None]


def test_a_stage_states_prompt_and_tools_again(provider, recording):
    ask(provider, "before")
    for name in ("plan", "act", "act"):
        with spanscript.stage(name), spanscript.iteration(7):
            ask(provider, "in it")
            ask(provider, "in it, again")

    assert [(e["name"], e["iteration"]) for e in recording.entries_of("stage")] == [
        ("plan", 7),
        ("act", 7),
        ("act", 7),
    ]
    assert len(recording.entries_of("system_prompt")) == len(recording.entries_of("tool_schemas")) == 4
    order = [e["type"] for e in recording.entries if e["type"] != "provider_call_response"]
    assert order[order.index("stage") :][:4] == [
        "stage",
        "system_prompt",
        "tool_schemas",
        "message",
    ]
    assert list(check(recording.directory)) == []


def test_a_stage_without_a_call_writes_nothing(provider, recording):
    with spanscript.stage("idle"):
        pass
    ask(provider)
    assert recording.entries_of("stage") == []


async def sub_agent(provider, client, name):
    with spanscript.stage(name):
        for turn in range(2):
            with spanscript.iteration(turn):
                body = {**ASK, "messages": [{"role": "user", "content": f"{name} {turn}"}]}
                await client.post(f"{provider.openai_url}/chat/completions", json=body)
                await asyncio.sleep(0)


async def fifty(provider):
    async with httpx.AsyncClient(timeout=60) as client:
        await asyncio.gather(*(sub_agent(provider, client, f"agent {n}") for n in range(50)))


def two_threads(provider):
    def run(name):
        asyncio.run(one(name))

    async def one(name):
        async with httpx.AsyncClient(timeout=60) as client:
            await sub_agent(provider, client, name)

    threads = [
        threading.Thread(target=copy_context().run, args=(run, f"agent {number}")) for number in range(2)
    ]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]


@pytest.mark.parametrize(
    "run", [lambda p: asyncio.run(fifty(p)), two_threads], ids=["fifty tasks", "two threads"]
)
def test_agents_in_parallel_keep_apart(run, provider, recording):
    run(provider)

    requests = recording.entries_of("provider_call_request")
    messages = {e["hash"]: e for e in recording.entries_of("message")}
    said_in = [f"{e['stage']} {e['iteration']}" for e in requests]
    assert [messages[e["context"]]["content"] for e in requests] == said_in
    assert sorted(json.loads(r.body)["messages"][0]["content"] for r in provider.llm_requests) == sorted(
        said_in
    )
    on_spans = [f"{s.attributes['llm.stage']} {s.attributes['llm.iteration']}" for s in recording.attempts]
    assert sorted(on_spans) == sorted(said_in)
    assert sorted(e["name"] for e in recording.entries_of("stage")) == sorted({e["stage"] for e in requests})
