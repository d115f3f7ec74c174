"""Many at once: nothing is crossed. `SEED=` repeats a run."""

from __future__ import annotations

import asyncio
import os
import random
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anthropic
import openai
from apps import Each
from opentelemetry import trace
from proof import nothing_leaks
from rows import KEY
from twice import calls_of, proven

SEED = int(os.environ.get("SEED", random.SystemRandom().randrange(10**9)))
OK = "ok"
LIMITED = "429 retry-after-ms=1"


def _scripted(provider: Any, names: Iterable[str]) -> dict[str, int]:
    """Each call is refused from zero to two times, as the dice say; give how often."""
    dice = random.Random(SEED)
    refused = {name: dice.randrange(3) for name in names}
    for name, times in refused.items():
        provider.script(*[LIMITED] * times, OK, match=f"<{name}>")
    return refused


def _message(name: str) -> dict[str, Any]:
    return {"model": f"m-{name}", "messages": [{"role": "user", "content": f"I am <{name}>"}]}


def _proven(recording: Any, provider: Any, refused: dict[str, int]) -> None:
    """Every call has its own attempts, its own answer, its own parent."""
    proven(recording, provider)
    calls = {call.attributes["gen_ai.request.model"].removeprefix("m-"): call for call in calls_of(recording)}
    assert calls.keys() == refused.keys(), SEED
    for name, call in calls.items():
        own = [a for a in recording.attempts if a.parent.span_id == call.context.span_id]
        statuses = [a.attributes["llm.status"] for a in own]
        assert statuses == ["retrying"] * refused[name] + ["ok"], (SEED, name)
        assert {a.attributes["llm.model"] for a in own} == {f"m-{name}"}
        assert {a.attributes["llm.call_id"] for a in own} == {call.attributes["llm.call_id"]}
    for entry in recording.entries_of("provider_call_response"):
        assert f"<{entry['model'].removeprefix('m-')}>" in entry["text"], SEED


def test_threads(provider: Any, recording: Any) -> None:
    """20 threads of three calls each, whole and streamed, of two SDKs over shared clients."""
    names = [f"{thread}-{turn}" for thread in range(20) for turn in range(3)]
    refused = _scripted(provider, names)
    one = openai.OpenAI(base_url=provider.openai_url, api_key=KEY)
    other = anthropic.Anthropic(base_url=provider.url, api_key=KEY)
    tracer = recording.provider.get_tracer("app")

    def work(thread: int) -> None:
        with tracer.start_as_current_span("app") as outer:
            one.chat.completions.create(**_message(f"{thread}-0"))
            list(one.chat.completions.create(**_message(f"{thread}-1"), stream=True))
            with other.messages.stream(**_message(f"{thread}-2"), max_tokens=90) as events:
                list(events)
            nothing_leaks(outer)

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(work, range(20)))
    _proven(recording, provider, refused)
    apps = {span.context.span_id for span in recording.calls if span.name == "app"}
    assert {call.parent.span_id for call in calls_of(recording)} == apps


def test_tasks(provider: Any, recording: Any) -> None:
    """50 tasks over shared clients, half of them streaming in turns."""
    names = [str(task) for task in range(50)]
    refused = _scripted(provider, names)
    tracer = recording.provider.get_tracer("app")

    async def work() -> None:
        one = openai.AsyncOpenAI(base_url=provider.openai_url, api_key=KEY)
        other = anthropic.AsyncAnthropic(base_url=provider.url, api_key=KEY)

        async def ask(name: str) -> None:
            stream = int(name) % 4 > 1
            with tracer.start_as_current_span("app") as outer:
                if int(name) % 2:
                    answer = await one.chat.completions.create(**_message(name), stream=stream)
                else:
                    answer = await other.messages.create(**_message(name), max_tokens=90, stream=stream)
                if stream:
                    async for _ in Each(answer):
                        await asyncio.sleep(0)
                nothing_leaks(outer)

        await asyncio.gather(*map(ask, names))
        nothing_leaks(trace.get_current_span())
        await one.close()
        await other.close()

    asyncio.run(work())
    _proven(recording, provider, refused)


def test_stream_is_read_elsewhere(provider: Any, recording: Any) -> None:
    """Begun here, read in another thread: the same call, and nothing is current there."""
    client = openai.OpenAI(base_url=provider.openai_url, api_key=KEY)
    stream = client.chat.completions.create(**_message("x"), stream=True)

    def read() -> None:
        list(stream)
        nothing_leaks(trace.INVALID_SPAN)

    thread = threading.Thread(target=read)
    thread.start()
    thread.join()
    proven(recording, provider)
    assert [call.attributes["llm.status"] for call in recording.calls] == ["ok"]


def test_two_streams_in_turns(provider: Any, recording: Any) -> None:
    client = openai.OpenAI(base_url=provider.openai_url, api_key=KEY)
    streams = [client.chat.completions.create(**_message(name), stream=True) for name in "ab"]
    for _ in zip(*streams, strict=True):
        pass
    proven(recording, provider)
    texts = {e["model"]: e["text"] for e in recording.entries_of("provider_call_response")}
    assert texts == {f"m-{name}": f"You said: I am <{name}>" for name in "ab"}


def test_call_while_a_stream_is_read(provider: Any, recording: Any) -> None:
    """A tool loop that asks again before the first answer is read to its end: two calls."""
    client = openai.OpenAI(base_url=provider.openai_url, api_key=KEY)
    stream = client.chat.completions.create(**_message("a"), stream=True)
    next(iter(stream))
    client.chat.completions.create(**_message("b"))
    list(stream)
    proven(recording, provider)
    calls = calls_of(recording)
    assert [call.parent for call in calls] == [None, None]
    assert [call.attributes["llm.status"] for call in calls] == ["ok", "ok"]
