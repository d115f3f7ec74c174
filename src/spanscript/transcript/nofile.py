"""What stands in the place of a transcript's files where there is no directory, and a listener alone."""

from __future__ import annotations

from collections.abc import Iterable

from spanscript._blobs import Mark
from spanscript.transcript.entries import Entry


class NoFile:
    """
    As `LiveFile`, without a file: it counts, so that the writer begins anew where it would be rotated.

    Attributes:
        opened: How often it was begun. When it grows, nothing is known to have been told.
        trouble: Never any.
    """

    def __init__(self, max_bytes: int) -> None:
        """*max_bytes*: begin anew at that size, 0: never."""
        self.opened = 0
        self.trouble: OSError | None = None
        self._max_bytes = max_bytes
        self._size = 0

    def enter(self, writer: str) -> None:  # noqa: ARG002  # as a file is entered
        """Begin, if it is new or full."""
        if not self.opened or 0 < self._max_bytes <= self._size:
            self.opened += 1
            self._size = 0

    def append(self, data: bytes) -> None:
        """Count whole lines."""
        self._size += len(data)

    def landed(self, length: int, *, interrupted: bool) -> int:  # noqa: ARG002
        """All of them: what was made is told, whatever interrupts us."""
        return length

    def sync(self) -> None:
        """Nothing to wait for."""

    def leave(self) -> None:
        """No lock to give back."""

    def close(self) -> None:
        """Nothing to close."""


class NoBlobs:
    """As `BlobWriter`, where there is no place for blobs: base64 stays in its line."""

    def take(self, entries: Iterable[Entry]) -> tuple[list[Entry], list[tuple[Mark, bytes]]]:
        """The entries as they are."""
        return list(entries), []

    def store(self, pieces: list[tuple[Mark, bytes]]) -> None:
        """Nothing was taken out."""
