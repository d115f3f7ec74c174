"""
Credentials that this process uses, kept in memory so that they are recorded nowhere.

No header is ever recorded. But a key also gets into prompts: a tool dumps the environment, a log is pasted.
So the keys that requests were authorised with are looked for, exactly, in whatever is to be recorded.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

MASK: Final = "[secret]"
"""Stands where a key stood."""

_HEADERS: Final = frozenset({b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key"})
_SHORTEST: Final = 16
"""Shorter ones are placeholders of tests and local servers, and words."""

_MOST: Final = 64

_known: tuple[bytes, ...] = ()


def remember(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Take note of the keys that a request is authorised with, by its headers' names and values."""
    global _known  # noqa: PLW0603  # replaced as a whole, so that threads need no lock
    for name, value in headers:
        if name.lower() not in _HEADERS:
            continue
        secret = value.rpartition(b" ")[2]
        if len(secret) >= _SHORTEST and secret.isascii() and secret not in _known:
            _known = (*_known, secret)[-_MOST:]


def mask(data: bytes) -> bytes:
    """Put `[secret]` in the place of every key that is known; the same object if there is none in it."""
    for secret in _known:
        if secret in data:
            data = data.replace(secret, MASK.encode())
    return data


def mask_text(text: str) -> str:
    """Likewise, in text."""
    for secret in _known:
        text = text.replace(secret.decode(), MASK)
    return text
