"""
Google's embeddings: `…/models/M:embedContent` and `:batchEmbedContents`, and Vertex AI's `:predict`.

What is to be embedded is one content, an array of requests, or an array of instances.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from spanscript._dialects._bodies import reply_of
from spanscript._dialects._splitting import FirstOf
from spanscript._dialects._usage import first_integer
from spanscript._dialects.embeddings import assemble
from spanscript._dialects.generate_content import parts_of
from spanscript._exchange import Dialect, Json, Message, Reply, Usage
from spanscript._json import elements, loads, members
from spanscript._shapes import dig, integer, mapping, sequence

_DIMENSIONS: Final = "embedding_dimensions"
_COUNTED: Final = (("statistics", "token_count"), ("statistics", "tokenCount"))


def accepts(body: Mapping[str, bytes]) -> bool:
    """Whether the body has what is to be embedded, and no prompt of another kind of model."""
    if body.get("requests", b"").startswith(b"[") or body.get("content", b"").startswith(b"{"):
        return True
    instances = body.get("instances", b"")
    first = next(iter(elements(instances)), b"") if instances.startswith(b"[") else b""
    return first.startswith(b"{") and "content" in members(first)


def message(value: Json) -> Message:
    """A request, an instance, or a content."""
    return Message("user", parts_of(mapping(value).get("content", value)))


def parse(data: bytes) -> Json:
    """The answer with its first vector alone: the others are not looked at."""
    if not data.lstrip().startswith(b"{"):
        return loads(data)
    return {key: _VECTORS.get(key, loads)(raw) for key, raw in members(data).items()}


def _embeddings(raw: bytes) -> Json:
    """Elements of an array without their vectors, but for the first."""
    if not raw.startswith(b"["):
        return loads(raw)
    first, *others = elements(raw) or [b"null"]
    return [loads(first), *map(_without_vector, others)]


def _without_vector(raw: bytes) -> Json:
    if not raw.startswith(b"{"):
        return None
    fields = members(raw)
    fields.pop("values", None)
    return {key: _READERS.get(key, loads)(value) for key, value in fields.items()}


_READERS: Final = {"embeddings": _without_vector}
_VECTORS: Final = dict.fromkeys(("embeddings", "predictions"), _embeddings)


def decode(body: Json) -> Reply:
    """The reply of a whole answer; it has no choices."""
    fields = mapping(body)
    predictions = [mapping(p).get("embeddings") for p in sequence(fields.get("predictions"))]
    vectors = [fields.get("embedding"), *sequence(fields.get("embeddings")), *predictions]
    values = next((mapping(v)["values"] for v in vectors if sequence(mapping(v).get("values"))), None)
    extended = {**fields, "id": None, "model": None, _DIMENSIONS: len(values) if values else None}
    return reply_of(extended, (), {_DIMENSIONS: (_DIMENSIONS,)}, usage=_usage(fields, predictions))


def _usage(fields: dict[str, Any], predictions: list[Json]) -> Usage:
    """Said for all, or with each prediction."""
    said = integer(dig(fields, ("usageMetadata", "promptTokenCount")))
    if said is not None or not predictions:
        return Usage(input_tokens=said)
    counts = [first_integer(prediction, _COUNTED) for prediction in predictions]
    return Usage(input_tokens=None if None in counts else sum(filter(None, counts)))


EMBED_CONTENT: Final = Dialect(
    name="embed_content",
    operation="embeddings",
    list_key="requests",
    accepts=accepts,
    split=FirstOf("requests", "content", "instances"),
    params={
        "dimensions": (
            ("outputDimensionality",),
            ("output_dimensionality",),
            ("embedContentConfig", "outputDimensionality"),
            ("parameters", "outputDimensionality"),
        )
    },
    decode=decode,
    assemble=assemble,
    message=message,
    parse=parse,
    provider="gcp.gemini",
)
