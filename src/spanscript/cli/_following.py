"""
A transcript that grows while it is read: what was appended since the last look, in whichever file.

A file is known by its inode, so it is read on under the name that rotation gives it. A line is taken when
its line feed is there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, TypeAlias

from spanscript.transcript.lines import (
    FILES,
    NEEDED,
    Entry,
    Place,
    Problem,
    files_of,
    judged,
    open_file,
    raw_lines,
    unreadable,
)

_Inode: TypeAlias = tuple[int, int]

_PIECE: Final = 1024 * 1024
_UNCOUNTED: Final = 0
"""In the place of a line's number that was not needed yet."""


class Following:
    """
    What stands in a transcript, then what comes.

    Attributes:
        entries, known, problems, first_problem: Of what was read, as `Transcript` has them.
        is_whole: Whether reading began at the beginning.
    """

    def __init__(self, path: str, window: int) -> None:
        """*window*: bytes at the end of all files together with which to begin, whole lines of them."""
        self.entries = self.known = self.problems = 0
        self.first_problem: Problem | None = None
        self.is_whole = True
        self._path = Path(path)
        self._reached: dict[_Inode, Place] = {}
        self._unreadable: set[Path] = set()
        self._skip(window)

    def poll(self, *, torn: bool = False) -> Iterator[Entry | Problem]:
        """
        What is new. With *torn*, also what a last line without a line feed holds, or what is wrong with it.

        A directory or file that is not there, or not any more, is one without lines.
        """
        for file in self._files():
            try:
                found = file.stat()
                place = self._reached.get((found.st_dev, found.st_ino))
                if place is not None and found.st_size == place.offset:
                    continue
                stream = open_file(file)
            except FileNotFoundError:  # it was renamed just now, and is met again under its new name
                continue
            except OSError as error:
                yield from self._say_once(file, error)
                continue
            with stream:
                for item in self._new(str(file), stream, torn=torn):
                    self._count(item)
                    yield item

    def _files(self) -> list[Path]:
        """The names of finished files sort before the live one's, by their time."""
        return sorted(self._path.glob(FILES)) if self._path.is_dir() else [self._path]

    def _skip(self, window: int) -> None:
        """Begin where no more than *window* bytes are left."""
        for file in reversed(self._files()):
            try:
                found = file.stat()
            except OSError:
                continue
            start = max(found.st_size - window, 0)
            window = max(window - found.st_size, 0)
            if start:
                self.is_whole = False
                self._reached[found.st_dev, found.st_ino] = _line_from(file, start)

    def _new(self, file: str, stream: BinaryIO, *, torn: bool) -> Iterator[Entry | Problem]:
        found = os.fstat(stream.fileno())
        inode = found.st_dev, found.st_ino
        place = self._reached.get(inode, Place(file, 1, 0))
        if found.st_size < place.offset:  # it was cut, and is another file now
            place = Place(file, 1, 0)
        if place.line == _UNCOUNTED:
            place = place._replace(line=1 + _line_feeds(stream, 0, place.offset))
        stream.seek(place.offset)
        last = Place(file, place.line, place.offset)
        for at, line in raw_lines(stream, last):
            last = at
            if isinstance(line, bytes) and not line.endswith(b"\n") and not torn:
                self._reached[inode] = last
                return
            yield from judged(at, line)
        end = stream.tell()
        self._reached[inode] = Place(file, last.line + _line_feeds(stream, last.offset, end), end)

    def _say_once(self, file: Path, error: OSError) -> Iterator[Problem]:
        if file not in self._unreadable:
            self._unreadable.add(file)
            problem = unreadable(file, error)
            self._count(problem)
            yield problem

    def _count(self, item: Entry | Problem) -> None:
        if isinstance(item, Entry):
            self.entries += 1
            self.known += item.type in NEEDED
        elif not item.note:
            self.problems += 1
            self.first_problem = self.first_problem or item


def require(path: str) -> None:
    """
    Refuse what is not there.

    Raises:
        TranscriptError: *path* is missing, or a directory that holds no transcript.
    """
    files_of(path)


def _line_from(file: Path, start: int) -> Place:
    """The first whole line at *start* or behind it."""
    with open_file(file) as stream:
        stream.seek(start - 1)
        while piece := stream.readline(_PIECE):
            if piece.endswith(b"\n"):
                break
        return Place(str(file), _UNCOUNTED, stream.tell())


def _line_feeds(stream: BinaryIO, start: int, end: int) -> int:
    stream.seek(start)
    found = 0
    while start < end and (piece := stream.read(min(_PIECE, end - start))):
        found += piece.count(b"\n")
        start += len(piece)
    return found
