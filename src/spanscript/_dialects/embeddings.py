"""The embeddings API: `POST …/embeddings`, texts in, vectors out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from spanscript._dialects._bodies import reply_of
from spanscript._dialects._parts import prompt
from spanscript._dialects._splitting import Splitter
from spanscript._dialects._usage import first_integer, usage_in
from spanscript._dialects._vectors import DIMENSIONS, length_of, parse_first_of
from spanscript._exchange import Dialect, Event, Json, Reply
from spanscript._shapes import mapping, sequence


def accepts(body: Mapping[str, bytes]) -> bool:
    """Whether the body has an input: text, tokens, or several of them."""
    return body.get("input", b"").startswith((b'"', b"["))


def decode(body: Json) -> Reply:
    """The reply of a whole answer; it has no choices."""
    counts = mapping(body).get("usage")
    usage = usage_in(body)
    if usage.input_tokens is None:  # Voyage says only the total
        usage = type(usage)(input_tokens=first_integer(counts, (("total_tokens",),)))
    first = mapping(next(iter(sequence(mapping(body).get("data"))), None))
    extended = {**mapping(body), "embedding_dimensions": length_of(first.get("embedding"))}
    return reply_of(extended, (), DIMENSIONS, usage=usage)


def assemble(events: Iterable[Event]) -> Json:
    """Nothing is streamed here: the last event that came counts."""
    body: Json = None
    for event in events:
        body = event.data
    return body


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
    parse=parse_first_of("data"),
)
