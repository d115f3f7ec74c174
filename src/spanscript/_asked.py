"""What a request asks, read from the bytes that are sent, never from the caller's objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from spanscript._dialects import Match, read_params
from spanscript._exchange import Dialect, Json, Split
from spanscript._json import elements
from spanscript._requests import BodyReader, characters


class Asked(Struct, frozen=True):
    """What can be said of a body of a known dialect; see `Request` for the fields."""

    dialect: Dialect
    split: Split | None = None
    params: Mapping[str, Json] = {}
    model: str | None = None
    stream: bool = False
    tool_count: int | None = None
    prompt_chars: int | None = None


def tool_count(dialect: Dialect, split: Split) -> int | None:
    """Number of native tools offered; `None` if there is no array of them."""
    if not split.tools:
        return None
    offered = elements(split.tools)
    return sum(map(dialect.tools_in, offered)) if dialect.tools_in else len(offered)


_STREAMED: Final = frozenset({"true", "sse"})
"""Words that ask for a stream, in forms and where a body names the format of the answer."""


def _is_true(value: Json) -> bool:
    return value in _STREAMED if isinstance(value, str) else bool(value)


class AskedReader:
    """Reads bodies, fast where a history is sent again with a little more."""

    def __init__(self) -> None:
        self._bodies = BodyReader()

    def read(self, match: Match, content: bytes) -> Asked | None:
        """
        Read a body.

        Returns:
            `None` if it is no JSON object, or of none of the dialects that its path speaks of.
        """
        for dialect in match.dialects:
            asked = self._read(dialect, match, content)
            if asked is not None:
                return asked
        return None

    def _read(self, dialect: Dialect, match: Match, content: bytes) -> Asked | None:
        try:
            members, items = self._bodies.read(content, dialect.list_key)
        except (ValueError, RecursionError):
            return None
        if not dialect.accepts(members):
            return None
        split = dialect.split(members, items)
        params = read_params(dialect, members)
        model = params.get("model", match.model)
        return Asked(
            dialect=dialect,
            split=split,
            params=params,
            model=model if isinstance(model, str) else None,
            stream=_is_true(params.get("stream", match.stream)),
            tool_count=tool_count(dialect, split),
            prompt_chars=characters(split),
        )
