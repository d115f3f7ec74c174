"""
What an index must know of a line, read several times as fast as the whole line.

A line that is exactly as the format says is decoded into a struct of the fields that have a meaning; the
rest of it is only validated. Any other line is read as `lines` reads it, with the same problems.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from spanscript.transcript.entries import ENVELOPE
from spanscript.transcript.lines import FIELDS, NEEDED, Entry, Place, Problem, judged


class Head(Struct, frozen=True):
    """Of an entry: its type, and what it is found by. What it has not is `None`."""

    type: str
    timestamp: str | None = None
    writer: str | None = None
    hash: str | None = None
    call_id: str | None = None
    status: str | None = None


def head_of(entry: Entry) -> Head:
    """The head of an entry that was read as a whole."""
    return Head(entry.type, *(_text(entry, name) for name in Head.__struct_fields__[1:]))


def read_head(place: Place, line: bytes | Problem) -> Iterator[Head | Problem]:
    """The head of any line, and every problem that `judged` tells of it."""
    for item in judged(place, line):
        yield head_of(item) if isinstance(item, Entry) else item


def _text(entry: Entry, name: str) -> str | None:
    value = entry.get(name)
    return value if isinstance(value, str) else None  # of a message, `status` may be its own


def fast_head(line: bytes) -> Head | None:
    """The head of a line in which nothing is wrong; `None` if it has to be looked at closely."""
    if not line.startswith(_START):
        return None
    kind = line[len(_START) : line.find(b'"', len(_START))]
    decoder = _DECODERS.get(kind)
    if decoder is None:
        return None
    try:
        if not line.isascii():
            line.decode()  # msgspec leaves text that it skips unchecked
        found = decoder.decode(line)
    except (ValueError, RecursionError):
        return None
    if found.type.encode() != kind or any(getattr(found, key) in _NOTHING for key in NEEDED[found.type]):
        return None
    return Head(found.type, *(getattr(found, name, None) for name in Head.__struct_fields__[1:]))


_START: Final = b'{"type":"'
_NOTHING: Final = (None, Raw(b"null"))
_WITH_NOTES: Final = frozenset({"transcript_open"})
"""Types of whose values more is to be said than that they fit."""


def _decoder(kind: str) -> msgspec.json.Decoder[Any]:
    typed = {
        key: kinds[0] if len(kinds) == 1 else float
        for key, (_, kinds) in FIELDS.items()
        if kind != "message" or key in ENVELOPE
    }
    fields = {**typed, **{key: Raw for key in NEEDED[kind] if key not in typed}}
    members = [
        (key, value | None if isinstance(value, type) and value is not Raw else value, None)
        for key, value in fields.items()
    ]
    return msgspec.json.Decoder(msgspec.defstruct(f"{kind}_head", [("type", str), *members]))


_DECODERS: Final[Mapping[bytes, msgspec.json.Decoder[Any]]] = {
    kind.encode(): _decoder(kind) for kind in NEEDED if kind not in _WITH_NOTES
}
