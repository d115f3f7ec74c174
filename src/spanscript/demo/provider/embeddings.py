"""The wire API `embeddings`, as the loopback provider speaks it."""

from __future__ import annotations

import json
import struct
import zlib
from base64 import b64encode

from spanscript._exchange import Json
from spanscript.demo.provider import policy
from spanscript.demo.provider.policy import Answer, Ask

_DIMENSIONS = 1536


def read(body: Json) -> Ask:
    """
    What the body asks.

    Raises:
        KeyError: `model` or `input` is missing.
    """
    texts = body["input"]
    prompt = texts if isinstance(texts, str) else json.dumps(texts, ensure_ascii=False)
    return Ask(model=body["model"], prompt=prompt, text="")


def whole(answer: Answer, asked: Json) -> Json:
    """The body of the answer: a vector for each input, in base64 where that is asked for."""
    given = asked["input"]
    # A list of numbers is one input, given as tokens.
    inputs = given if isinstance(given, list) and not _all_int(given) else [given]
    size = asked.get("dimensions") or _DIMENSIONS
    packed = asked.get("encoding_format") == "base64"
    data = []
    for index, text in enumerate(inputs):
        numbers = vector(json.dumps(text).encode(), size)
        encoded = b64encode(struct.pack(f"<{size}f", *numbers)).decode() if packed else numbers
        data.append({"object": "embedding", "index": index, "embedding": encoded})
    count = policy.count("".join(str(text) for text in inputs))
    return {
        "object": "list",
        "data": data,
        "model": answer.model,
        "usage": {"prompt_tokens": count, "total_tokens": count},
    }


def _all_int(values: list[Json]) -> bool:
    return bool(values) and all(isinstance(value, int) for value in values)


def vector(seed: bytes, size: int) -> list[float]:
    """A vector that only `seed` decides, of values that a 32-bit float holds exactly."""
    return [(zlib.crc32(seed, index) & 0xFFFF) / 65536 - 0.5 for index in range(size)]
