"""How short the ids of calls may be shown."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from spanscript.transcript.reader import Call

_SHORTEST: Final = 8
_FEW: Final = 10_000
LONG_ID: Final = 18
"""Characters of an id with the time in it, and 12 bits that are random."""


def id_length(calls: Sequence[Call]) -> int:
    """The length, 8 at least, at which the beginnings of all ids differ; of very many, at which most do."""
    if len(calls) > _FEW:
        return LONG_ID
    ordered = sorted(call.call_id for call in calls)
    shared = (_shared(*pair) for pair in pairwise(ordered))
    return max(_SHORTEST, max(shared, default=0) + 1)


def _shared(a: str, b: str) -> int:
    """Length of the common beginning of two names."""
    return next((at for at, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
