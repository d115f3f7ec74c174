"""
What an index must know of a line, read several times as fast as the whole line.

A line that is exactly as the format says is decoded into a struct of the fields that have a meaning; the
rest of it is only validated. Any other line is read as `lines` reads it, with the same problems.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from operator import attrgetter
from typing import Any, Final, NamedTuple

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


def head_of(entry: Entry) -> Head:
    """The head of an entry that was read as a whole."""
    return Head(entry.type, *map(entry.get, Head.__struct_fields__[1:]))


def read_head(place: Place, line: bytes | Problem) -> Iterator[Head | Problem]:
    """The head of any line, and every problem that `judged` tells of it."""
    for item in judged(place, line):
        yield head_of(item) if isinstance(item, Entry) else item


def fast_head(line: bytes) -> Head | None:
    """The head of a line in which nothing is wrong; `None` if it has to be looked at closely."""
    if not line.startswith(_START):
        return None
    form = _FORMS.get(line[len(_START) : line.find(b'"', len(_START))])
    if form is None:
        return None
    try:
        if not line.isascii():
            line.decode()  # msgspec leaves text that it skips unchecked
        found = form.decoder.decode(line)
    except (ValueError, RecursionError):
        return None
    if found.type != form.type or any(value in _NOTHING for value in form.needed(found)):
        return None
    return Head(*_HEAD(found))


_START: Final = b'{"type":"'
_NOTHING: Final = (None, Raw(b"null"))
_HEAD: Final = attrgetter(*Head.__struct_fields__)
_WITH_NOTES: Final = frozenset({"transcript_open"})
"""Types of whose values more is to be said than that they fit."""


class _Form(NamedTuple):
    """How lines of a type are decoded, and what of them must be there."""

    type: str
    decoder: msgspec.json.Decoder[Any]
    needed: Callable[[Any], tuple[Any, ...]]


def _form(kind: str) -> _Form:
    typed = {
        key: kinds[0] | None if len(kinds) == 1 else float | None
        for key, (_, kinds) in FIELDS.items()
        if kind != "message" or key in ENVELOPE
    }
    raw = {key: Raw for key in NEEDED[kind] if key not in typed}
    absent = {key: None for key in Head.__struct_fields__ if key not in {*typed, "type"}}
    members: list[Any] = [("type", str), *((key, value, None) for key, value in {**typed, **raw}.items())]
    struct = msgspec.defstruct(f"{kind}_head", members, namespace=absent)
    needed = attrgetter("type", *NEEDED[kind])  # with one that is always there, it gives a tuple
    return _Form(kind, msgspec.json.Decoder(struct), needed)


_FORMS: Final[Mapping[bytes, _Form]] = {
    kind.encode(): _form(kind) for kind in NEEDED if kind not in _WITH_NOTES
}
