"""Embeddings of Amazon's own models on Bedrock: `POST …/model/ID/invoke` with Titan's body, or Nova's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from spanscript._dialects._bodies import reply_of
from spanscript._dialects._parts import prompt
from spanscript._dialects._splitting import FirstOf
from spanscript._dialects._usage import first_integer
from spanscript._dialects._vectors import DIMENSIONS
from spanscript._dialects.converse import message as converse_message
from spanscript._dialects.embeddings import assemble
from spanscript._exchange import Dialect, Json, Message, Reply, Text, Usage
from spanscript._json import elements, loads, members
from spanscript._shapes import dig, mapping

_ONE: Final = "singleEmbeddingParams"
_INPUTS: Final = ("inputText", _ONE, "segmentedEmbeddingParams", "inputImage")
_VECTORS: Final = ("embedding", "embeddings", "embeddingsByType")


def accepts(body: Mapping[str, bytes]) -> bool:
    """Whether there is something to embed, and it is not asked to go on with it."""
    return any(key in body for key in _INPUTS) and "textGenerationConfig" not in body


def message(value: Json) -> Message:
    """A text, or what Nova is given: a text, an image, a clip or a document in an object of its own."""
    text = dig(value, ("text", "value"))
    if isinstance(text, str):
        return Message("user", (Text(text),))
    if not isinstance(value, dict):
        return prompt(value)
    given = {key: value[key] for key in ("image", "video", "audio", "document") if key in value}
    return converse_message({"content": [given or value]})


def parse(data: bytes) -> Json:
    """The answer without its vectors, but with the length of the first."""
    if not data.lstrip().startswith(b"{"):
        return loads(data)
    fields = members(data)
    body: dict[str, Any] = {key: loads(raw) for key, raw in fields.items() if key not in _VECTORS}
    lengths = [length for key in _VECTORS if key in fields and (length := _length(fields[key]))]
    return body | ({"embedding_dimensions": lengths[0]} if lengths else {})


def _length(raw: bytes) -> int | None:
    """Of a vector, or of the first in an array or an object of them."""
    if raw.startswith(b"["):
        found = elements(raw)
        inner = found[0] if found else b""
        return _length(inner) if inner.startswith((b"[", b"{")) else len(found)
    if raw.startswith(b"{"):
        return next((length for inner in members(raw).values() if (length := _length(inner))), None)
    return None


def decode(body: Json) -> Reply:
    """The reply of a whole answer; it has no choices."""
    usage = Usage(input_tokens=first_integer(mapping(body), (("inputTextTokenCount",),)))
    return reply_of(body, (), DIMENSIONS, usage=usage)


INVOKE_EMBED: Final = Dialect(
    name="invoke_embed",
    operation="embeddings",
    list_key="inputText",
    accepts=accepts,
    split=FirstOf(*_INPUTS),
    params={
        "dimensions": (
            ("dimensions",),
            ("embeddingConfig", "outputEmbeddingLength"),
            (_ONE, "embeddingDimension"),
        ),
        "encoding_formats": (("embeddingTypes",),),
    },
    decode=decode,
    assemble=assemble,
    message=message,
    parse=parse,
    provider="aws.bedrock",
)
