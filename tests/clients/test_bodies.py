"""Whatever is sent, the transcript gives it back to the byte."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Callable
from typing import Any

import anthropic
import httpx
import openai
import pytest
from apps import SAID, Each, run
from rows import CHAT, KEY, MESSAGES
from twice import proven, twice

from spanscript.transcript.reader import Transcript

PNG = base64.b64encode(bytes(range(256)) * 40).decode()
UNICODE = "".join(map(chr, [*range(0x300), 0x85, 0x2028, 0x2029, 0xFEFF, 0xFFFE, 0xFFFF, 0x1F600, 0x10FFFF]))
NUMBERS = [0, -0.0, 1.0, 1e-7, 1e22, 1.7976931348623157e308, 5e-324, 2**53 + 1, 2**70, -(2**64), 0.1, 1e16]
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "parameters": {"type": "object", "properties": {"$ref": {}, "ä": {}}},
        },
    }
]


def _openai(provider: Any, **options: Any) -> Any:
    return openai.OpenAI(base_url=provider.openai_url, api_key=KEY, **options)


def _chat(provider: Any, **body: Any) -> Any:
    return _openai(provider).chat.completions.create(**{**CHAT, **body})


def _message(provider: Any, **body: Any) -> Any:
    client = anthropic.Anthropic(base_url=provider.url, api_key=KEY)
    return client.messages.create(**{**MESSAGES, **body})


def _post(provider: Any, content: Any, path: str = "/v1/chat/completions") -> Any:
    return httpx.post(
        provider.url + path, content=content, headers={"content-type": "application/json"}
    ).content


def _edited_history(provider: Any) -> Any:
    history = [{"role": "user", "content": f"turn {turn}"} for turn in range(6)]
    seen = [_chat(provider, messages=history).id]
    history[2] = {"role": "user", "content": "what was never said"}
    seen.append(_chat(provider, messages=history).id)
    del history[1:4]
    seen.append(_chat(provider, messages=history).id)
    history.insert(0, {"content": "keys in another order", "role": "system"})
    seen.append(_chat(provider, messages=history).id)
    history[0]["content"] = "mutated in place"
    return [*seen, _chat(provider, messages=history).id, _chat(provider, messages=history).id]


def _conversation(provider: Any) -> Any:
    messages: list[Any] = [{"role": "user", "content": "What is the weather in Zürich?"}]
    answer = _chat(provider, messages=messages, tools=TOOLS).choices[0].message
    messages += [answer, {"role": "tool", "tool_call_id": answer.tool_calls[0].id, "content": "12 °C\n"}]
    return _chat(provider, messages=messages, tools=TOOLS).choices[0].message.content


def _branches_in_threads(provider: Any) -> Any:
    shared = [{"role": "user", "content": "the same beginning"}]

    def branch(name: int) -> None:
        history = [*shared]
        for turn in range(3):
            history.append({"role": "user", "content": f"branch {name % 4} turn {turn}"})
            _chat(provider, messages=history)

    threads = [threading.Thread(target=branch, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


async def _branches_in_tasks(provider: Any) -> Any:
    client = openai.AsyncOpenAI(base_url=provider.openai_url, api_key=KEY)

    async def branch(name: int) -> None:
        for turn in range(3):
            history = [{"role": "user", "content": f"{name % 4} {n}"} for n in range(turn + 1)]
            stream = await client.chat.completions.create(model="m", messages=history, stream=True)
            async for _ in Each(stream):
                pass

    await asyncio.gather(*map(branch, range(8)))
    await client.close()


BODIES: dict[str, Callable[[Any], Any]] = {
    "iterator": lambda p: _chat(p, messages=iter(CHAT["messages"])),
    "generator": lambda p: _chat(p, messages=(m for m in CHAT["messages"])),
    "iterator-anthropic": lambda p: _message(p, messages=(m for m in MESSAGES["messages"])),
    "iterator-of-tools": lambda p: _chat(p, tools=iter(TOOLS)),
    "extra_body": lambda p: _chat(p, extra_body={"zeta": {"b": NUMBERS, "a": None}, "alpha": [[], {}, ""]}),
    "extra_body-over": lambda p: _chat(p, extra_body={"model": "another", "temperature": 1}),
    "extra_query-headers": lambda p: _chat(p, extra_query={"a": "b"}, extra_headers={"x-mine": "1"}),
    "numbers-anthropic": lambda p: _message(p, extra_body={"n": NUMBERS}),
    "unicode": lambda p: _chat(p, messages=[{"role": "user", "content": UNICODE}]),
    "unicode-keys": lambda p: _chat(p, extra_body={"ключ\u2028": {"é": "é"}, '"\\': 1}),
    "unicode-anthropic": lambda p: _message(p, system=UNICODE),
    "lone-surrogate": lambda p: _chat(p, messages=[{"role": "user", "content": "a\ud83d b"}]),
    "lone-surrogate-escaped": lambda p: _post(p, json.dumps({**CHAT, "user": "a\ud83d b"})),
    "surrogate-pair-escaped": lambda p: _post(p, json.dumps({**CHAT, "user": "😀"})),
    "no-message": lambda p: _chat(p, messages=[]),
    "own-reference": lambda p: _chat(p, extra_body={"x": {"$transcript": "context"}}),
    "own-reference-in-message": lambda p: _chat(
        p, messages=[{"role": "user", "content": [{"type": "text", "text": "x", "$transcript": "context"}]}]
    ),
    "message-with-our-keys": lambda p: _chat(
        p, messages=[{"role": "user", "content": "x", "type": "message", "hash": "0", "seq": 1}]
    ),
    "image": lambda p: _chat(
        p,
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is it?"},
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
                ],
            }
        ],
    ),
    "image-anthropic": lambda p: _message(
        p,
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
                ],
            }
        ],
    ),
    "conversation": _conversation,
    "edited-history": _edited_history,
    "input-items": lambda p: _openai(p).responses.create(
        model="m", instructions="Be brief.", input=[{"role": "user", "content": SAID}], store=False
    ),
    "prompt-tokens": lambda p: _openai(p).completions.create(model="m", prompt=[1, 2, 3]),
    "prompts": lambda p: _openai(p).completions.create(model="m", prompt=["a", "b"]),
    "embeddings-tokens": lambda p: _openai(p).embeddings.create(model="m", input=[[1, 2], [3]], dimensions=2),
    "spaces": lambda p: _post(p, json.dumps(CHAT)),
    "indented": lambda p: _post(p, json.dumps(CHAT, indent=2)),
    "indented-unescaped": lambda p: _post(p, json.dumps(CHAT, indent=4, ensure_ascii=False)),
    "sorted": lambda p: _post(p, json.dumps(MESSAGES, sort_keys=True), "/v1/messages"),
    "newline-at-end": lambda p: _post(p, json.dumps(CHAT) + "\n"),
    "nan": lambda p: _post(p, json.dumps({**CHAT, "top_p": float("nan"), "x": float("inf")})),
    "deep": lambda p: _post(p, json.dumps({**CHAT, "x": json.loads("[" * 90 + "]" * 90)})),
    "long": lambda p: _chat(p, messages=[{"role": "user", "content": f"{n} " * 900} for n in range(60)]),
}  # fmt: skip


@pytest.mark.parametrize("work", BODIES.values(), ids=BODIES.keys())
def test_replay_is_exact(work: Callable[[Any], Any], provider: Any, request: Any) -> None:
    proven(twice(provider, request, work), provider)


@pytest.mark.parametrize("colour", ["threads", "tasks"])
def test_branches(colour: str, provider: Any, recording: Any) -> None:
    if colour == "threads":
        _branches_in_threads(provider)
    else:
        run("async", _branches_in_tasks(provider))
    proven(recording, provider)
    assert len(recording.calls) == 24


RESPACED = {
    "odd-spaces": json.dumps(CHAT, separators=(" ,\t", " :  ")),
    "odd-lines": json.dumps(CHAT, indent=3).replace("\n", "\r\n"),
}


@pytest.mark.parametrize("content", RESPACED.values(), ids=RESPACED.keys())
def test_spaces_of_its_own(content: str, provider: Any, request: Any) -> None:
    """Equal as JSON; the entry does not claim more."""
    recording = twice(provider, request, lambda p: _post(p, content))
    transcript = Transcript(recording.directory)
    rebuilt = transcript.rebuild(transcript.request(transcript.find("last")))
    assert json.loads(rebuilt.content) == json.loads(content)
    assert rebuilt.proof in ("exact", "respaced")
