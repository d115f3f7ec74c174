"""
Request bodies taken apart into raw JSON text, fast where a history is sent again with a little more.

An agent sends its whole history with every call. A reader remembers the last bodies, and of a body that
begins like one of them it parses the rest only. What is shared comes back as the identical objects, whose
hashes are known already. Whatever does not look exactly as expected is parsed from the start.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from spanscript._exchange import Split
from spanscript._json import dumps, elements, members

_REMEMBERED_BODIES: Final = 8
_WORTH_BYTES: Final = 4096
_SMALL_ITEM_BYTES: Final = 32
_LINE_ENDS: Final = bytes.maketrans(b"\r\n", b"  ")
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
            not there or holds something else.

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
    A body that was read, up to the end of its last element.

    Attributes:
        list_key: The key of its array.
        head: Its bytes from the first to the end of the last element.
        before: The keys and raw values that stand before the array.
        start: Where the array begins in `head`.
        items: The raw elements.
        ends: Where each of them ends in `head`.
    """

    list_key: str
    head: bytes
    before: dict[str, bytes]
    start: int
    items: tuple[bytes, ...]
    ends: tuple[int, ...]

    @property
    def size(self) -> int:
        """Bytes that it keeps: everything twice, as a whole and in pieces."""
        return 2 * len(self.head)


def _parsed(content: bytes, list_key: str) -> tuple[dict[str, bytes], list[bytes]]:
    _require_utf8(content)
    fields = members(content)
    value = fields.get(list_key, b"")
    return fields, elements(value) if value.startswith(b"[") else []


def _require_utf8(content: bytes) -> None:
    if not content.isascii():
        content.decode()


def _shared_items(content: bytes, body: _Body) -> int:
    """How many of the body's elements the content begins with, everything before them included."""
    if content.startswith(body.head):
        return len(body.items)
    shared, different, at = 0, len(body.items), 0
    while different - shared > 1:
        middle = (shared + different) // 2
        end = body.ends[middle - 1]
        if content[at:end] == body.head[at:end]:
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
    body = known._replace(head=content[: ends[-1]], items=(*known.items[:shared], *items), ends=ends)
    return {**known.before, known.list_key: content[known.start : end], **fields}, body


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
    start = _after(content, _after(content, _after(content, at, dumps(list_key)), b":"), b"[") - 1
    ends = _item_ends(content, start, b"[", items)
    end = _after(content, ends[-1], b"]")
    if not _is_tail(content, end, {key: fields[key] for key in keys[place + 1 :]}):
        return None
    before = {key: fields[key] for key in keys[:place]}
    return _Body(list_key, content[: ends[-1]], before, start, tuple(items), ends)


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
