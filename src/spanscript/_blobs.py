"""
Large base64 (images, audio, files) inside JSON text: found, cut out, and put back to the byte. Pure.

In its place stands a *mark*, `$blob{<SHA-256>:<bytes>}`, inside the same string: so a data URL keeps its
head, a string stays a string, and base64 deep in a string of escaped JSON is found too. Nothing is parsed.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Final, NamedTuple

FOLDER: Final = "blobs"
"""Directory, beside the transcript's files, that holds what was cut out, as files named by their SHA-256."""

MIN_TEXT: Final = 16 * 1024
"""Characters of base64 from which it is cut out. Readers need not know it."""

_OPEN: Final = b"$blob{"
_MARK: Final = re.compile(rb"\$blob\{([0-9a-f]{64}):(0|[1-9][0-9]{0,14})(?::(url|bare|url-bare))?\}")
_BASE64: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_"
_RUN: Final = re.compile(rb"[A-Za-z0-9+/_-]*={0,2}")
_NUMBER: Final = re.compile(rb"[0-9eE+-]*")
_TO_URL: Final = bytes.maketrans(b"+/", b"-_")
_FROM_URL: Final = bytes.maketrans(b"-_", b"+/")
_STEP: Final = MIN_TEXT // 2
_LOOK: Final = 64
"""Bytes looked at, at each step: a run of `MIN_TEXT` cannot lie between two looks."""
_UNICODE_ESCAPE: Final = 5


class Mark(NamedTuple):
    """
    What stands in the place of a piece of base64, and says which.

    Attributes:
        sha256: Of the decoded bytes, in lower-case hex.
        size: Number of decoded bytes.
        form: How they were encoded: empty for standard base64, `url` for the alphabet that is safe in URLs,
            `bare` for no padding, `url-bare` for both.
    """

    sha256: str
    size: int
    form: str = ""

    @property
    def text(self) -> bytes:
        """What stands in the place of the base64."""
        form = f":{self.form}" if self.form else ""
        return f"$blob{{{self.sha256}:{self.size}{form}}}".encode()


class Cut(NamedTuple):
    """A text with marks, and each piece of base64 (as it stood there) with its mark."""

    text: bytes
    pieces: list[tuple[Mark, bytes]]


def cut(text: bytes, name: Callable[[bytes], Mark | None]) -> Cut:
    """
    Put marks in the place of large base64.

    Args:
        text: JSON text. One that holds something like a mark itself is left as it is.
        name: Base64 → its mark, or `None` to leave it: `mark_of`, or one that remembers.
    """
    if len(text) < MIN_TEXT:
        return Cut(text, [])
    found: list[tuple[Mark, bytes]] = []
    parts: list[bytes] = []
    done = 0
    for start, end in _runs(text):
        piece = text[start:end]
        mark = name(piece)
        if mark is not None:
            found.append((mark, piece))
            parts += text[done:start], mark.text
            done = end
    if not found:
        return Cut(text, [])
    marked = b"".join((*parts, text[done:]))
    return Cut(text, []) if marked.count(_OPEN) != len(found) else Cut(marked, found)


def named(piece: bytes) -> tuple[Mark, bytes] | None:
    """Mark and decoded bytes of base64; `None` if it is none, or would not come back to the byte."""
    data, form = decoded(piece)
    if data is None or encoded(data, form) != piece:
        return None
    return Mark(sha256(data).hexdigest(), len(data), form), data


def mark_of(piece: bytes) -> Mark | None:
    """The mark alone."""
    found = named(piece)
    return None if found is None else found[0]


def decoded(piece: bytes) -> tuple[bytes | None, str]:
    """The bytes that base64 stands for, `None` if it is none; and its form."""
    is_url = b"-" in piece or b"_" in piece
    missing = -len(piece) % 4
    form = "-".join(filter(None, ("url" if is_url else "", "bare" if missing else "")))
    try:
        return binascii.a2b_base64((piece.translate(_FROM_URL) if is_url else piece) + b"=" * missing), form
    except binascii.Error:
        return None, form


def encoded(data: bytes, form: str) -> bytes:
    """Base64 in that form."""
    text = binascii.b2a_base64(data, newline=False)
    if "bare" in form:
        text = text.rstrip(b"=")
    return text.translate(_TO_URL) if form.startswith("url") else text


def fingerprint(text: str) -> tuple[str, int]:
    """SHA-256 in hex and length of the bytes that base64 stands for; of the text itself, if it is none."""
    piece = text.encode("utf-8", "surrogatepass")
    data = decoded(piece)[0]
    content = piece if data is None else data
    return sha256(content).hexdigest(), len(content)


def without_base64(text: bytes) -> bytes:
    """JSON text with marks in the place of large base64, for what is shown and not read back."""
    return cut(text, mark_of).text


def marks(text: bytes) -> list[Mark]:
    """What the marks in a text refer to, in their order."""
    return [_mark(match) for match in _MARK.finditer(text)]


def filled(text: bytes, base64_of: Callable[[Mark], bytes]) -> bytes:
    """Put base64 back in the place of every mark."""
    return _MARK.sub(lambda match: base64_of(_mark(match)), text)


def _mark(match: re.Match[bytes]) -> Mark:
    name, size, form = match.groups(default=b"")
    return Mark(name.decode(), int(size), form.decode())


def _runs(text: bytes) -> Iterator[tuple[int, int]]:
    """Where in a JSON text base64 could stand: long runs of its characters, within a string."""
    floor = at = 0
    while at + _LOOK <= len(text):
        if text[at : at + _LOOK].translate(None, _BASE64):
            at += _STEP
            continue
        before = text[max(floor, at - _STEP) : at]
        start = _after_escape(text, at - len(before) + len(before.rstrip(_BASE64)))
        end = _end(text, at)
        if end - start >= MIN_TEXT and not _is_number(text, start, end):
            yield start, end
        floor = at = end


def _end(text: bytes, at: int) -> int:
    found = _RUN.match(text, at)
    return at if found is None else found.end()


def _is_number(text: bytes, start: int, end: int) -> bool:
    return _NUMBER.fullmatch(text, start, end) is not None


def _after_escape(text: bytes, start: int) -> int:
    r"""Where a run begins that may have begun with the letters of an escape (`\n`, `\u00e9`)."""
    if text[start - 1 : start] != b"\\":
        return start
    head = text[:start]
    is_escape = (len(head) - len(head.rstrip(b"\\"))) % 2
    return start + is_escape * (_UNICODE_ESCAPE if text[start : start + 1] == b"u" else 1)
