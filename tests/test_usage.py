"""`usage()`: every call counts in the blocks that are open where it starts, once, when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import sys
import threading
from typing import Any

import anthropic
import openai
import pytest

from spanscript import _prices, _usage
from spanscript._exchange import Usage
from spanscript._prices import Charge
from spanscript._usage import usage

ASK: Any = [{"role": "user", "content": "hi"}]
RETRIED = ("429 retry-after-ms=1", "503 retry-after-ms=1", "ok")
KINDS = Usage.__struct_fields__


def client(provider, **options):
    return openai.OpenAI(base_url=provider.openai_url, api_key="unused", **options)


def chat(provider, model="gpt-5"):
    told = client(provider).chat.completions.create(model=model, messages=ASK).usage
    return told.prompt_tokens, told.completion_tokens, 0, None, 0


def streamed(provider):
    chunks = client(provider).chat.completions.create(
        model="gpt-5", messages=ASK, stream=True, stream_options={"include_usage": True}
    )
    told = [chunk.usage for chunk in chunks if chunk.usage][-1]
    return told.prompt_tokens, told.completion_tokens, 0, None, 0


def streamed_without_usage(provider):
    assert list(client(provider).chat.completions.create(model="gpt-5", messages=ASK, stream=True))
    return (None,) * 5


def embeddings(provider):
    told = client(provider).embeddings.create(model="text-embedding-3-small", input=["a", "b"]).usage
    return told.prompt_tokens, None, None, None, None


def messages(provider):
    claude = anthropic.Anthropic(base_url=provider.url, api_key="unused")
    told = claude.messages.create(model="claude-haiku-4-5", max_tokens=99, messages=ASK).usage
    return told.input_tokens, told.output_tokens, 0, 0, None


def azure(provider):
    ours = openai.AzureOpenAI(azure_endpoint=provider.url, api_key="unused", api_version="2024-10-21")
    told = ours.chat.completions.create(model="gpt-4o", messages=ASK).usage
    return told.prompt_tokens, told.completion_tokens, 0, None, 0


def refused(provider):
    with pytest.raises(openai.BadRequestError):
        client(provider).chat.completions.create(model="gpt-5", messages=ASK)
    return (None,) * 5


def unheard(provider):
    return chat(provider, "nobody-knows-it")


CASES = {
    # (what is asked, what is answered) → attempts, failed ones, who sells the model and its name there
    "whole": (chat, ["ok"], 1, 0, ("openai", "gpt-5")),
    "retried": (chat, RETRIED, 3, 2, ("openai", "gpt-5")),
    "streamed": (streamed, ["ok"], 1, 0, ("openai", "gpt-5")),
    "streamed, retried": (streamed, RETRIED, 3, 2, ("openai", "gpt-5")),
    "streamed, no usage": (streamed_without_usage, ["ok"], 1, 0, None),
    "embeddings": (embeddings, ["ok"], 1, 0, ("openai", "text-embedding-3-small")),
    "messages": (messages, ["ok"], 1, 0, ("anthropic", "claude-haiku-4-5")),
    "azure": (azure, ["ok"], 1, 0, ("azure", "gpt-4o")),
    "error": (refused, ["400"], 1, 1, None),
    "unknown model": (unheard, ["ok"], 1, 0, None),
}


def tokens(spent):
    return tuple(getattr(spent, kind) for kind in KINDS)


@pytest.mark.parametrize("case", CASES)
def test_a_call_is_counted(case, provider, recording):
    ask, steps, attempts, failed, _ = CASES[case]
    provider.script(*steps)
    with usage() as used:
        assert (used.calls, used.attempts, used.seconds) == (0, 0, 0)
        told = ask(provider)

    assert (used.calls, used.attempts, used.failed_attempts) == (1, attempts, failed)
    assert tokens(used) == told
    assert (used.waiting_seconds > 0) == (attempts > 1)
    (call,) = recording.calls
    assert used.seconds == pytest.approx((call.end_time - call.start_time) / 1e9)
    ((model, spent),) = used.by_model.items()
    assert model == call.attributes["gen_ai.request.model"]
    assert (spent.calls, spent.attempts, tokens(spent)) == (1, attempts, told)


@pytest.mark.parametrize("case", CASES)
def test_a_call_has_its_price(case, provider, recording):
    prices = pytest.importorskip("genai_prices")
    ask, steps, _, _, sold = CASES[case]
    provider.script(*steps)
    with usage() as outer, usage() as used:
        told = dict(zip(KINDS, ask(provider), strict=True))

    told.pop("reasoning_tokens")
    expected = sold and float(
        prices.calc_price(prices.Usage(**told), sold[1], provider_id=sold[0]).total_price
    )
    assert expected != 0
    (model,) = used.by_model.values()
    for spent in (used, model, outer):
        assert spent.cost_usd == expected
        assert spent.unpriced == (expected is None)


def test_what_is_printed(provider, recording):
    with usage() as used:
        embeddings(provider)
    assert repr(used) == (
        "Used(calls=1, attempts=1, failed_attempts=0, input_tokens=1, output_tokens=None, "
        "cache_read_tokens=None, cache_write_tokens=None, reasoning_tokens=None, waiting_seconds=0.0, "
        f"seconds={used.seconds!r})"
    )


def test_calls_add_up(provider, recording):
    provider.script(*RETRIED, "400", "ok", "ok")
    with usage() as used:
        told = [ask(provider) for ask in (chat, refused, embeddings, messages)]

    assert (used.calls, used.attempts, used.failed_attempts) == (4, 6, 3)
    assert used.input_tokens == sum(one[0] or 0 for one in told)
    assert used.output_tokens == told[0][1] + told[3][1]
    assert {model: spent.calls for model, spent in used.by_model.items()} == {
        "gpt-5": 2,
        "text-embedding-3-small": 1,
        "claude-haiku-4-5": 1,
    }
    if _prices._package() is not None:
        assert used.cost_usd == pytest.approx(sum(m.cost_usd for m in used.by_model.values()))
        assert used.unpriced == 1


def test_tokens_of_a_broken_attempt_count(provider, recording):
    claude = anthropic.Anthropic(base_url=provider.url, api_key="unused")
    provider.script("cut after=3")
    with usage() as used, contextlib.suppress(Exception):
        list(claude.messages.create(model="claude-haiku-4-5", max_tokens=99, messages=ASK, stream=True))
    assert (used.calls, used.failed_attempts) == (1, 1)
    assert used.input_tokens


def test_blocks_nest(provider, recording):
    with usage() as outer:
        chat(provider)
        with usage() as first:
            chat(provider)
        with usage() as second:
            embeddings(provider)
            embeddings(provider)
        with contextlib.suppress(ZeroDivisionError), usage() as third:
            chat(provider)
            raise ZeroDivisionError
    chat(provider)
    assert [used.calls for used in (outer, first, second, third)] == [5, 1, 2, 1]
    assert set(second.by_model) == {"text-embedding-3-small"}


def test_a_stream_read_after_the_block(provider, recording):
    with usage() as used:
        stream = client(provider).chat.completions.create(
            model="gpt-5", messages=ASK, stream=True, stream_options={"include_usage": True}
        )
    assert used.calls == 0
    with usage() as later:
        last = list(stream)[-1]
    assert (used.calls, later.calls) == (1, 0)
    assert used.output_tokens == last.usage.completion_tokens


def test_two_threads(provider, recording):
    own: dict[int, Any] = {}

    def agent(calls: int) -> None:
        with usage() as own[calls]:
            for _ in range(calls):
                chat(provider)

    with usage() as used:
        copied = [contextvars.copy_context() for _ in range(2)]
        threads = [threading.Thread(target=copied[n].run, args=(agent, n + 3)) for n in range(2)]
        threads.append(threading.Thread(target=agent, args=(5,)))  # it knows nothing of the block
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert {calls: one.calls for calls, one in own.items()} == {3: 3, 4: 4, 5: 5}
    assert used.calls == used.by_model["gpt-5"].calls == 7


async def test_fifty_tasks(provider, recording):
    async with openai.AsyncOpenAI(base_url=provider.openai_url, api_key="unused") as ours:

        async def agent(calls: int) -> int:
            with usage() as own:
                for _ in range(calls):
                    await ours.embeddings.create(model="text-embedding-3-small", input="a")
                    assert own.calls  # its own, at once
            return own.calls

        wanted = [n % 2 + 1 for n in range(50)]
        with usage() as used:
            assert await asyncio.gather(*map(agent, wanted)) == wanted
        with usage() as nothing:
            pass
    assert used.calls == sum(wanted)
    assert nothing.calls == 0


async def test_a_task_that_outlives_the_block(provider, recording):
    ours = openai.AsyncOpenAI(base_url=provider.openai_url, api_key="unused")
    with usage() as used:
        task = asyncio.create_task(ours.embeddings.create(model="text-embedding-3-small", input="a"))
    assert used.calls == 0
    await task
    assert used.calls == 1


async def test_a_cancelled_call(provider, recording):
    ours = openai.AsyncOpenAI(base_url=provider.openai_url, api_key="unused")
    provider.script("hang")
    with usage() as used:
        task = asyncio.create_task(ours.chat.completions.create(model="gpt-5", messages=ASK))
        await asyncio.to_thread(provider.wait_for, 1)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    assert (used.calls, used.failed_attempts, used.input_tokens) == (1, 1, None)


def in_a_generator():
    with usage() as used:
        yield used


def test_a_generator_closed_elsewhere_leaves_nothing_open(provider, recording):
    generator = in_a_generator()
    used = next(generator)
    contextvars.copy_context().run(generator.close)
    chat(provider)
    assert used.calls == 0
    with usage() as next_one:
        chat(provider)
    assert (used.calls, next_one.calls) == (0, 1)


def test_a_generator_closed_too_late_closes_no_other_block(provider, recording):
    generator = in_a_generator()
    first = next(generator)
    with usage() as second:
        generator.close()
        chat(provider)
    chat(provider)
    assert (first.calls, second.calls) == (0, 1)


def test_not_active(provider):
    with usage() as used:
        chat(provider)
    assert (used.calls, used.attempts, used.failed_attempts, used.unpriced) == (0, 0, 0, 0)
    assert (used.seconds, used.waiting_seconds) == (0, 0)
    assert tokens(used) == (None,) * 5
    assert used.cost_usd is None
    assert used.by_model == {}


@pytest.fixture
def no_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    for cached in (_prices._package, _prices.say_if_missing):
        cached.cache_clear()
    yield
    for cached in (_prices._package, _prices.say_if_missing):
        cached.cache_clear()


def test_without_the_package(provider, recording, no_package, caplog):
    with caplog.at_level(logging.WARNING), usage() as used:
        chat(provider)
        chat(provider)
        assert used.unpriced == 2
        assert caplog.records == []  # nobody asked for a cost
        assert used.cost_usd is None
        assert used.by_model["gpt-5"].cost_usd is None
    (record,) = caplog.records
    assert "spanscript[prices]" in record.getMessage()


def test_costs_that_nobody_asks_for_are_not_kept(provider, recording, monkeypatch):
    monkeypatch.setattr(_usage, "_MANY", 3)
    with usage() as used:
        for _ in range(3):
            chat(provider)
    for thread in threading.enumerate():
        if thread.name == "spanscript-prices":
            thread.join()
    assert not used._bill._waiting
    assert not used.by_model["gpt-5"]._bill._waiting
    assert used.unpriced == (0 if _prices._package() else 3)


NOW = 1_795_000_000_000_000_000
COUNTED = Usage(input_tokens=1000, output_tokens=100)
UNKNOWN = {
    "provider": Charge("nobody", ("gpt-5",), COUNTED, None, NOW),
    "a host like a provider": Charge("openai.example", ("gpt-5",), COUNTED, None, NOW),
    "model": Charge("openai", ("nobody-knows-it",), COUNTED, None, NOW),
    "no model": Charge("openai", (), COUNTED, None, NOW),
    "paid by the second": Charge("openai", ("whisper-1",), COUNTED, None, NOW),
    "paid by the character": Charge("openai", ("tts-1",), COUNTED, None, NOW),
    "output": Charge("openai", ("gpt-5",), Usage(input_tokens=1), None, NOW),
    "input": Charge("openai", ("gpt-5",), Usage(output_tokens=1), None, NOW),
    "impossible": Charge("openai", ("gpt-5",), Usage(1, 1, cache_read_tokens=2), None, NOW),
    "also paid by the request": Charge("perplexity", ("sonar",), COUNTED, None, NOW),
    "tier": Charge("openai", ("gpt-5",), COUNTED, "nobody-knows-it", NOW),
    "tier at a reseller": Charge("azure.ai.openai", ("gpt-5-mini",), COUNTED, "flex", NOW),
    "negative": Charge("openai", ("gpt-5",), Usage(-1, 1), None, NOW),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_what_is_not_known_is_absent(case):
    pytest.importorskip("genai_prices")
    assert _prices.price(UNKNOWN[case]) is None


def test_what_a_price_depends_on():
    pytest.importorskip("genai_prices")

    def usd(*models: str, usage: Usage = COUNTED, tier: str | None = None, provider: str = "openai") -> Any:
        return _prices.price(Charge(provider, models, usage, tier, NOW))

    plain = usd("gpt-5")
    assert plain > 0
    assert usd("my-deployment", "gpt-5", provider="azure.ai.openai") == plain
    assert usd("gpt-5", usage=Usage(1000, 100, cache_read_tokens=900)) < plain
    assert usd("gpt-5", usage=Usage(1000, 100, reasoning_tokens=90)) == plain
    assert usd("gpt-5", tier="default") == plain
    assert usd("gpt-5", tier="flex") < plain < usd("gpt-5", tier="priority")


def test_the_package_has_our_providers():
    pytest.importorskip("genai_prices")
    from genai_prices.data_snapshot import get_snapshot

    assert set(_prices._IDS.values()) <= {provider.id for provider in get_snapshot().providers}
