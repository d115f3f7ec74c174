"""Tools: how many one element of a request offers, and which call a piece in a stream goes on with."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import Final

from spanscript._exchange import ArgumentPiece
from spanscript._json import elements, members

Count = Callable[[bytes], int]
"""The raw text of an element → how many tools it offers."""

_NONE: Final[frozenset[str]] = frozenset()


def each_key(*, groups: Container[str] = _NONE, no_tools: Container[str] = _NONE) -> Count:
    """
    Count an object of which every key is a tool.

    Args:
        groups: Keys whose value is an array of tools.
        no_tools: Keys that say something else.
    """

    def count(element: bytes) -> int:
        if not element.startswith(b"{"):
            return 1
        said = {key: raw for key, raw in members(element).items() if raw != b"null" and key not in no_tools}
        return sum(_size(raw) if key in groups else 1 for key, raw in said.items())

    return count


def grouped_at(key: str) -> Count:
    """Count an object that is one tool, or has an array of tools at *key*."""

    def count(element: bytes) -> int:
        return _size(members(element).get(key, b"")) if element.startswith(b"{") else 1

    return count


def _size(raw: bytes) -> int:
    return len(elements(raw)) if raw.startswith(b"[") else 1


def begun_before(calls: Sequence[ArgumentPiece], piece: ArgumentPiece) -> int | None:
    """
    The position of the call that a piece goes on with; `None` if it begins another.

    By index, where it has one; but some give index 0 to each of several whole calls, so a name with a
    new id begins another. Where there is no index, the id tells; where neither, a name begins another.

    Args:
        calls: The first piece of each.
        piece: The next one.
    """
    for at in reversed(range(len(calls))):
        call = calls[at]
        same_id = piece.id is None or call.id in (None, piece.id)
        if piece.index is not None and call.index == piece.index:
            return at if same_id or piece.name is None else None
        if piece.index is None and (same_id if piece.id else piece.name is None):
            return at
    return None
