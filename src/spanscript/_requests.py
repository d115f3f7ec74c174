"""
Request bodies taken apart into raw JSON text, fast where a history is sent again with a little more.

An agent sends its whole history with every call. A reader remembers the last bodies, and of a body
that begins like one of them it parses the rest only. What is shared comes back as the identical objects,
whose hashes are known already. Whatever does not look exactly as expected is parsed from the start.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from spanscript._exchange import Split
from spanscript._json import dumps, elements, members

_REMEMBERED_BODIES: Final = 8
_WORTH_BYTES: Final = 4096
_SMALL_ITEM_BYTES: Final = 32
_LINE_ENDS: Final = bytes.maketrans(b"\r\n", b"  ")
_STEP_BYTES: Final = 64 * 1024
"""Compared at once. Slices of more are new memory each time, which costs ten times as much."""
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_elements = msgspec.json.Decoder(list[msgspec.Raw])
_SPACE: Final = re.compile(rb"[ \t\r\n]*")


class BodyReader:
    """
    Takes request bodies apart, and remembers the last ones.

    May be used by several threads at once: what is remembered is replaced as a whole, so that of two
    bodies read at the same moment one may be forgotten.

    Args:
        limit: Bytes that may be kept.
        worth: Shorter bodies are not remembered: parsing them costs less than comparing.
    """

    def __init__(self, limit: int = 16 * 1024 * 1024, worth: int = _WORTH_BYTES) -> None:
        self._limit = limit
        self._worth = worth
        self._known: tuple[_Body, ...] = ()

    def read(self, content: bytes, list_key: str) -> tuple[dict[str, bytes], list[bytes]]:
        """
        Take a body apart.

        Args:
            content: The body as sent.
            list_key: The key of the array whose elements are wanted.

        Returns:
            The body's keys with their raw values, and the raw elements of the array: none if the key is
            not there or holds something else. Among the values, that array is cut to its first element:
            copying a long history once more would cost more than all the rest.

        Raises:
            ValueError: It is no JSON object, or not UTF-8.
            RecursionError: It is nested too deeply.
        """
        if len(content) < self._worth:
            return _parsed(content, list_key)
        known, shared = self._longest_shared(content, list_key)
        found = _resumed(content, known, shared) if known and shared else None
        if found is None:
            fields, items = _parsed(content, list_key)
            body = _located(content, list_key, fields, items)
        else:
            fields, body = found
            items = list(body.items)
        if body is not None:
            self._remember(body, known if known and shared == len(known.items) else None)
        return fields, items

    def _longest_shared(self, content: bytes, list_key: str) -> tuple[_Body | None, int]:
        longest: tuple[_Body | None, int] = None, 0
        longest_bytes = 0
        for body in self._known:
            if body.list_key == list_key:
                shared = _shared_items(content, body)
                if shared and body.ends[shared - 1] > longest_bytes:
                    longest = body, shared
                    longest_bytes = body.ends[shared - 1]
        return longest

    def _remember(self, body: _Body, superseded: _Body | None) -> None:
        kept = []
        room = self._limit
        for known in (body, *(k for k in self._known if k is not superseded))[:_REMEMBERED_BODIES]:
            room -= known.size
            if room < 0:
                break
            kept.append(known)
        self._known = tuple(kept)


def one_line(raw: bytes) -> bytes:
    """
    Put raw JSON text on one line.

    In JSON a line end is white space between tokens and nothing else, so a space says the same.
    """
    return raw.translate(_LINE_ENDS) if b"\n" in raw or b"\r" in raw else raw


def characters(split: Split) -> int:
    """Characters of system prompt, tools and messages as they stand in the body."""
    texts = (split.system or b"", split.tools or b"", *split.items)
    return sum(len(text) if text.isascii() else len(text.decode()) for text in texts)


class _Body(NamedTuple):
    """
    A body that was read.

    Attributes:
        list_key: The key of its array.
        content: Its bytes.
        before: The keys and raw values that stand before the array.
        items: The raw elements.
        ends: Where each of them ends in `content`.
    """

    list_key: str
    content: bytes
    before: dict[str, bytes]
    items: tuple[bytes, ...]
    ends: tuple[int, ...]

    @property
    def size(self) -> int:
        """Bytes that it keeps: everything twice, as a whole and in pieces."""
        return 2 * len(self.content)


def _parsed(content: bytes, list_key: str) -> tuple[dict[str, bytes], list[bytes]]:
    _require_utf8(content)
    try:
        raws = _fields.decode(content)
        value = memoryview(raws.get(list_key, b""))
        items = [bytes(raw) for raw in _elements.decode(value)] if bytes(value[:1]) == b"[" else []
    except msgspec.DecodeError:  # what msgspec refuses although servers take it
        fields = members(content)
        whole = fields.get(list_key, b"")
        items = elements(whole) if whole.startswith(b"[") else []
        return {**fields, list_key: _cut(items)} if items else fields, items
    cut = {list_key: _cut(items)} if items else {}
    return {key: cut.get(key) or bytes(raw) for key, raw in raws.items()}, items


def _cut(items: Sequence[bytes]) -> bytes:
    return b"[" + items[0] + b"]"


def _require_utf8(content: bytes) -> None:
    if not content.isascii():
        content.decode()


def _shared_items(content: bytes, body: _Body) -> int:
    """How many of the body's elements the content begins with, everything before them included."""
    known, ends = body.content, body.ends
    at, stop = 0, min(_STEP_BYTES, ends[-1])
    while content[at:stop] == known[at:stop]:
        if stop == ends[-1]:
            return len(ends)
        at, stop = stop, min(stop + _STEP_BYTES, ends[-1])
    shared, different = bisect_right(ends, at), bisect_left(ends, stop) + 1
    while different - shared > 1:
        middle = (shared + different) // 2
        end = ends[middle - 1]
        if content[at:end] == known[at:end]:
            shared, at = middle, end
        else:
            different = middle
    return shared


def _resumed(content: bytes, known: _Body, shared: int) -> tuple[dict[str, bytes], _Body] | None:
    """
    Parse what follows the shared elements; `None` in any doubt.

    An empty string stands for the shared elements, so that what follows parses on its own exactly if it
    goes on with a comma or the end of the array: the `2` after a shared `1` does not.
    """
    at = known.ends[shared - 1]
    rest = content[at:]
    try:
        _require_utf8(rest)
        fields = members(b"{" + dumps(known.list_key) + b':[""' + rest)
        items = elements(fields.pop(known.list_key))[1:]
    except ValueError:
        return None
    ends = _item_ends(content, at, b",", items)
    end = _after(content, ends[-1] if ends else at, b"]")
    if not fields.keys().isdisjoint(known.before) or not _is_tail(content, end, fields):
        return None
    ends = (*known.ends[:shared], *ends)
    body = known._replace(content=content, items=(*known.items[:shared], *items), ends=ends)
    return {**known.before, known.list_key: _cut(body.items), **fields}, body


def _located(
    content: bytes, list_key: str, fields: Mapping[str, bytes], items: Sequence[bytes]
) -> _Body | None:
    """The body with the places of its elements; `None` if it is not worth it, or in any doubt."""
    if not items or len(items) * _SMALL_ITEM_BYTES > len(content):
        return None
    keys = list(fields)
    place = keys.index(list_key)
    at = _after(content, 0, b"{")
    for key in keys[:place]:
        at = _after(content, _member_end(content, at, key, fields[key]), b",")
    at = _after(content, _after(content, at, dumps(list_key)), b":")
    ends = _item_ends(content, at, b"[", items)
    end = _after(content, ends[-1], b"]")
    if not _is_tail(content, end, {key: fields[key] for key in keys[place + 1 :]}):
        return None
    before = {key: fields[key] for key in keys[:place]}
    return _Body(list_key, content, before, tuple(items), ends)


def _item_ends(content: bytes, at: int, opening: bytes, items: Sequence[bytes]) -> tuple[int, ...]:
    """Where each element ends, the first after `opening`; negative from the first that is not there."""
    ends = []
    before = opening
    for item in items:
        at = _after(content, _after(content, at, before), item)
        ends.append(at)
        before = b","
    return tuple(ends)


def _is_tail(content: bytes, at: int, fields: Mapping[str, bytes]) -> bool:
    """Whether exactly these members, and nothing more, follow."""
    for key, value in fields.items():
        at = _member_end(content, _after(content, at, b","), key, value)
    at = _after(content, at, b"}")
    return at >= 0 and not content[at:].strip(b" \t\r\n")


def _member_end(content: bytes, at: int, key: str, value: bytes) -> int:
    return _after(content, _after(content, _after(content, at, dumps(key)), b":"), value)


def _after(content: bytes, at: int, token: bytes) -> int:
    """The place after a token and the white space before it; negative if something else stands there."""
    if at < 0:
        return at
    if not content.startswith(token, at):
        space = _SPACE.match(content, at)
        at = space.end() if space else at
        if not content.startswith(token, at):
            return -1
    return at + len(token)
