"""A transport over a transport: openai's and anthropic's aiohttp clients are httpx above and aiohttp below."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import anthropic
import httpx
import openai
import pytest
from apps import run, shown
from rows import CHAT, KEY, MESSAGES
from twice import calls_of, proven, statuses_of, twice

QUICK = "retry-after-ms=1"


def _needs(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        pytest.skip(f"{module} is not installed")


def _client(sdk: Any, name: str, **options: Any) -> Any:
    """The SDK's own client over aiohttp; without what it needs, making one says so."""
    try:
        http = sdk.DefaultAioHttpClient()
    except (AttributeError, RuntimeError) as missing:
        pytest.skip(str(missing))
    return getattr(sdk, name)(api_key=KEY, http_client=http, **options)


def _openai(p: Any) -> Any:
    return _client(openai, "AsyncOpenAI", base_url=p.openai_url)


async def _chat(p: Any) -> Any:
    async with _openai(p) as client:
        return shown(await client.chat.completions.create(**CHAT))


async def _chat_stream(p: Any) -> Any:
    async with _openai(p) as client:
        stream = await client.chat.completions.create(**CHAT, stream=True)
        return [shown(chunk) async for chunk in stream]


async def _chat_stream_left(p: Any) -> Any:
    async with _openai(p) as client, await client.chat.completions.create(**CHAT, stream=True) as stream:
        return shown(await stream.__anext__())


async def _message_stream(p: Any) -> Any:
    async with _client(anthropic, "AsyncAnthropic", base_url=p.url) as client:
        stream = await client.messages.create(**MESSAGES, stream=True)
        return [shown(event) async for event in stream]


async def _transport(p: Any) -> Any:
    transport = _needs("httpx_aiohttp").AiohttpTransport()
    async with httpx.AsyncClient(transport=transport) as client:
        return (await client.post(p.openai_url + "/chat/completions", json=CHAT)).content


WAYS: dict[str, Callable[[Any], Any]] = {
    "openai": _chat,
    "openai-stream": _chat_stream,
    "anthropic-stream": _message_stream,
    "httpx": _transport,
}


@pytest.mark.parametrize("name", WAYS)
def test_counted_once(name: str, provider: Any, request: Any) -> None:
    work = WAYS[name]
    steps, statuses = ([f"429 {QUICK}", "ok"], ["retrying", "ok"]) if name != "httpx" else (["ok"], ["ok"])
    recording = proven(twice(provider, request, lambda p: run("async", work(p)), steps), provider)
    assert statuses_of(recording) == [statuses]
    assert len(provider.llm_requests) == len(statuses)
    (call,) = calls_of(recording)
    library = name.partition("-")[0]
    assert {entry["client"] for entry in recording.entries_of("provider_call_request")} == {library}
    assert call.attributes["gen_ai.usage.output_tokens"] if "stream" not in name else True


def test_a_stream_that_is_left(provider: Any, request: Any) -> None:
    recording = twice(provider, request, lambda p: run("async", _chat_stream_left(p)), ["hang after=6"])
    assert statuses_of(recording) == [["abandoned"]]


def test_a_broken_stream(provider: Any, request: Any) -> None:
    recording = twice(provider, request, lambda p: run("async", _chat_stream(p)), ["cut after=-6"])
    assert statuses_of(recording) == [["error"]]
