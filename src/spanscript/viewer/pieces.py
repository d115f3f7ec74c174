"""
Data within HTML: records as JSON lines, compressed, in base64, a few hundred kilobytes a piece.

Base64 has no character that could close an element. A piece is unpacked in the page when something in it is
looked at, so that opening a page costs the same however much was said.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Iterator
from typing import Final

from spanscript import _json
from spanscript._exchange import Json

_PIECE: Final = 256 * 1024
"""Bytes of JSON after which a piece ends."""
_LEVEL: Final = 6


class Packer:
    """
    Numbers records and packs them.

    Attributes:
        starts: The number of the first record of each piece.
        count: How many records there are.
    """

    def __init__(self) -> None:
        self.starts: list[int] = []
        self.count = 0
        self._lines: list[bytes] = []
        self._size = 0

    def add(self, record: Json) -> int:
        """Take a record in; its number."""
        if not self._lines:
            self.starts.append(self.count)
        line = _json.dumps(record)
        self._lines.append(line)
        self._size += len(line)
        self.count += 1
        return self.count - 1

    def full(self) -> Iterator[bytes]:
        """The piece, if it is full."""
        if self._size >= _PIECE:
            yield from self.rest()

    def rest(self) -> Iterator[bytes]:
        """The piece, however full, if there is anything in it."""
        if self._lines:
            yield element("contents", b"\n".join(self._lines))
            self._lines.clear()
            self._size = 0


def element(kind: str, data: bytes) -> bytes:
    """An element that no browser runs, with *data* in it."""
    text = base64.b64encode(gzip.compress(data, _LEVEL, mtime=0))
    return b'<script type="application/gzip" class="%b">%b</script>\n' % (kind.encode(), text)
