"""Requests and answers of known sizes, and transports that give them without a network."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import cycle
from typing import Any

import httpx2

JSON = {"content-type": "application/json", "x-request-id": "req_1"}
SSE = {"content-type": "text/event-stream", "x-request-id": "req_1"}
_WORDS = "The agent reads a file, changes a line of it and runs its tests again; then it says so. "


@cache
def text(size: int) -> str:
    """So many bytes of text."""
    return (_WORDS * (size // len(_WORDS) + 1))[:size]


def history(size: int, turn: int = 5000) -> list[dict[str, Any]]:
    """A conversation of about so many bytes, as a list of messages."""
    pairs = (
        (
            {"role": "user", "content": f"{n}: {text(turn // 5)}"},
            {"role": "assistant", "content": text(turn * 4 // 5)},
        )
        for n in range(size // turn)
    )
    return [message for pair in pairs for message in pair]


def completion(content: str = "Hello! How can I help you today?") -> bytes:
    """An answer of chat completions."""
    return _dump(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1_700_000_000,
            "model": "gpt-5-2026-01-01",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": content, "refusal": None, "annotations": []},
                    "logprobs": None,
                    "finish_reason": "stop",
                }
            ],
            "usage": {
                "prompt_tokens": 19,
                "completion_tokens": 10,
                "total_tokens": 29,
                "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
            },
            "service_tier": "default",
            "system_fingerprint": "fp_1",
        }
    )


def completion_stream(count: int) -> list[bytes]:
    """The events of a streamed answer of so many chunks, each as it comes over the wire."""
    head = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": "gpt-5-2026-01-01",
    }
    start = {
        "index": 0,
        "delta": {"role": "assistant", "content": ""},
        "logprobs": None,
        "finish_reason": None,
    }
    word = {"index": 0, "delta": {"content": " and"}, "logprobs": None, "finish_reason": None}
    end = {"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}
    chunks = [{**head, "choices": [choice]} for choice in (start, *[word] * (count - 4), end)]
    usage = {"prompt_tokens": 19, "completion_tokens": count, "total_tokens": 19 + count}
    chunks.append({**head, "choices": [], "usage": usage})
    return [*(b"data: " + _dump(chunk) + b"\n\n" for chunk in chunks), b"data: [DONE]\n\n"]


def message() -> bytes:
    """An answer of Anthropic messages."""
    return _dump(
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude-sonnet-4-5",
            "content": [{"type": "text", "text": "Hello! How can I help you today?"}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {
                "input_tokens": 19,
                "output_tokens": 10,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
                "service_tier": "standard",
            },
        }
    )


def embeddings(size: int) -> bytes:
    """Vectors of floats, so many bytes of JSON."""
    vector = [round(((i * 7919) % 2003) / 2003 - 0.5, 17) for i in range(1536)]
    count = size // len(_dump(vector))
    data = [{"object": "embedding", "index": i, "embedding": vector} for i in range(count)]
    usage = {"prompt_tokens": 96, "total_tokens": 96}
    return _dump({"object": "list", "data": data, "model": "text-embedding-3-large", "usage": usage})


def whole(body: bytes, status: int = 200, headers: Mapping[str, str] = JSON) -> httpx2.MockTransport:
    """Gives the same answer to everything."""
    return httpx2.MockTransport(lambda _: httpx2.Response(status, headers=headers, content=body))


def in_turn(*answers: tuple[int, bytes, Mapping[str, str]]) -> httpx2.MockTransport:
    """Gives the answers in turn, over and over."""
    turns = cycle(answers)

    def answer(_: httpx2.Request) -> httpx2.Response:
        status, body, headers = next(turns)
        return httpx2.Response(status, headers=headers, content=body)

    return httpx2.MockTransport(answer)


def streamed(chunks: Sequence[bytes]) -> httpx2.MockTransport:
    """Gives a body in these chunks."""
    return httpx2.MockTransport(lambda _: httpx2.Response(200, headers=SSE, stream=_Chunks(chunks)))


class _Chunks(httpx2.SyncByteStream):
    def __init__(self, chunks: Sequence[bytes]) -> None:
        self._chunks = chunks

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._chunks)


def _dump(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
