"""What the dialects of embeddings share: of all vectors the first is looked at, and of it the length."""

from __future__ import annotations

import binascii
from collections.abc import Callable
from typing import Final

from spanscript._dialects._bodies import Extras
from spanscript._exchange import Json
from spanscript._json import elements, loads, members

DIMENSIONS: Final[Extras] = {"embedding_dimensions": ("embedding_dimensions",)}

_FLOAT_BYTES: Final = 4


def parse_first_of(*keys: str) -> Callable[[bytes], Json]:
    """
    Make a dialect's `parse`.

    Args:
        keys: Where the vectors stand, in an array, or in arrays by their type. Of each the first element
            is read, and nothing else.
    """

    def parse(data: bytes) -> Json:
        if not data.lstrip().startswith(b"{"):
            return loads(data)
        return {key: (_first if key in keys else loads)(raw) for key, raw in members(data).items()}

    return parse


def length_of(vector: Json) -> int | None:
    """The dimensions of a vector: numbers, or 32-bit floats in base64."""
    if isinstance(vector, list):
        return len(vector)
    if not isinstance(vector, str):
        return None
    try:
        return len(binascii.a2b_base64(vector)) // _FLOAT_BYTES
    except ValueError:
        return None


def _first(raw: bytes) -> Json:
    if raw.startswith(b"["):
        return [loads(first) for first in elements(raw)[:1]]
    if raw.startswith(b"{"):
        return {key: _first(value) for key, value in members(raw).items()}
    return loads(raw)
