"""
Content-encodings undone, as far as a body came.

Never raises on bad bytes, and stops at a limit: a small body may hold a bomb. Libraries that are not a
part of Python are used if the app has them; if not, its client could not read such a body either.
"""

from __future__ import annotations

import contextlib
import importlib
import zlib
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Final

_PIECE: Final = 64 * 1024
_SIP: Final = 64
"""Bytes given at once to a decoder whose output cannot be bounded."""


def inflate(chunks: Iterable[bytes], content_encoding: str, limit: int = 32 * 1024 * 1024) -> bytes:
    """
    Undo the content-encoding of a body, as far as it came.

    Args:
        chunks: The body as it came over the wire; may end anywhere.
        content_encoding: The response header: names in the order in which they were applied.
        limit: Bytes of output after which to stop, whatever is still to come.

    Returns:
        What could be read up to the end, the first error or the limit; nothing if an encoding is not
        known, or its library not installed.
    """
    stream = iter(chunks)
    for name in reversed(content_encoding.lower().split(",")):
        step = _ENCODINGS.get(name.strip())
        if step is None:
            return b""
        stream = step(stream)
    whole = bytearray()
    for piece in stream:
        whole += piece[: limit - len(whole)]
        if len(whole) >= limit:
            break
    return bytes(whole)


def _unzipped(chunks: Iterator[bytes]) -> Iterator[bytes]:
    decoder = None
    with contextlib.suppress(zlib.error):
        for chunk in chunks:
            rest = chunk
            while rest:
                decoder = decoder or zlib.decompressobj(_window_bits(rest[0]))
                yield decoder.decompress(rest, _PIECE)
                rest = decoder.unconsumed_tail
                if decoder.eof:
                    rest = decoder.unused_data
                    decoder = None
        if decoder:
            yield decoder.flush()


def _window_bits(first: int) -> int:
    """For zlib's `deflate` with its header, for gzip, else for the bare one that some servers send."""
    return zlib.MAX_WBITS | 32 if first in (0x78, 0x1F) else -zlib.MAX_WBITS


def _unbrotlied(chunks: Iterator[bytes]) -> Iterator[bytes]:
    library = _maybe_module("brotli", "brotlicffi")
    return _pushed(chunks, library.Decompressor().process, library.error) if library else iter(())


def _unzstandarded(chunks: Iterator[bytes]) -> Iterator[bytes]:
    library = _maybe_module("compression.zstd", "backports.zstd", "zstandard")
    if library is None:
        return iter(())
    decoder = library.ZstdDecompressor()
    decoder = decoder.decompressobj() if hasattr(decoder, "decompressobj") else decoder
    return _pushed(chunks, decoder.decompress, library.ZstdError)


def _maybe_module(*names: str) -> ModuleType | None:
    for name in names:
        with contextlib.suppress(ImportError):
            return importlib.import_module(name)
    return None


def _pushed(
    chunks: Iterator[bytes], push: Callable[[bytes], bytes], error: type[Exception]
) -> Iterator[bytes]:
    with contextlib.suppress(error, EOFError):
        for chunk in chunks:
            for at in range(0, len(chunk), _SIP):
                yield push(chunk[at : at + _SIP])


_ENCODINGS: Final[dict[str, Callable[[Iterator[bytes]], Iterator[bytes]]]] = {
    "": iter,
    "identity": iter,
    "gzip": _unzipped,
    "x-gzip": _unzipped,
    "deflate": _unzipped,
    "br": _unbrotlied,
    "zstd": _unzstandarded,
}
