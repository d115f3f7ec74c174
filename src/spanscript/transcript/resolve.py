"""
From a body with references back to the body that was sent. Pure: raw JSON text in, raw JSON text out.

What was sent is spliced together from the texts in the transcript, never parsed and encoded again,
so escapes, the spelling of numbers and the order of keys stay as they were. Only the spaces between the
parts that were taken out are unknown; `STYLES` are the ways in which encoders put them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

from spanscript import _json
from spanscript.transcript.entries import ENVELOPE
from spanscript.transcript.lines import TranscriptError

REFERENCE: Final = "$transcript"
_MARK: Final = b'"$transcript"'
_DEPTH: Final = 100
"""Levels of a body in which references are looked for; they stand near its top."""


class Style(NamedTuple):
    """How an encoder separates, and whether it escapes the keys' non-ASCII characters."""

    comma: bytes
    colon: bytes
    ascii_keys: bool


COMPACT: Final = Style(b",", b":", ascii_keys=False)
STYLES: Final = (
    COMPACT,
    Style(b", ", b": ", ascii_keys=True),
    Style(b",", b":", ascii_keys=True),
    Style(b", ", b": ", ascii_keys=False),
)
"""First the SDKs' encoders, then `json.dumps` as it is by default, then the mixtures."""

_LAYOUTS: Final = ((None, (",", ":")), (None, (", ", ": ")), (2, (",", ": ")), (4, (",", ": ")))
"""Arguments of `json.dumps` for a body that was sent in another layout than it is kept in."""

_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_ODD_SPACE: Final = re.compile(rb"[ \t\r\n]{2}|[^,:][ \t\r\n]|[\t\r\n]")

Lookup: TypeAlias = Callable[[str, Style], bytes]
"""Name of a reference → the raw JSON that stands for it."""


def message_text(raw: Mapping[str, bytes], style: Style = COMPACT) -> bytes:
    """The message of a `message` entry: what `message` holds, else all keys outside the envelope."""
    if "message" in raw:
        return raw["message"]
    return object_text({key: value for key, value in raw.items() if key not in ENVELOPE}, style)


def object_text(members: Mapping[str, bytes], style: Style) -> bytes:
    """A JSON object from raw values."""
    pairs = (_key(key, style) + style.colon + value for key, value in members.items())
    return b"{" + style.comma.join(pairs) + b"}"


def list_text(items: Sequence[bytes], style: Style) -> bytes:
    """A JSON array from raw values."""
    return b"[" + style.comma.join(items) + b"]"


def resolve(body: bytes, lookup: Lookup, style: Style = COMPACT) -> bytes:
    """
    Put in the place of every reference what it stands for.

    Raises:
        TranscriptError: What *lookup* raises, or references too deep to be ours.
        ValueError: *body* is no JSON.
    """
    if body.startswith(b"{"):
        return _resolve_object(body, lookup, style, 0)
    return _resolve(body, lookup, style, 0)


def variants(content: bytes) -> Iterator[bytes]:
    """The same JSON value encoded anew: compactly, with spaces, indented; escaped and not."""
    value = _json.loads(content)
    for indent, separators in _LAYOUTS:
        for ascii_only in (False, True):
            text = json.dumps(value, indent=indent, separators=separators, ensure_ascii=ascii_only)
            yield text.encode("utf-8", "surrogatepass")


def has_own_layout(content: bytes) -> bool:
    """Whether spaces stand between its tokens otherwise than after commas and colons."""
    return _ODD_SPACE.search(_STRING.sub(b'""', content)) is not None


def _resolve(raw: bytes, lookup: Lookup, style: Style, depth: int) -> bytes:
    if _MARK not in raw:
        return raw
    if depth > _DEPTH:
        raise TranscriptError("references nested too deeply in `body`")
    if raw.startswith(b"["):
        return _resolve_list(raw, lookup, style, depth)
    return _resolve_object(raw, lookup, style, depth) if raw.startswith(b"{") else raw


def _resolve_object(raw: bytes, lookup: Lookup, style: Style, depth: int) -> bytes:
    name = _reference(raw)
    if name is not None:
        return lookup(name, style)
    members = _json.members(raw)
    return object_text({k: _resolve(v, lookup, style, depth + 1) for k, v in members.items()}, style)


def _resolve_list(raw: bytes, lookup: Lookup, style: Style, depth: int) -> bytes:
    items: list[bytes] = []
    for element in _json.elements(raw):
        resolved = _resolve(element, lookup, style, depth + 1)
        if _reference(element) is not None and resolved.startswith(b"["):
            resolved = resolved[1:-1].strip()  # its elements, to be spliced in; perhaps none
        if resolved:
            items.append(resolved)
    return list_text(items, style)


def _reference(raw: bytes) -> str | None:
    """The name in `{"$transcript": name}`; `None` if *raw* is anything else."""
    if not raw.startswith(b"{") or _MARK not in raw:
        return None
    members = _json.members(raw)
    if members.keys() != {REFERENCE}:
        return None
    name = _json.loads(members[REFERENCE])
    return name if isinstance(name, str) else None


def _key(key: str, style: Style) -> bytes:
    return json.dumps(key).encode() if style.ascii_keys else _json.dumps(key)
