"""
The reader's half of blobs: from `blobs/` beside the file of a line back into the line.

What is in that directory was written by others: a name is 64 hex digits, no link is followed, nothing but a
regular file is opened, and its bytes must have the hash that they are called by.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final

from spanscript import _blobs
from spanscript._blobs import FOLDER, Mark
from spanscript.transcript.conversation import Recent
from spanscript.transcript.lines import Entry, Problem, TranscriptError

FILL_LIMIT: Final = 256 * 1024 * 1024
"""Bytes that the marks of one line may stand for. A forged line could repeat them at will."""

_CACHE: Final = 64 * 1024 * 1024
_FLAGS: Final = (
    os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
)


class Blobs:
    """Reads blobs, each from beside the file that refers to it, and remembers the last ones."""

    def __init__(self) -> None:
        self._texts: Recent[tuple[Path, Mark], bytes] = Recent(_CACHE)

    def fill(self, entry: Entry) -> Entry:
        """
        An entry as it was before large base64 was cut out.

        Raises:
            TranscriptError: A blob is missing or harmed, or its marks are not what the entry says.
        """
        if not has_blobs(entry):
            return entry
        self._require_marks(entry)
        folder = folder_of(entry.file)
        raw = {}
        for key, value in entry.raw.items():
            name = self._filled(key.encode("utf-8", "surrogatepass"), folder, entry)
            raw[name.decode("utf-8", "surrogatepass")] = self._filled(value, folder, entry)
        del raw["blobs"]
        return Entry(entry.file, entry.line, entry.offset, entry.type, raw)

    def faults(self, entry: Entry) -> list[str]:
        """What is wrong with the blobs of an entry, one text for each that is."""
        if not has_blobs(entry):
            return []
        try:
            self._require_marks(entry)
        except TranscriptError as error:
            return [str(error).removeprefix(f"{entry.where}: ")]
        folder = folder_of(entry.file)
        faults = (self._fault(mark, folder) for mark in dict.fromkeys(marks_of(entry)))
        return [fault for fault in faults if fault is not None]

    def _fault(self, mark: Mark, folder: Path) -> str | None:
        try:
            self._text(mark, folder)
        except TranscriptError as error:
            return str(error)
        return None

    def _require_marks(self, entry: Entry) -> None:
        found = marks_of(entry)
        if len(found) != entry.get("blobs"):
            reason = f"`blobs` says {entry.get('blobs')}, and {len(found)} whole marks stand in the line"
            raise TranscriptError(f"{entry.where}: {reason}")
        if sum(mark.size for mark in found) > FILL_LIMIT:
            raise TranscriptError(f"{entry.where}: its blobs would be longer than {FILL_LIMIT} bytes")

    def _filled(self, text: bytes, folder: Path, entry: Entry) -> bytes:
        try:
            return _blobs.filled(text, lambda mark: self._text(mark, folder))
        except TranscriptError as error:
            raise TranscriptError(f"{entry.where}: {error}") from error

    def _text(self, mark: Mark, folder: Path) -> bytes:
        key = folder, mark
        text = self._texts.get(key)
        if text is None:
            text = _blobs.encoded(_read(mark, folder), mark.form)
            self._texts.put(key, text, len(text))
        return text


class Used:
    """Which blobs the lines of a transcript refer to, so that those are found that none refers to."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """*path*: what is read. Of a single file nothing is unused: others may lie beside it."""
        self._directory = Path(path)
        self._names: set[str] = set()

    def add(self, entry: Entry) -> None:
        """Note what an entry refers to."""
        self._names.update(mark.sha256 for mark in marks_of(entry))

    def unused(self) -> Iterator[Problem]:
        """A note, if there are blobs that no line that was read refers to."""
        folder = self._directory / FOLDER
        try:
            files = folder.iterdir() if self._directory.is_dir() else ()
            names = sorted({file.name for file in files} - self._names)
        except OSError:
            return  # no such directory; a blob that is missing is told of the line that refers to it
        if names:
            reason = f"{len(names)} in it that no line refers to, e.g. {names[0]}"
            why = "a writer died before it wrote the line, or the line was in a file that is gone"
            yield Problem(str(folder), None, None, "blob", f"{reason}: {why}", note=True)


def has_blobs(entry: Entry) -> bool:
    """Whether marks stand in an entry. In one without `blobs`, what looks like a mark is text."""
    return bool(entry.get("blobs"))


def marks_of(entry: Entry) -> list[Mark]:
    """What the marks of an entry refer to, if it has any."""
    if not has_blobs(entry):
        return []
    texts = (text for key, value in entry.raw.items() for text in (key.encode(errors="replace"), value))
    return [mark for text in texts for mark in _blobs.marks(text)]


def folder_of(file: str) -> Path:
    """Where the blobs of a file's lines are: beside it, links followed (`/dev/stdin` is one)."""
    return Path(os.path.realpath(file)).parent / FOLDER


def _read(mark: Mark, folder: Path) -> bytes:
    path = folder / mark.sha256
    where = f"blob {mark.sha256} ({path})"
    try:
        descriptor = os.open(path, _FLAGS)
    except FileNotFoundError as error:
        raise TranscriptError(f"{where} is missing") from error
    except OSError as error:
        raise TranscriptError(f"{where} cannot be read: {error.strerror or error}") from error
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise TranscriptError(f"{where} cannot be read: it is no regular file")
    with os.fdopen(descriptor, "rb") as file:
        if found.st_size != mark.size:
            raise TranscriptError(f"{where} is harmed: it has {found.st_size} bytes, not {mark.size}")
        data = file.read(mark.size)
    if sha256(data).hexdigest() != mark.sha256:
        raise TranscriptError(f"{where} is harmed: its content has another SHA-256")
    return data
