"""Cohere's embeddings: `POST /v1/embed` and `/v2/embed`. Texts, images or both in, vectors out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from spanscript._dialects import chat_completions
from spanscript._dialects._cohere import reply_counted_at
from spanscript._dialects._parts import media_at, prompt
from spanscript._dialects._splitting import FirstOf
from spanscript._dialects._vectors import DIMENSIONS, length_of, parse_first_of
from spanscript._dialects.embeddings import assemble
from spanscript._exchange import Dialect, Json, Message, Reply
from spanscript._shapes import mapping, sequence

_INPUTS: Final = ("texts", "images", "inputs")
_TYPES: Final = ("float", "int8", "uint8", "base64")
"""Kinds of vectors whose length tells their dimensions; the others are packed by bits."""


def accepts(body: Mapping[str, bytes]) -> bool:
    """Whether there is something to embed."""
    return any(body.get(key, b"").startswith(b"[") for key in _INPUTS)


def message(value: Json) -> Message:
    """A text, an image by its data URL, or contents of both."""
    if isinstance(value, dict):
        return chat_completions.message({"role": "user", **value})
    if isinstance(value, str) and value.startswith("data:"):
        return Message("user", media_at("image", value))
    return prompt(value)


def decode(body: Json) -> Reply:
    """The reply of a whole answer; it has no choices."""
    embeddings = mapping(body).get("embeddings")
    kinds = [mapping(embeddings).get(kind) for kind in _TYPES]
    first = next((sequence(vectors)[0] for vectors in (embeddings, *kinds) if sequence(vectors)), None)
    extended = {**mapping(body), "embedding_dimensions": length_of(first)}
    return reply_counted_at("meta", extended, (), DIMENSIONS)


COHERE_EMBED: Final = Dialect(
    name="cohere_embed",
    operation="embeddings",
    list_key="texts",
    accepts=accepts,
    split=FirstOf(*_INPUTS),
    params={
        "model": (("model",),),
        "dimensions": (("output_dimension",),),
        "encoding_formats": (("embedding_types",),),
    },
    decode=decode,
    assemble=assemble,
    message=message,
    parse=parse_first_of("embeddings", "texts", "images"),
    provider="cohere",
)
