"""The embeddings API: `POST …/embeddings`, texts in, vectors out."""

from __future__ import annotations

import binascii
from collections.abc import Iterable, Mapping
from typing import Any, Final

from spanscript._dialects._bodies import reply_of
from spanscript._dialects._parts import prompt
from spanscript._dialects._splitting import Splitter
from spanscript._dialects._usage import first_integer, usage_in
from spanscript._exchange import Dialect, Event, Json, Reply
from spanscript._json import elements, loads, members
from spanscript._shapes import mapping, sequence

_FLOAT_BYTES: Final = 4


def accepts(body: Mapping[str, bytes]) -> bool:
    """Whether the body has an input: text, tokens, or several of them."""
    return body.get("input", b"").startswith((b'"', b"["))


def parse(data: bytes) -> Json:
    """The answer with its first vector alone: the others are not looked at."""
    if not data.lstrip().startswith(b"{"):
        return loads(data)
    fields = members(data)
    vectors = fields.pop("data", b"")
    body: dict[str, Any] = {key: loads(raw) for key, raw in fields.items()}
    if vectors.startswith(b"["):
        body["data"] = [loads(raw) for raw in elements(vectors)[:1]]
    return body


def decode(body: Json) -> Reply:
    """The reply of a whole answer; it has no choices."""
    counts = mapping(body).get("usage")
    usage = usage_in(body)
    if usage.input_tokens is None:  # Voyage says only the total
        usage = type(usage)(input_tokens=first_integer(counts, (("total_tokens",),)))
    dimensions = _dimensions(next(iter(sequence(mapping(body).get("data"))), None))
    extended = {**mapping(body), "embedding_dimensions": dimensions}
    return reply_of(
        extended,
        (),
        {"embedding_dimensions": ("embedding_dimensions",)},
        usage=usage,
    )


def assemble(events: Iterable[Event]) -> Json:
    """Nothing is streamed here: the last event that came counts."""
    body: Json = None
    for event in events:
        body = event.data
    return body


def _dimensions(item: Json) -> int | None:
    vector = mapping(item).get("embedding")
    if isinstance(vector, list):
        return len(vector)
    if not isinstance(vector, str):
        return None
    try:
        return len(binascii.a2b_base64(vector)) // _FLOAT_BYTES
    except ValueError:
        return None


EMBEDDINGS: Final = Dialect(
    name="embeddings",
    operation="embeddings",
    list_key="input",
    accepts=accepts,
    split=Splitter("input"),
    params={
        "model": (("model",),),
        "dimensions": (("dimensions",), ("output_dimension",)),
        "encoding_formats": (("encoding_format",),),
    },
    decode=decode,
    assemble=assemble,
    message=prompt,
    parse=parse,
)
