"""How many tools one element of a request's array of tools offers, where that is not always one."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Final

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
