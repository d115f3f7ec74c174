"""
The files of a transcript and their index: made, kept beside them, read on from, and made anew.

A file that grew is read on from where its index ends. One of which size, time, beginning or end are not what
they were is read again. An index that is none is thrown away.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, BinaryIO, Final, NamedTuple, TypeVar

import msgspec

from spanscript.transcript import homes
from spanscript.transcript.heads import Head, fast_head, read_head
from spanscript.transcript.index import Index, Tally
from spanscript.transcript.lines import (
    Place,
    Problem,
    StaleError,
    TranscriptError,
    files_of,
    open_file,
    raw_lines,
    unreadable,
)

INDEX_FROM: Final = 16 * 1024 * 1024
"""Bytes from which on an index is kept. What is smaller is read in a moment."""

_BATCH: Final = 16 * 1024 * 1024
"""Bytes that are read between two times that the index is written."""

_LOOK: Final = 4096
"""Bytes at the beginning and at the end of what was read by which a file is known again."""

_T = TypeVar("_T")

Progress = Callable[[int, int], object]
"""Is told how many bytes of how many have been read."""


_Natural = Annotated[int, msgspec.Meta(ge=0)]


class _State(NamedTuple):
    """A row of `files`."""

    id: int
    name: bytes
    position: _Natural = 0
    inode: str = ""
    mtime: int = 0
    size: _Natural = 0
    lines: _Natural = 0
    head: bytes = b""
    tail: bytes = b""
    entries: int = 0
    known: int = 0
    problems: int = 0
    first: str | None = None


class Indexed:
    """
    What can be asked of a transcript by place. `refresh` reads what is new in its files.

    Attributes:
        index: Answers. It is another one after it had to be made anew.
        tally: What was met, as of the last `refresh`.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        """*path*: file or directory; `None` if entries are only added."""
        self.tally = Tally()
        self._path = None if path is None else Path(path)
        self._loose: dict[str, Tally] = {}
        is_large = self._path is not None and sum(map(_size, files_of(self._path))) >= INDEX_FROM
        self.index, self._home = homes.opened(self._path) if self._path and is_large else (Index(), None)

    def refresh(self, progress: Progress | None = None) -> Iterator[set[bytes]]:
        """
        Read what is new, in steps. After each, the index answers for what was read so far.

        Yields:
            Ids of the calls of which a step read how an attempt ended; none after the first step, which only
            looks whether what is known of the files is true.

        Raises:
            TranscriptError: The files are not there.
        """
        if self._path is None:
            return
        files = files_of(self._path)
        try:
            yield from self._refresh(files, progress)
        except sqlite3.Error as error:
            self._replace(error)
            try:
                yield from self._refresh(files, progress)
            except sqlite3.Error as again:
                raise _told(again) from again

    def sure(self, ask: Callable[[], _T], tries: int = 2) -> _T:
        """
        An answer. If the index is found to be wrong, the one after it was read on, or else made anew.

        Raises:
            TranscriptError: What *ask* raises. The files change all the time, or no index can be written.
        """
        try:
            return ask()
        except (StaleError, sqlite3.Error) as error:
            if tries == 0 or self._path is None:
                raise _told(error) from error
            self._repair(error, anew=tries == 1)
        return self.sure(ask, tries - 1)

    def _repair(self, error: Exception, *, anew: bool) -> None:
        if isinstance(error, sqlite3.Error):
            self._replace(error)
        elif anew:
            with self.index.transaction():
                self.index.forget_all()
        for _ in self.refresh():  # if the files were rotated, say, that is all
            pass

    def _replace(self, error: sqlite3.Error) -> None:
        """Go on with an index without a name, after an error of the one that was kept."""
        if self._home is not None:
            homes.discard(self._home, error)
        self.index, self._home = Index(), None

    # Reading what is new

    def _refresh(self, files: list[Path], progress: Progress | None) -> Iterator[set[bytes]]:
        self._loose = {}
        numbers = self._match(files)
        yield set()
        sizes = {path: _size(path) for path in files}
        done = 0
        for path, number in numbers.items():
            with self._open(path) as stream:
                for size, ended in self._read_on(number, stream) if stream is not None else ():
                    if progress is not None:
                        progress(done + size, sum(sizes.values()))
                    yield ended
            done += sizes[path]
        self.tally = self._sum(files)

    def _match(self, files: list[Path]) -> dict[Path, int]:
        """The number of each file in the index, which then knows no others."""
        states = {state.id: state for state in self._states()}
        found: dict[Path, _State | None] = {}
        for path in files:
            with self._open(path) as stream:
                if stream is not None:
                    found[path] = _take_state(states, os.fsencode(path.name), stream)
        named = [
            (os.fsencode(path.name), position, state) for position, (path, state) in enumerate(found.items())
        ]
        if states or any(state is None or state[1:3] != (name, at) for name, at, state in named):
            with self.index.transaction() as base:
                self.index.forget(states)
                numbers = [_put_state(base, *row) for row in named]
        else:
            numbers = [state.id for _, _, state in named if state is not None]
        for position, (path, number) in enumerate(zip(found, numbers, strict=True)):
            self.index.name(number, str(path), position)
        return dict(zip(found, numbers, strict=True))

    def _states(self) -> list[_State]:
        return [_state(row) for row in self.index.ask("SELECT * FROM files ORDER BY position")]

    def _state(self, number: int) -> _State:
        rows = self.index.ask("SELECT * FROM files WHERE id = ?", number)
        if not rows:
            raise sqlite3.OperationalError("another process has forgotten the file")
        return _state(rows[0])

    def _read_on(self, number: int, stream: BinaryIO) -> Iterator[tuple[int, set[bytes]]]:
        """Read the rest of a file; gives the bytes that are read so far, and the calls that ended."""
        path, again = self.index.files[number], True
        while again and self._state(number).size < os.fstat(stream.fileno()).st_size:
            with self.index.transaction() as base:
                batch = _Batch(self.index, self._state(number), path)
                again = batch.read(stream)
                self.index.flush()
                base.execute(
                    "UPDATE files SET inode = ?, mtime = ?, size = ?, lines = ?, head = ?, tail = ?,"
                    " entries = ?, known = ?, problems = ?, first = ? WHERE id = ?",
                    (*batch.row(stream), number),
                )
            for item in batch.torn:
                self._loosely(path, item)
            yield batch.end, batch.ended

    @contextlib.contextmanager
    def _open(self, path: Path) -> Iterator[BinaryIO | None]:
        """The open file; `None`, and a problem, if it cannot be read."""
        try:
            stream = open_file(path)
        except OSError as error:
            self._loosely(str(path), unreadable(path, error))
            yield None
            return
        with stream:
            yield stream

    def _loosely(self, path: str, problem: Problem) -> None:
        """Note a problem that is not remembered: next time, it may be gone."""
        self._loose.setdefault(path, Tally()).add(problem)

    def _sum(self, files: list[Path]) -> Tally:
        states = {state.name: state for state in self._states()}
        total = Tally()
        for path in files:
            if os.fsencode(path.name) in states:
                total.join(_tally(states[os.fsencode(path.name)], str(path)))
            total.join(self._loose.get(str(path), Tally()))
        return total


class _Batch:
    """Some lines of a file, on their way into the index."""

    def __init__(self, index: Index, state: _State, path: str) -> None:
        self.ended: set[bytes] = set()
        self.torn: list[Problem] = []
        self.end = state.size
        self._index = index
        self._state = state
        self._path = path
        self._lines = state.lines
        self._tally = _tally(state, path)

    def read(self, stream: BinaryIO) -> bool:
        """Read on from where the state says. Whether there may be more."""
        start = self._state.size
        stream.seek(start)
        self.end += len(_rest_of_line(stream, start))
        for place, line in raw_lines(stream, Place(self._path, self._lines + 1, self.end)):
            if not self._take(place, line):
                return False
            self.end = place.offset + len(line) if isinstance(line, bytes) else stream.tell()
            if self.end - start >= _BATCH:
                return True
        return False

    def _take(self, place: Place, line: bytes | Problem) -> bool:
        """Take in a line, unless it is torn: then it may become whole later."""
        head = None if isinstance(line, Problem) else fast_head(line)
        items = [head] if head is not None else list(read_head(place, line))
        torn = isinstance(line, bytes) and not line.endswith(b"\n")
        if torn and all(isinstance(item, Problem) for item in items):
            self.torn = [item for item in items if isinstance(item, Problem)]
            return False
        for item in items:
            self._tally.add(item)
            if isinstance(item, Head):
                self._index.put(self._state.id, item, place)
                if item.type in _OUTCOMES and item.call_id is not None:
                    self.ended.add(item.call_id.encode("utf-8", "surrogatepass"))
        self._lines = place.line
        return True

    def row(self, stream: BinaryIO) -> tuple[str | int | bytes | None, ...]:
        """What is remembered of the file now."""
        now = os.fstat(stream.fileno())
        tally = self._tally
        first = None if tally.first is None else msgspec.json.encode(tally.first).decode()
        about = str(now.st_ino), now.st_mtime_ns, self.end, self._lines
        return (*about, *_looks(stream, self.end), tally.entries, tally.known, tally.problems, first)


def _told(error: Exception) -> Exception:
    """An error as users of this module know it."""
    if isinstance(error, sqlite3.Error):
        return TranscriptError(f"the index of the transcript cannot be read or written: {error}")
    return error


def _take_state(states: dict[int, _State], name: bytes, stream: BinaryIO) -> _State | None:
    """Take out of *states* what is known of an open file; `None` if it is not what it was."""
    now = os.fstat(stream.fileno())
    likely = sorted(states.values(), key=lambda state: (state.inode != str(now.st_ino), state.name != name))
    for state in likely:
        if state.inode != str(now.st_ino) and state.name != name:
            return None
        grown = now.st_size > state.size
        if not grown and (now.st_size, now.st_mtime_ns) != (state.size, state.mtime):
            continue
        if _looks(stream, state.size) == (state.head, state.tail):
            stream.seek(state.size)
            if not _rest_of_line(stream, state.size).strip():
                return states.pop(state.id)
    return None


def _put_state(base: sqlite3.Connection, name: bytes, position: int, state: _State | None) -> int:
    """Write down name and position of a file, and give its number."""
    if state is None:
        row = None, *_State(0, name, position)[1:]
        values = ", ".join("?" * len(row))
        return int(base.execute(f"INSERT INTO files VALUES ({values})", row).lastrowid or 0)  # noqa: S608
    base.execute("UPDATE files SET name = ?, position = ? WHERE id = ?", (name, position, state.id))
    return state.id


def _state(row: tuple[object, ...]) -> _State:
    try:
        return msgspec.convert(row, _State)
    except msgspec.ValidationError as error:
        raise sqlite3.DatabaseError(f"a file of which nothing can be so: {error}") from error


def _tally(state: _State, path: str) -> Tally:
    tally = Tally()
    tally.entries, tally.known, tally.problems = state.entries, state.known, state.problems
    if state.first is not None:
        try:
            first = msgspec.json.decode(state.first, type=Problem)
        except msgspec.DecodeError as error:
            raise sqlite3.DatabaseError(f"a problem that is none: {error}") from error
        tally.first = msgspec.structs.replace(first, file=path)
    return tally


def _rest_of_line(stream: BinaryIO, size: int) -> bytes:
    """What stands in the last line that was read behind what was read of it; the line feed, at best."""
    if size == 0 or os.pread(stream.fileno(), 1, size - 1) == b"\n":
        return b""
    return stream.readline(_LOOK)


def _looks(stream: BinaryIO, size: int) -> tuple[bytes, bytes]:
    """What a file is known by: digests of the beginning and of the end of its first *size* bytes."""
    look = min(size, _LOOK)
    pieces = (os.pread(stream.fileno(), look, at) for at in (0, size - look))
    head, tail = (hashlib.sha256(piece).digest()[:16] for piece in pieces)
    return head, tail


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # the reading itself reports the file


_OUTCOMES: Final = ("provider_call_response", "provider_call_error")
