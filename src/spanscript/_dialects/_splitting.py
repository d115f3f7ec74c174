"""
Taking request bodies apart, as raw JSON text.

What the transcript keeps elsewhere is replaced by a reference in its place; every other byte stays.
Values that are null or empty stay too: a reference to nothing would say less than they do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from spanscript._exchange import Split
from spanscript._json import dumps, elements, loads, members

_SYSTEM_PROMPT: Final = b'{"$transcript":"system_prompt"}'
_TOOL_SCHEMAS: Final = b'{"$transcript":"tool_schemas"}'
_CONTEXT: Final = b'{"$transcript":"context"}'
_MESSAGE: Final = b'{"$transcript":"message"}'

_EMPTY: Final = re.compile(rb'null|""|\[[ \t\r\n]*\]|\{[ \t\r\n]*\}')
_SPEAKS: Final = frozenset(b'{"')
"""What a message begins with: an object's, or a string's, first byte."""
_SYSTEM_ROLES: Final = ("system", "developer")


class Splitter:
    """
    The `split` of a dialect.

    Args:
        list_key: The body's key that holds the messages.
        system_key: The key that holds the system prompt, if the wire API has one.
        leading: Whether the first message, if its role is system or developer, is the system prompt
            (unless `system_key` has one).
        tools_path: Where the array of tools stands: a key of the body, or one of the object at a key.
    """

    def __init__(
        self,
        list_key: str,
        *,
        system_key: str | None = None,
        leading: bool = False,
        tools_path: tuple[str, ...] = ("tools",),
    ) -> None:
        self._list_key = list_key
        self._system_key = system_key
        self._leading = leading
        self._tools_path = tools_path

    def __call__(self, body: Mapping[str, bytes], items: Sequence[bytes]) -> Split:
        """
        Take a body apart; see `Dialect.split`.

        Of the list's own value only the kind counts: what is in it is read from `items`.
        """
        replaced: dict[str, bytes] = {}
        tools = _put_at(body, self._tools_path, _TOOL_SCHEMAS, replaced)
        system = body.get(self._system_key) if self._system_key else None
        head: list[bytes] = []
        if system is not None and self._system_key and _filled(system):
            replaced[self._system_key] = _SYSTEM_PROMPT
        else:
            system = None
            if self._leading and items:
                system, head = _system_message(items[0])
        context = items[len(head) :] if head else items
        reference, kept = _context(body.get(self._list_key), head, context)
        if reference is not None:
            replaced[self._list_key] = reference
        return Split(skeleton=_object(body, replaced), items=kept, system=system, tools=tools)


class FirstOf:
    """
    The `split` of a dialect whose messages stand under one of several keys.

    Args:
        keys: The first that has something counts; the first of all is the dialect's `list_key`.
        system_key: See `Splitter`.
    """

    def __init__(self, *keys: str, system_key: str | None = None) -> None:
        self._splitters = {key: Splitter(key, system_key=system_key) for key in keys}

    def __call__(self, body: Mapping[str, bytes], items: Sequence[bytes]) -> Split:
        """Take a body apart; see `Dialect.split`."""
        keys = list(self._splitters)
        key = next((key for key in keys if _filled(body.get(key, b"null"))), keys[0])
        value = body.get(key, b"")
        if key != keys[0]:
            items = elements(value) if value.startswith(b"[") else ()
        return self._splitters[key](body, items)


def _put_at(
    fields: Mapping[str, bytes], path: tuple[str, ...], reference: bytes, replaced: dict[str, bytes]
) -> bytes | None:
    """Put a reference in the place of the array at *path*, if it has something; give the array."""
    key, *rest = path
    value = fields.get(key, b"null")
    if rest:
        if not value.startswith(b"{"):
            return None
        inner, changed = members(value), dict[str, bytes]()
        found = _put_at(inner, tuple(rest), reference, changed)
        if changed:
            replaced[key] = _object(inner, changed)
        return found
    if not value.startswith(b"[") or not _filled(value):
        return None
    replaced[key] = reference
    return value


def _context(
    value: bytes | None, head: list[bytes], items: Sequence[bytes]
) -> tuple[bytes | None, Sequence[bytes]]:
    """What to put in the place of the list, and the messages that it then refers to."""
    if value is None or not _filled(value):
        return None, ()
    if not value.startswith(b"["):
        return _MESSAGE, (value,)
    # Numbers, and arrays of them, are tokens: all of them are one message.
    if not {item[0] for item in items} <= _SPEAKS:
        return (None, ()) if head else (_MESSAGE, (b"[" + b",".join(items) + b"]",))
    elements = [*head, _CONTEXT] if items else head
    return b"[" + b",".join(elements) + b"]", items


def _system_message(item: bytes) -> tuple[bytes | None, list[bytes]]:
    """The content of a leading system message, and the message as it stays in the skeleton."""
    if not item.startswith(b"{") or not (b"system" in item or b"developer" in item):
        return None, []
    fields = members(item)
    if "role" not in fields or loads(fields["role"]) not in _SYSTEM_ROLES:
        return None, []
    content = fields.get("content")
    if content is None or not _filled(content):
        return None, [item]
    return content, [_object(fields, {"content": _SYSTEM_PROMPT})]


def _filled(value: bytes) -> bool:
    return _EMPTY.fullmatch(value) is None


def _object(fields: Mapping[str, bytes], replaced: Mapping[str, bytes]) -> bytes:
    pairs = [dumps(key) + b":" + replaced.get(key, raw) for key, raw in fields.items()]
    return b"{" + b",".join(pairs) + b"}"
