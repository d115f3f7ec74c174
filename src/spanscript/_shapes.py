"""JSON of unknown shape, read without raising: a value of another kind is as good as absent."""

from __future__ import annotations

from typing import Any

from spanscript._exchange import Json


def mapping(value: Json) -> dict[str, Any]:
    """The object itself, or an empty one."""
    return value if isinstance(value, dict) else {}


def sequence(value: Json) -> list[Any]:
    """The array itself, or an empty one."""
    return value if isinstance(value, list) else []


def string(value: Json) -> str | None:
    """The string itself; `None` for any other value and for the empty string."""
    return value if isinstance(value, str) and value else None


def integer(value: Json) -> int | None:
    """The whole number itself; `None` for any other value."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def dig(value: Json, path: tuple[str, ...]) -> Json:
    """What stands at a path of keys, or `None`."""
    for key in path:
        value = mapping(value).get(key)
    return value
