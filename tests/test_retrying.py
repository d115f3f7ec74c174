"""`retrying()` and `call()`: what is tried again, when, and that all of it is one call."""

from __future__ import annotations

import asyncio
import gc
import json
import types
from contextvars import Context
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import anthropic
import httpx
import openai
import pytest

import spanscript
from spanscript._failures import is_worth_another_try, retry_after_ms_of

ASK = [{"role": "user", "content": "hi"}]


def client(provider, **options):
    return openai.OpenAI(
        **{"base_url": provider.openai_url, "api_key": "unused", "max_retries": 0, **options}
    )


def aclient(provider, **options):
    return openai.AsyncOpenAI(
        **{"base_url": provider.openai_url, "api_key": "unused", "max_retries": 0, **options}
    )


def chat(own, **options):
    return own.chat.completions.create(model="gpt-5", messages=ASK, **options)


@pytest.fixture
def clock(monkeypatch):
    """Time that passes only in waits; gives the waits, in milliseconds."""
    waits = []
    now = types.SimpleNamespace(time=1000.0)

    def sleep(seconds):
        waits.append(round(seconds * 1000))
        now.time += seconds

    import tenacity

    fake = types.SimpleNamespace(sleep=sleep, monotonic=lambda: now.time)
    monkeypatch.setattr(tenacity, "time", fake)
    monkeypatch.setattr(tenacity.nap, "time", fake)
    monkeypatch.setattr("spanscript._retrying.time", fake)
    return types.SimpleNamespace(waits=waits, now=now)


def in_seconds(seconds):
    return format_datetime(datetime.now(timezone.utc) + timedelta(seconds=seconds), usegmt=True)


# What is tried again

AGAIN = {
    # what is answered → milliseconds that are waited, from and to
    "429": ("429", 2000, 3000),
    "429, retry-after in seconds": ("429 retry-after=7", 7000, 7000),
    "429, retry-after-ms": ("429 retry-after-ms=1500", 1500, 1500),
    "429, retry-after as a date": ("429 date", 8000, 10_000),
    "500": ("500", 2000, 3000),
    "503": ("503", 2000, 3000),
    "504": ("504", 2000, 3000),
    "529": ("529", 2000, 3000),
    "408": ("408", 2000, 3000),
    "timeout": ("hang", 2000, 3000),
    "reset": ("reset", 2000, 3000),
}


def scripted(step):
    if step == "429 date":
        return {"status": 429, "headers": {"retry-after": in_seconds(10)}}
    return step


@pytest.mark.parametrize("case", AGAIN)
@pytest.mark.parametrize("active", [True, False], ids=["active", "not active"])
def test_tried_again(case, active, provider, clock, request):
    recording = request.getfixturevalue("recording") if active else None
    step, least, most = AGAIN[case]
    provider.script(scripted(step), "ok")

    @spanscript.retrying(retries=2)
    def ask():
        return chat(client(provider, timeout=0.5)).choices[0].message.content

    assert ask()
    assert len(clock.waits) == 1
    assert least <= clock.waits[0] <= most
    if recording:
        (call,) = recording.calls
        assert call.attributes["llm.status"] == "ok"
        assert [s.attributes["llm.status"] for s in recording.attempts] == ["retrying", "ok"]
        assert len({e["call_id"] for e in recording.entries_of("provider_call_request")}) == 1


AT_ONCE = ["400", "401", "403", "404", "422"]


@pytest.mark.parametrize("status", AT_ONCE)
def test_raised_at_once_whatever_the_text_says(status, provider, recording, clock):
    text = "overloaded, rate limit exceeded, timeout, typeof EOF, 503, please retry"
    provider.script({"status": int(status), "raw": [json.dumps({"error": {"message": text}})]})
    with pytest.raises(openai.APIStatusError, match="please retry"):
        spanscript.retrying()(lambda: chat(client(provider)))()

    assert clock.waits == []
    assert [s.attributes["llm.status"] for s in recording.spans] == ["error", "error"]


def test_backoff_doubles_four_times_with_chance_and_a_cap(provider, recording, clock):
    provider.script(*["503"] * 8, "ok")
    spanscript.retrying(retries=8, longest_ms=40_000)(lambda: chat(client(provider)))()

    for wait, base in zip(
        clock.waits, [2000, 4000, 8000, 16_000, 32_000, 32_000, 32_000, 32_000], strict=True
    ):
        assert base <= wait <= min(base + 1000, 32_000)
    assert [s.attributes["llm.status"] for s in recording.attempts] == ["retrying"] * 8 + ["ok"]


@pytest.mark.parametrize(
    ("steps", "options", "waits", "statuses"),
    [
        # retries run out
        (["503 retry-after-ms=10"] * 3, {"retries": 2}, [10, 10], ["retrying", "retrying", "retries_exhausted"]),
        (["503"], {"retries": 0}, [], ["error"]),
        # the deadline would pass
        (
            ["503 retry-after=4"] * 3,
            {"deadline_ms": 10_000},
            [4000, 4000],
            ["retrying", "retrying", "retries_exhausted"],
        ),
        # the server asks for more than anybody waits
        (["429 retry-after=61"], {}, [], ["retries_exhausted"]),
        (["429 retry-after=9", "429 retry-after=11"], {"longest_ms": 10_000}, [9000], ["retrying", "retries_exhausted"]),
    ],
)  # fmt: skip
def test_given_up(steps, options, waits, statuses, provider, recording, clock):
    provider.script(*steps)
    with pytest.raises(openai.APIStatusError):
        spanscript.retrying(**options)(lambda: chat(client(provider)))()

    assert clock.waits == waits
    assert [s.attributes["llm.status"] for s in recording.attempts] == statuses
    (call,) = recording.calls
    assert call.attributes["llm.status"] == statuses[-1]


def test_the_clients_own_retries_are_counted_through(provider, recording, clock):
    provider.script(*["503 retry-after-ms=1"] * 3, "ok")
    answer = spanscript.retrying(retries=2)(lambda: chat(client(provider, max_retries=1)))()

    assert answer.choices
    (call,) = recording.calls
    assert [(s.attributes["llm.attempt"], s.attributes["llm.status"]) for s in recording.attempts] == [
        (0, "retrying"),
        (1, "retrying"),
        (2, "retrying"),
        (3, "ok"),
    ]
    assert call.attributes["llm.attempt"] == 3
    assert {s.parent.span_id for s in recording.attempts} == {call.context.span_id}
    assert clock.waits == [1]


def test_all_are_used_up_together(provider, recording, clock):
    provider.script(*["503 retry-after-ms=1"] * 4)
    with pytest.raises(openai.InternalServerError):
        spanscript.retrying(retries=1)(lambda: chat(client(provider, max_retries=1)))()

    told = [s.attributes["llm.status"] for s in recording.attempts]
    assert told == ["retrying"] * 3 + ["retries_exhausted"]


# An answer without an exception

EMPTY = {"answer": {"texts": [""]}}


@pytest.mark.parametrize(
    ("on_empty", "steps", "attempts"),
    [(True, [EMPTY, "ok"], 2), (False, [EMPTY], 1), (True, ["ok"], 1), (True, [EMPTY] * 4, 4)],
)
def test_empty_answers(on_empty, steps, attempts, provider, recording, clock):
    provider.script(*steps)
    answer = spanscript.retrying(on_empty=on_empty)(lambda: chat(client(provider)))()

    assert answer.choices
    assert len(recording.attempts) == attempts
    empty = [s.attributes.get("llm.empty") for s in recording.attempts]
    assert empty == [True if step == EMPTY else None for step in steps]
    assert [e.get("empty") for e in recording.entries_of("provider_call_response")] == empty
    (call,) = recording.calls
    assert call.attributes.get("llm.empty") == empty[-1]


def test_a_stream_that_breaks_off_is_tried_again(provider, recording, clock):
    provider.script("unended", "ok")

    @spanscript.retrying()
    def ask():
        return "".join(
            c.choices[0].delta.content or "" for c in chat(client(provider), stream=True) if c.choices
        )

    assert ask()
    assert [s.attributes["llm.status"] for s in recording.attempts] == ["retrying", "ok"]
    assert len(recording.calls) == 1


# Ways to write it


def decorated(provider):
    return spanscript.retrying()(lambda: chat(client(provider)))()


def iterator(provider):
    for attempt in spanscript.retrying():
        with attempt:
            answer = chat(client(provider))
    return answer


def left_at_once(provider):
    for attempt in spanscript.retrying():
        with attempt:
            return chat(client(provider))
    raise AssertionError


def coroutine(provider):
    @spanscript.retrying()
    async def ask():
        async with aclient(provider) as own:
            return await chat(own)

    return asyncio.run(ask())


def async_iterator(provider):
    async def ask():
        async for attempt in spanscript.retrying():
            with attempt:
                async with aclient(provider) as own:
                    return await chat(own)
        raise AssertionError

    return asyncio.run(ask())


def generator(provider):
    @spanscript.retrying()
    def ask():
        yield from chat(client(provider), stream=True)

    return list(ask())


def async_generator(provider):
    @spanscript.retrying()
    async def ask():
        async with aclient(provider) as own:
            async for chunk in await chat(own, stream=True):
                yield chunk

    async def all_of_it():
        return [chunk async for chunk in ask()]

    return asyncio.run(all_of_it())


def method(provider):
    class Agent:
        @spanscript.retrying()
        def ask(self):
            return chat(client(provider))

    return Agent().ask()


def raw(provider):
    @spanscript.retrying()
    def ask():
        body = {"model": "gpt-5", "messages": ASK}
        return httpx.post(f"{provider.openai_url}/chat/completions", json=body).raise_for_status()

    return ask()


def another_provider(provider):
    """The second try asks somebody else."""
    own = anthropic.Anthropic(base_url=provider.url, api_key="unused", max_retries=0)
    for attempt in spanscript.retrying():
        with attempt:
            if not attempt.number:
                chat(client(provider))
            answer = own.messages.create(model="claude-haiku-4-5", max_tokens=9, messages=ASK)
    return answer


WAYS = [
    decorated, iterator, left_at_once, coroutine, async_iterator, generator, async_generator, method, raw,
    another_provider,
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("active", [True, False], ids=["active", "not active"])
def test_ways(way, active, provider, request):
    recording = request.getfixturevalue("recording") if active else None
    provider.script("503 retry-after-ms=1", "ok")

    assert way(provider)
    assert len(provider.llm_requests) == 2
    if recording:
        (call,) = recording.calls
        assert [s.attributes["llm.status"] for s in recording.attempts] == ["retrying", "ok"]
        assert call.attributes["llm.status"] == "ok"
        assert call.start_time <= recording.attempts[0].start_time
        assert call.end_time >= recording.attempts[1].end_time
        assert spanscript._words.said().block is None


def test_who_is_asked_in_the_end_is_told(provider, recording):
    provider.script("503 retry-after-ms=1", "ok")
    another_provider(provider)

    (call,) = recording.calls
    assert call.name == "chat claude-haiku-4-5"
    assert call.attributes["gen_ai.provider.name"] == "anthropic"
    assert [e["provider"] for e in recording.entries_of("provider_call_request")] == ["openai", "anthropic"]
    assert call.attributes["gen_ai.usage.input_tokens"] > 0


def test_a_cancelled_task_is_not_tried_again(provider, recording):
    provider.script("hang", forever=True)

    @spanscript.retrying()
    async def ask():
        async with aclient(provider) as own:
            return await chat(own)

    async def cancelled():
        task = asyncio.create_task(ask())
        while not provider.llm_requests:  # noqa: ASYNC110  # it is in another thread
            await asyncio.sleep(0.01)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())
    provider.release()
    assert [s.attributes["llm.status"] for s in recording.spans] == ["cancelled"] * 2


def test_a_time_limit_of_the_app_is_tried_again(provider, recording):
    provider.script("hang", "ok")

    @spanscript.retrying(backoff_ms=1)
    async def ask():
        async with aclient(provider) as own:
            return await asyncio.wait_for(chat(own), 0.5)

    assert asyncio.run(ask()).choices
    provider.release()
    (call,) = recording.calls
    assert [s.attributes["llm.status"] for s in recording.attempts] == ["cancelled", "ok"]
    assert call.attributes["llm.status"] == "ok"


def test_errors_of_the_app_are_its_own(provider, recording):
    """Not tried again unless it says so; the call was well."""
    with pytest.raises(LookupError):
        spanscript.retrying()(lambda: chat(client(provider)) and {}["no"])()
    assert recording.calls[0].attributes["llm.status"] == "ok"

    seen = []

    @spanscript.retrying(on=LookupError, backoff_ms=1)
    def ask():
        seen.append(chat(client(provider)))
        return {2: "second"}[len(seen)]

    assert ask() == "second"
    assert [c.attributes["llm.attempt"] for c in recording.calls] == [0, 1]


def test_inner_tries_are_part_of_the_outer_ones(provider, recording):
    provider.script(*["503 retry-after-ms=1"] * 3, "ok")
    inner = spanscript.retrying(retries=1)(lambda: chat(client(provider)))
    spanscript.retrying(retries=1)(inner)()

    assert len(recording.calls) == 1
    assert [s.attributes["llm.status"] for s in recording.attempts] == ["retrying"] * 3 + ["ok"]


@pytest.mark.parametrize("name", ["retries", "backoff_ms", "longest_ms"])
def test_negative_numbers_are_refused(name):
    with pytest.raises(ValueError, match=name):
        spanscript.retrying(**{name: -1})


# A block that is one call


def test_a_block_is_one_call(provider, recording):
    provider.script("400", "ok")
    with spanscript.call() as asked:
        assert (asked.attempts, asked.status) == (0, None)
        with pytest.raises(openai.BadRequestError):
            chat(client(provider))
        chat(client(provider))
    assert (asked.attempts, asked.status) == (2, "ok")
    (call,) = recording.calls
    assert call.attributes["llm.call_id"] == asked.id
    assert {e["call_id"] for e in recording.entries_of("provider_call_request")} == {asked.id}


def test_what_is_asked_after_the_answer_is_a_call_of_its_own(provider, recording):
    with spanscript.call() as asked:
        chat(client(provider))
        chat(client(provider))
    ids = [e["call_id"] for e in recording.entries_of("provider_call_request")]
    assert ids[0] == asked.id != ids[1]
    assert len(recording.calls) == 2


def test_what_is_asked_at_the_same_time_is_a_call_of_its_own(provider, recording):
    async def ask():
        async with aclient(provider) as own:
            with spanscript.call() as asked:
                await asyncio.gather(*(chat(own) for _ in range(5)))
        return asked

    asked = asyncio.run(ask())
    ids = [e["call_id"] for e in recording.entries_of("provider_call_request")]
    assert ids.count(asked.id) == 1
    assert len(set(ids)) == len(recording.calls) == 5


def test_blocks_in_parallel_tasks_keep_apart(provider, recording):
    @spanscript.call()
    async def one(own):
        return await chat(own)

    async def fifty():
        async with aclient(provider) as own:
            await asyncio.gather(*(one(own) for _ in range(50)))

    asyncio.run(fifty())
    assert len({e["call_id"] for e in recording.entries_of("provider_call_request")}) == 50
    assert all(c.attributes["llm.attempt"] == 0 for c in recording.calls)


def test_a_stream_that_is_read_after_the_block(provider, recording):
    with spanscript.call() as asked:
        stream = chat(client(provider), stream=True)
    assert asked.status is None
    assert list(stream)
    assert asked.status == "ok"
    assert len(recording.calls) == 1


def test_a_block_without_a_question_is_none(provider, recording):
    with spanscript.call() as asked:
        pass
    assert recording.spans == recording.entries == []
    assert (asked.attempts, asked.status) == (0, None)


def test_a_block_is_entered_once():
    asking = spanscript.call()
    with asking, pytest.raises(RuntimeError), asking:
        pass


@pytest.mark.parametrize(
    ("said", "tools", "expected"),
    [(None, False, "text"), (None, True, "native"), ("hermes", False, "hermes"), ("hermes", True, "hermes")],
)
def test_tool_format(said, tools, expected, provider, recording):
    offered = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    with spanscript.call(tool_format=said):
        chat(client(provider), **({"tools": offered} if tools else {}))
    (entry,) = recording.entries_of("provider_call_request")
    assert entry["tool_format"] == expected
    assert recording.attempts[0].attributes["llm.tool_format"] == expected


# What an exception tells


class WithStatus(Exception):
    def __init__(self, **attributes):
        vars(self).update(attributes)


def raised_from(cause):
    error = KeyError()
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (WithStatus(status_code=503), True),
        (WithStatus(status=429), True),
        (WithStatus(code=500), True),
        (WithStatus(code="rate_limit_exceeded"), True),
        (WithStatus(type="overloaded_error"), True),
        (WithStatus(code="invalid_request_error"), False),
        (WithStatus(status_code=400, code="rate_limit_exceeded"), False),
        (WithStatus(response={"ResponseMetadata": {"HTTPStatusCode": 503}}), True),
        (WithStatus(code=True), False),
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (httpx.ReadTimeout("slow"), True),
        (httpx.RemoteProtocolError("cut"), True),
        (httpx.InvalidURL("503 timeout"), False),
        (ValueError("timeout, EOF, overloaded"), False),
        (raised_from(ConnectionResetError()), True),
        (raised_from(WithStatus(status_code=401)), False),
    ],
)
def test_worth_another_try(error, again):
    assert is_worth_another_try(error) is again


@pytest.mark.parametrize(
    ("error", "milliseconds"),
    [
        (WithStatus(response=types.SimpleNamespace(headers={"Retry-After": "2"})), 2000),
        (WithStatus(response=types.SimpleNamespace(headers={"retry-after-ms": "15.4"})), 15),
        (WithStatus(headers={"retry-after": "1.5"}), 1500),
        (WithStatus(response={"ResponseMetadata": {"HTTPHeaders": {"retry-after": "3"}}}), 3000),
        (WithStatus(response={}), None),
        (ValueError(), None),
    ],
)
def test_what_the_server_asked_to_wait(error, milliseconds):
    assert retry_after_ms_of(error) == milliseconds


# Blocks and generators that somebody else closes


@spanscript.call()
def called(provider):
    yield from chat(client(provider), stream=True)


@spanscript.retrying()
def retried(provider):
    yield from chat(client(provider), stream=True)


def in_a_block(provider):
    with spanscript.call():
        yield from chat(client(provider), stream=True)


def in_a_loop(provider):
    for attempt in spanscript.retrying():
        with attempt:
            yield from chat(client(provider), stream=True)


@pytest.mark.parametrize("generate", [called, retried, in_a_block, in_a_loop])
def test_a_generator_that_is_closed_elsewhere(generate, provider, recording):
    """What it asked is abandoned; what is asked then is somebody else's."""
    running = generate(provider)
    assert Context().run(next, running)
    with spanscript.call() as mine:
        running.close()
        del running
        gc.collect()
        chat(client(provider))
    chat(client(provider))

    told = {e["call_id"]: e.get("status", "ok") for e in recording.entries if "response_ms" in e}
    assert sorted(told.values()) == ["abandoned", "ok", "ok"]
    assert told[mine.id] == "ok"
    assert len(recording.calls) == 3
    assert spanscript._words.said().block is None


@pytest.mark.parametrize("generate", [called, retried])
def test_a_generator_is_talked_to_as_before(generate):
    wrap = spanscript.call() if generate is called else spanscript.retrying()

    @wrap
    def dialogue():
        try:
            got = yield "first"
            yield got
        except KeyError:
            yield "caught"
        return "done"

    talk = dialogue()
    assert next(talk) == "first"
    assert talk.send("word") == "word"
    with pytest.raises(StopIteration, match="done"):
        next(talk)
    other = dialogue()
    next(other)
    assert other.throw(KeyError()) == "caught"
    other.close()


def test_generators_that_give_nothing():
    @spanscript.retrying()
    def nothing():
        yield from ()
        return "done"

    @spanscript.retrying()
    async def nothing_async():
        for item in ():
            yield item

    async def all_of_it():
        return [item async for item in nothing_async()]

    with pytest.raises(StopIteration, match="done"):
        next(nothing())
    assert asyncio.run(all_of_it()) == []


@pytest.mark.parametrize("way", ["function", "coroutine", "block"])
def test_nothing_is_recorded_and_the_code_runs_where_it_is_not_active(way, provider):
    if way == "function":
        answer = spanscript.call(tool_format="json")(lambda: chat(client(provider)))()
    elif way == "coroutine":

        @spanscript.call()
        async def ask():
            async with aclient(provider) as own:
                return await chat(own)

        answer = asyncio.run(ask())
    else:
        with spanscript.call() as asked:
            answer = chat(client(provider))
        assert (asked.attempts, asked.status, len(asked.id)) == (0, None, 36)
    assert answer.choices
