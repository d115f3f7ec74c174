"""What the dialects of images and audio share: media are told of by their sizes, never kept."""

from __future__ import annotations

from collections.abc import Iterable

from spanscript._exchange import Json, Media, Part
from spanscript._shapes import string


def decoded_bytes(encoded: Json) -> int | None:
    """How many bytes a base64 text stands for; `None` if it is no text."""
    if not isinstance(encoded, str):
        return None
    text = encoded[-2:]
    return max(0, len(encoded) * 3 // 4 - text.count("="))


def total(sizes: Iterable[int | None]) -> int | None:
    """The sum of those that are known; `None` if none is."""
    known = [size for size in sizes if size is not None]
    return sum(known) if known else None


def image(address: Json, mime_type: str | None) -> Part:
    """An image: by its URL unless that carries the bytes themselves."""
    uri = string(address)
    if uri is not None and uri.startswith("data:"):
        return Media("image", mime_type=uri[5:128].partition(";")[0] or mime_type)
    return Media("image", mime_type=mime_type, uri=uri)
