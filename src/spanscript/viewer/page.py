"""The page with the data in it, written to a file or to whatever takes bytes."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable
from importlib import resources
from pathlib import Path

from spanscript.viewer.payload import Payload

_PLACE = b"<!--payload-->"


def template() -> tuple[bytes, bytes]:
    """The built page: what stands before the data, and what after it."""
    page = (resources.files("spanscript.viewer") / "page.html").read_bytes()
    before, _, after = page.partition(_PLACE)
    return before, after


def policy() -> str:
    """The page's Content-Security-Policy, as it stands in the page."""
    found = re.search(rb'http-equiv="Content-Security-Policy" content="([^"]*)"', template()[0])
    if found is None:
        raise ValueError("the built page has no policy")
    return found[1].decode()


def write(payload: Payload, take: Callable[[bytes], object]) -> None:
    """Give the page to *take*, piece by piece."""
    before, after = template()
    take(before)
    for piece in payload:
        take(piece)
    take(after)


def save(payload: Payload, target: Path) -> None:
    """
    Write the page as a file that only its owner can read; at once, or not at all.

    Raises:
        OSError: It cannot be written, or something else than a file has that name.
    """
    if target.exists() and not target.is_file():  # `/dev/null` would be replaced
        raise OSError(f"{target}: no regular file, and not to be replaced by one; `-` is stdout")
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            write(payload, file.write)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink()
        raise
