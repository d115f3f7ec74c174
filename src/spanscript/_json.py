"""
JSON, fast where it is plain and tolerant where it is not.

msgspec reads most of what is sent. What it refuses although servers take it (an escaped lone surrogate,
`NaN`) is read by the standard library, so that nothing that was sent is lost.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from json.decoder import JSONDecoder, scanstring  # type: ignore[attr-defined]

import msgspec

from spanscript._exchange import Json


def _refuse(number: str) -> Json:
    raise ValueError(number)


_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_elements = msgspec.json.Decoder(list[msgspec.Raw])
_value = msgspec.json.Decoder()
_floatless = msgspec.json.Decoder(float_hook=_refuse)
_scan = JSONDecoder().raw_decode
_SPACE = " \t\n\r"


def loads(data: bytes) -> Json:
    """
    Parse a JSON text.

    Raises:
        ValueError: It is no JSON, not even by the standard library's generous reading.
        RecursionError: It is nested too deeply.
    """
    try:
        return _value.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return json.loads(data)


def dumps(value: Json) -> bytes:
    """Encode compactly as UTF-8; non-ASCII characters stand as themselves."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


def canonical(value: Json) -> bytes:
    """
    Encode for hashing: keys sorted by code point, no spaces, UTF-8 unescaped, shortest numbers.

    `1`, `1.0` and `true` stay three values. A lone surrogate is encoded as if it were a character.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass")


def maybe_canonical(data: bytes) -> bytes | None:
    """
    `canonical(loads(data))`, ten times as fast.

    Returns:
        `None` for what has floats, which msgspec writes in its own way, and for what msgspec refuses.
    """
    try:
        return msgspec.json.encode(_floatless.decode(data), order="sorted")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def members(data: bytes) -> dict[str, bytes]:
    """
    The keys of a JSON object with the raw text of their values, in order.

    Raises:
        ValueError: It is no JSON object.
    """
    try:
        return {key: bytes(raw) for key, raw in _members.decode(data).items()}
    except (msgspec.DecodeError, UnicodeDecodeError):
        return dict(_scan_members(_valid(data)))


def elements(data: bytes) -> list[bytes]:
    """
    The raw text of each element of a JSON array.

    Raises:
        ValueError: It is no JSON array.
    """
    try:
        return [bytes(raw) for raw in _elements.decode(data)]
    except (msgspec.DecodeError, UnicodeDecodeError):
        return list(_scan_elements(_valid(data)))


def _valid(data: bytes) -> str:
    """Text that is JSON as the standard library reads it: the scans below trust their input."""
    text = data.decode()
    json.loads(text)
    return text


def _skip(text: str, at: int) -> int:
    while text[at : at + 1] in _SPACE and at < len(text):
        at += 1
    return at


def _scan_elements(text: str) -> Iterator[bytes]:
    at = _skip(text, 0)
    if text[at : at + 1] != "[":
        raise ValueError("not a JSON array")
    at = _skip(text, at + 1)
    while text[at : at + 1] != "]":
        _, end = _scan(text, at)
        yield text[at:end].encode()
        at = _next(text, end, "]")


def _scan_members(text: str) -> Iterator[tuple[str, bytes]]:
    at = _skip(text, 0)
    if text[at : at + 1] != "{":
        raise ValueError("not a JSON object")
    at = _skip(text, at + 1)
    while text[at : at + 1] != "}":
        key, at = scanstring(text, at + 1)
        at = _skip(text, at)
        if text[at : at + 1] != ":":
            raise ValueError(f"':' expected at character {at}")
        at = _skip(text, at + 1)
        _, end = _scan(text, at)
        yield key, text[at:end].encode()
        at = _next(text, end, "}")


def _next(text: str, at: int, closing: str) -> int:
    at = _skip(text, at)
    if text[at : at + 1] == ",":
        return _skip(text, at + 1)
    if text[at : at + 1] != closing:
        raise ValueError(f"',' or {closing!r} expected at character {at}")
    return at
