"""`rate_limit()`: never more in a minute than asked for, from threads and tasks; and the wait is told."""

from __future__ import annotations

import asyncio
import logging
import os
import time
import types
from concurrent.futures import ThreadPoolExecutor

import aiohttp
import httpx
import openai
import pytest
import requests

import spanscript
from spanscript._hooks import _sending
from spanscript._limits import limit_of
from spanscript.config import Settings

pyrate_limiter = pytest.importorskip("pyrate_limiter")

FASTER = 60
"""How many times as fast time passes: a minute of the limit is a second here."""
MINUTE = 60_000
BODY = {"model": "gpt-5", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
def admitted(monkeypatch):
    """When requests got their turn, in milliseconds of a clock that runs faster."""
    times = []
    put = pyrate_limiter.InMemoryBucket.put

    def noted(self, item):
        if got := put(self, item):
            times.append(item.timestamp)
        return got

    async def pause(seconds):
        await asyncio.sleep(seconds / FASTER)

    clock = types.SimpleNamespace(now=lambda: int(time.monotonic() * 1000 * FASTER))
    monkeypatch.setattr(pyrate_limiter.InMemoryBucket, "_clock", clock)
    monkeypatch.setattr(pyrate_limiter.InMemoryBucket, "put", noted)
    monkeypatch.setattr(_sending, "time", types.SimpleNamespace(sleep=lambda s: time.sleep(s / FASTER)))
    monkeypatch.setattr(_sending, "pause", pause)
    monkeypatch.setattr("spanscript._hooks.aiohttp.pause", pause)
    return times


@pytest.fixture
def limited():
    """Limits requests; whatever is put on is taken off."""
    undos = []
    yield lambda provider, rpm: undos.append(spanscript.rate_limit(provider, rpm))
    [undo() for undo in undos]


def url(provider):
    return f"{provider.openai_url}/chat/completions"


def from_threads(provider):
    with httpx.Client() as client, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: client.post(url(provider), json=BODY), range(150)))


def from_tasks(provider):
    async def ask(client):
        await client.post(url(provider), json=BODY)

    async def all_of_them():
        async with httpx.AsyncClient(timeout=60) as client:
            await asyncio.gather(*(ask(client) for _ in range(100)))

    asyncio.run(all_of_them())


@pytest.mark.parametrize(("run", "sent"), [(from_threads, 150), (from_tasks, 100)])
def test_never_more_in_any_minute(run, sent, provider, recording, admitted, limited):
    limited("127.0.0.1", 60)
    run(provider)

    assert len(admitted) == len(provider.llm_requests) == sent
    assert all(later - first > MINUTE for first, later in zip(admitted, admitted[60:], strict=False))
    waits = [e.get("rate_limit_wait_ms") for e in recording.entries_of("provider_call_request")]
    on_spans = [s.attributes.get("llm.rate_limit_wait_ms") for s in recording.attempts]
    assert sum(wait is not None for wait in waits) == sum(wait is not None for wait in on_spans) >= 8
    assert all(wait > 0 for wait in waits if wait is not None)


def by_sdk(provider):
    own = openai.OpenAI(base_url=provider.openai_url, api_key="unused")
    own.chat.completions.create(**BODY)


def by_async_sdk(provider):
    async def ask():
        async with openai.AsyncOpenAI(base_url=provider.openai_url, api_key="unused") as own:
            await own.chat.completions.create(**BODY)

    asyncio.run(ask())


def by_aiohttp(provider):
    async def ask():
        async with aiohttp.ClientSession() as session, session.post(url(provider), json=BODY) as answer:
            await answer.json()

    asyncio.run(ask())


def by_trio(provider):
    trio = pytest.importorskip("trio")

    async def ask():
        async with httpx.AsyncClient() as client:
            await client.post(url(provider), json=BODY)

    trio.run(ask)


WAYS = {
    "openai": (by_sdk, "openai"),
    "openai, async": (by_async_sdk, "openai"),
    "httpx": (lambda p: httpx.post(url(p), json=BODY), "127.0.0.1"),
    "requests": (lambda p: requests.post(url(p), json=BODY, timeout=60), "127.0.0.1"),
    "aiohttp": (by_aiohttp, "127.0.0.1"),
    "trio": (by_trio, "127.0.0.1"),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_wait_is_told(way, provider, recording, admitted, limited, monkeypatch):
    ask, name = WAYS[way]
    if way == "trio":
        monkeypatch.undo()  # the real way to wait, for a second
        limited(name, 60_000)
        limit_of(name)._bucket.put(
            pyrate_limiter.RateItem("x", limit_of(name)._bucket.now() - 59_000, 60_000)
        )
    else:
        limited(name, 1)
        limit_of(name).take()
    with spanscript.usage() as used:
        ask(provider)

    (attempt,) = recording.attempts
    (entry,) = recording.entries_of("provider_call_request")
    waited = attempt.attributes["llm.rate_limit_wait_ms"]
    assert waited > 500
    assert entry["rate_limit_wait_ms"] == pytest.approx(waited, abs=0.001)
    assert used.waiting_seconds == pytest.approx(waited / 1000)


def test_retries_wait_for_their_turn_too(provider, recording, admitted, limited):
    limited("openai", 1)
    provider.script("503 retry-after-ms=1", "ok")
    by_sdk(provider)

    waits = [e.get("rate_limit_wait_ms") for e in recording.entries_of("provider_call_request")]
    assert waits[0] is None
    assert waits[1] > 500


def test_a_task_that_is_cancelled_while_it_waits_has_sent_nothing(provider, recording, admitted, limited):
    limited("openai", 1)
    limit_of("openai").take()

    async def cancelled():
        async with openai.AsyncOpenAI(base_url=provider.openai_url, api_key="unused") as own:
            await asyncio.wait_for(own.chat.completions.create(**BODY), 0.1)

    with pytest.raises(asyncio.TimeoutError):
        asyncio.run(cancelled())
    assert provider.llm_requests == []
    (call,) = recording.spans
    assert call.attributes["llm.status"] == "cancelled"


def test_other_providers_and_other_traffic_do_not_wait(provider, recording, admitted, limited):
    limited("anthropic", 1)
    limit_of("anthropic").take()
    by_sdk(provider)
    httpx.get(f"{provider.url}/")
    assert recording.attempts[0].attributes.get("llm.rate_limit_wait_ms") is None


def test_the_last_one_holds_until_it_is_taken_off():
    first, second = spanscript.rate_limit("openai", 60), spanscript.rate_limit("OpenAI", 30)
    try:
        assert limit_of("openai")._rpm == 30
        second()
        assert limit_of("openai")._rpm == 60
    finally:
        first()
    assert limit_of("openai") is None


def test_by_the_environment(recording, tmp_path):
    settings = Settings.from_environment({"SPANSCRIPT_RPM": " openai=60, anthropic = 30 ,"})
    assert settings.rpm == {"openai": 60, "anthropic": 30}
    undo = spanscript.instrument(directory=str(tmp_path), rpm=settings.rpm)
    assert (limit_of("openai")._rpm, limit_of("anthropic")._rpm) == (60, 30)
    undo()
    assert limit_of("openai") is limit_of("anthropic") is None


@pytest.mark.parametrize("value", ["openai", "openai=", "openai=many", "=60", "openai=0", "openai=-1"])
def test_a_variable_that_makes_no_sense_is_named(value, caplog):
    with caplog.at_level(logging.WARNING, "spanscript"):
        assert Settings.from_environment({"SPANSCRIPT_RPM": value}).rpm == {}
    assert value in caplog.text


@pytest.mark.parametrize("rpm", [0, -1])
def test_no_requests_at_all_is_no_limit(rpm):
    with pytest.raises(ValueError, match=str(rpm)):
        spanscript.rate_limit("openai", rpm)


def test_a_forked_child_has_its_own_window(limited):
    limited("openai", 1)
    limit = limit_of("openai")
    assert limit.take() == 0
    with limit._lock:
        child = os.fork()
        if not child:
            os._exit(1 if limit.take() else 0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert limit.take() > 0


def test_without_the_library_it_is_said(monkeypatch, caplog, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "pyrate_limiter", None)
    with pytest.raises(ModuleNotFoundError, match=r"spanscript\[agent\]"):
        spanscript.rate_limit("openai", 1)
    spanscript.instrument(directory=str(tmp_path), rpm={"openai": 1})()
    assert "not limited" in caplog.text
