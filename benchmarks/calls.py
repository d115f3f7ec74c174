"""Cases of LLM calls, with the real SDKs."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from functools import partial
from itertools import count
from time import perf_counter_ns, process_time_ns, thread_time_ns
from typing import Any

import anthropic
import httpx2
import openai

from benchmarks import answers
from benchmarks.measure import Around, Block, Case, one_by_one
from benchmarks.variants import LISTENED

os.environ["ANTHROPIC_OPEN_TELEMETRY"] = "false"  # its own spans would be in every variant, the bare one too

_KEY = "no-key-at-all-but-as-long-as-one"
_CHAT: Any = {
    "model": "gpt-5",
    "messages": [
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "user", "content": "Hello!"},
    ],
}
_LATER = {**answers.JSON, "retry-after-ms": "1"}
_LIMITED = (
    429,
    b'{"error":{"message":"Rate limit reached","type":"requests","code":"rate_limit_exceeded"}}',
    _LATER,
)


def _client(transport: httpx2.BaseTransport) -> openai.OpenAI:
    return openai.OpenAI(api_key=_KEY, http_client=httpx2.Client(transport=transport))


@contextmanager
def _chat() -> Iterator[Block]:
    with _client(answers.whole(answers.completion())) as client:
        yield one_by_one(lambda: client.chat.completions.create(**_CHAT))


@contextmanager
def _chat_async() -> Iterator[Block]:
    transport = answers.whole(answers.completion())
    with closing(asyncio.new_event_loop()) as loop:
        client = openai.AsyncOpenAI(api_key=_KEY, http_client=httpx2.AsyncClient(transport=transport))

        async def calls(around: Around, count: int) -> list[int]:
            times = []
            for _ in range(count):
                start = thread_time_ns()
                with around():
                    await client.chat.completions.create(**_CHAT)
                times.append(thread_time_ns() - start)
            return times

        yield lambda around, count: loop.run_until_complete(calls(around, count))
        loop.run_until_complete(client.close())


@contextmanager
def _chat_loopback() -> Iterator[Block]:
    command = [sys.executable, "-m", "spanscript.demo.provider"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as provider:  # noqa: S603
        try:
            url = provider.stdout.readline().strip() if provider.stdout else ""
            with openai.OpenAI(api_key=_KEY, base_url=f"{url}/v1") as client:
                yield one_by_one(lambda: client.chat.completions.create(**_CHAT), perf_counter_ns)
        finally:
            provider.terminate()


@contextmanager
def _anthropic() -> Iterator[Block]:
    http = httpx2.Client(transport=answers.whole(answers.message()))
    with anthropic.Anthropic(api_key=_KEY, http_client=http) as client:
        yield one_by_one(
            lambda: client.messages.create(
                model="claude-sonnet-4-5",
                max_tokens=1024,
                system="You are a helpful assistant.",
                messages=[{"role": "user", "content": "Hello!"}],
            )
        )


@contextmanager
def _growing(begin: Callable[[int], list[Any]]) -> Iterator[Block]:
    """A conversation that begins anew for each block: each call sends it again with 5 KB more."""
    serial = count()
    with _client(answers.whole(answers.completion())) as client:

        def block(around: Around, calls: int) -> list[int]:
            messages = begin(next(serial))

            def turn() -> None:
                client.chat.completions.create(model="gpt-5", messages=messages)

            turn()
            times = []
            for _ in range(calls):
                messages += answers.history(5000)
                times += one_by_one(turn)(around, 1)
            return times

        yield block


def _history() -> AbstractContextManager[Block]:
    """An agent whose history has 1 MB."""
    base = answers.history(1_000_000)
    return _growing(lambda serial: [{"role": "system", "content": f"Conversation {serial}."}, *base])


@contextmanager
def _large() -> Iterator[Block]:
    """300 KB that were never sent before, and an answer of 100 KB."""
    serial = count()
    base = answers.history(300_000)
    with _client(answers.whole(answers.completion(answers.text(100_000)))) as client:
        yield one_by_one(
            lambda: client.chat.completions.create(
                model="gpt-5",
                messages=[{"role": "user", "content": f"{next(serial)}"}, *base],  # type: ignore[list-item]
            )
        )


def _image(serial: int, size: int = 5 * 1024 * 1024) -> Any:
    """A message with an image that was never sent before."""
    text = b64encode(serial.to_bytes(6, "big") + bytes(range(256)) * (size // 256)).decode()
    return {
        "role": "user",
        "content": [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{text}"}}],
    }


def _image_again() -> AbstractContextManager[Block]:
    """A conversation that began with an image of 5 MB."""
    return _growing(lambda serial: [_image(serial)])


@contextmanager
def _image_new() -> Iterator[Block]:
    """Each call sends an image of 5 MB that was never sent before."""
    serial = count()
    with _client(answers.whole(answers.completion())) as client:

        def block(around: Around, calls: int) -> list[int]:
            times = []
            for _ in range(calls):
                messages = [_image(next(serial))]
                call = partial(client.chat.completions.create, model="gpt-5", messages=messages)
                times += one_by_one(call)(around, 1)
            return times

        yield block


@contextmanager
def _stream(chunks: int, clock: Callable[[], int] = thread_time_ns) -> Iterator[Block]:
    with _client(answers.streamed(answers.completion_stream(chunks))) as client:

        def call() -> None:
            for _ in client.chat.completions.create(**_CHAT, stream=True):
                pass

        yield one_by_one(call, clock)


@contextmanager
def _chunks() -> Iterator[Block]:
    """What the app waits for each chunk of a stream, without the end, when all of it is decoded."""
    with _client(answers.streamed(answers.completion_stream(500))) as client:

        def block(around: Around, count: int) -> list[int]:
            times = []
            for _ in range(count):
                with around():
                    chunks = iter(client.chat.completions.create(**_CHAT, stream=True))
                    more = True
                    while more:
                        start = thread_time_ns()
                        more = next(chunks, None) is not None
                        times.append(thread_time_ns() - start)
            return times

        yield block


@contextmanager
def _retried() -> Iterator[Block]:
    transport = answers.in_turn(_LIMITED, _LIMITED, (200, answers.completion(), answers.JSON))
    with _client(transport) as client:
        client._calculate_retry_timeout = lambda *_args, **_kwargs: 0.0  # type: ignore[method-assign]
        yield one_by_one(lambda: client.chat.completions.create(**_CHAT))


@contextmanager
def _embeddings() -> Iterator[Block]:
    with _client(answers.whole(answers.embeddings(370_000))) as client:
        yield one_by_one(
            lambda: client.embeddings.create(
                model="text-embedding-3-large", input=["one", "two"], encoding_format="float"
            )
        )


CASES = (
    Case("chat", _chat, goal=60),
    Case("chat-async", _chat_async, goal=60),
    Case("chat-loopback", _chat_loopback, rounds=12, goal=60),
    Case("anthropic", _anthropic, goal=60),
    Case("history-1MB", _history, calls=6, rounds=8, warm=1, goal=1500),
    Case("request-300KB", _large, calls=6, rounds=8, warm=2),
    Case("image-5MB", _image_again, calls=3, rounds=6, warm=1),
    Case("image-5MB-new", _image_new, calls=3, rounds=6, warm=1),
    Case("stream-chunk", _chunks, calls=2, rounds=8, warm=1, goal=1),
    Case("stream-200", lambda: _stream(200), calls=5, rounds=12, warm=1, units=200),
    Case("stream-2000", lambda: _stream(2000), calls=1, rounds=6, warm=1, units=2000),
    Case("listened-chunk", _chunks, "CD", calls=2, rounds=8, warm=1, pair="CD", among=LISTENED),
    Case(
        "listened-200",
        lambda: _stream(200, process_time_ns),
        "CD",
        calls=5,
        rounds=12,
        warm=1,
        units=200,
        pair="CD",
        among=LISTENED,
    ),
    Case("retried", _retried, calls=20, rounds=12),
    Case("embeddings-370KB", _embeddings, calls=4, rounds=6, warm=1),
)
