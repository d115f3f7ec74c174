"""
Where the entries of a transcript stand, in SQLite: beside big files, or only for as long as they are read.

An index holds places, never contents. What is found through it is read in the file, and is used only if
it is there what the index says; so an index that is old, foreign or forged costs time and never truth.
Its memory is bounded: what does not fit is on disk, also of an index without a name.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from spanscript.transcript.heads import Head, head_of
from spanscript.transcript.lines import NEEDED, Entry, Place, Problem, StaleError

APPLICATION: Final = 0x5350414E
VERSION: Final = 1
"""To be raised when other lines are remembered, or otherwise; older indexes are then made anew."""

SCHEMA: Final = """
CREATE TABLE files(id INTEGER PRIMARY KEY, name BLOB, position INTEGER, inode TEXT, mtime INTEGER,
    size INTEGER, lines INTEGER, head BLOB, tail BLOB,
    entries INTEGER, known INTEGER, problems INTEGER, first TEXT);
CREATE TABLE named(hash BLOB, kind INTEGER, file INTEGER, offset INTEGER, line INTEGER, writer BLOB,
    PRIMARY KEY(hash, kind, file, offset)) WITHOUT ROWID;
CREATE TABLE lines(call_id BLOB, file INTEGER, offset INTEGER, line INTEGER, began BLOB,
    PRIMARY KEY(call_id, file, offset)) WITHOUT ROWID;
CREATE TABLE calls(call_id BLOB PRIMARY KEY, began BLOB) WITHOUT ROWID;
CREATE INDEX calls_by_time ON calls(began, call_id)
"""
"""
`files`: how far each was read (`size`, `lines`), what it is known by, and what was in it. `named`: entries by
hash. `lines`: entries by call; `began` is the timestamp of those that tell when it began. Texts of entries
are bytes, for JSON can hold surrogates; they sort as texts do.
"""

PATIENCE: Final = 5.0
"""Seconds to wait for another process that is writing to the same index."""

_STATEMENTS: Final = tuple(map(str.strip, SCHEMA.split(";")))

_NAMED: Final = ("message", "system_prompt", "tool_schemas")
_BEGINNINGS: Final = ("provider_call_request", "provider_call_response", "provider_call_error")
OF_CALLS: Final = (*_BEGINNINGS, "interpreted_response", "annotation")
"""Types of the entries that are found by their `call_id`."""

_SETTINGS: Final = (
    "PRAGMA cache_size = -24000",  # KiB
    "PRAGMA trusted_schema = OFF",
    "PRAGMA synchronous = NORMAL",
)
_PUT_NAMED: Final = "INSERT OR IGNORE INTO named VALUES (?, ?, ?, ?, ?, ?)"
_PUT_LINE: Final = "INSERT OR IGNORE INTO lines VALUES (?, ?, ?, ?, ?)"
_PUT_CALL: Final = (
    "INSERT INTO calls VALUES (?, ?) ON CONFLICT(call_id) DO UPDATE SET began = CASE"
    " WHEN excluded.began = x'' OR (began <> x'' AND began <= excluded.began)"
    " THEN began ELSE excluded.began END"
)
_GIVEN: Final = "CREATE TEMP TABLE IF NOT EXISTS given(call_id BLOB PRIMARY KEY, lines INTEGER) WITHOUT ROWID"
_NOT_GIVEN: Final = (
    "NOT EXISTS (SELECT 1 FROM given WHERE given.call_id = calls.call_id AND given.lines ="
    " (SELECT count(*) FROM lines WHERE lines.call_id = calls.call_id))"
)
_MANY: Final = 20_000
"""Entries that are collected before they are written."""


class CallKey(NamedTuple):
    """A call's place in the order of calls."""

    began: bytes
    call_id: bytes


class Page(NamedTuple):
    """
    Some calls of their order.

    Attributes:
        after: The last one before them; `None` at the beginning.
        limit: How many, at most.
        skip: How many to leave out.
        back: Whether the order is from the last to the first.
        given: Whether also those that are noted as given.
    """

    after: CallKey | None
    limit: int
    skip: int = 0
    back: bool = False
    given: bool = True


class Index:
    """
    Places by hash and by call, in one SQLite database.

    Attributes:
        files: Path of each file by its number here.
        order: Its position in the order of reading, likewise.
    """

    def __init__(self, database: str | Path = "") -> None:
        """
        *database*: a file that may be written to; if empty, one without a name that goes with this object.

        Raises:
            sqlite3.Error: It is no index of ours.
        """
        self.files: dict[int, str] = {}
        self.order: dict[int, int] = {}
        self._numbers: dict[str, int] = {}
        self._named: list[tuple[Any, ...]] = []
        self._lines: list[tuple[Any, ...]] = []
        self._base = sqlite3.connect(
            database, timeout=PATIENCE, isolation_level=None, check_same_thread=False
        )
        try:
            self._prepare()
        except BaseException:
            self._base.close()
            raise

    def __del__(self) -> None:
        if hasattr(self, "_base"):
            self._base.close()

    # Filling it

    def add(self, entry: Entry) -> None:
        """Take in an entry that was read."""
        file = self._numbers.get(entry.file)
        if file is None:
            file = len(self.files)
            self.name(file, entry.file, file)
        self.put(file, head_of(entry), entry)
        if len(self._lines) + len(self._named) > _MANY:
            self._flush_all()

    def name(self, file: int, path: str, position: int) -> None:
        """Say which path a number means, and where in the order of reading it is."""
        self.files[file] = path
        self.order[file] = position
        self._numbers[path] = file

    def put(self, file: int, head: Head, place: Place | Entry) -> None:
        """Take in what is found by hash or by call; `flush` writes it."""
        if head.type in _NAMED:
            kind = _NAMED.index(head.type)
            key, writer = _bytes(head.hash), _bytes(head.writer)
            self._named.append((key, kind, file, place.offset, place.line, writer))
        elif head.type in OF_CALLS and head.call_id is not None:  # an annotation need not be of a call
            began = head.timestamp if head.type in _BEGINNINGS else None
            self._lines.append((_bytes(head.call_id), file, place.offset, place.line, _bytes(began)))

    def flush(self) -> None:
        """Write what was put. Within a transaction."""
        began: dict[bytes, bytes] = {}
        for line in self._lines:
            known = began.get(line[0])
            began[line[0]] = line[4] if not known else min(known, line[4] or known)
        # In the order of the keys, so that each page is touched once.
        self._base.executemany(_PUT_NAMED, sorted(self._named))
        self._base.executemany(_PUT_LINE, sorted(self._lines))
        self._base.executemany(_PUT_CALL, sorted(began.items()))
        self._named.clear()
        self._lines.clear()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, and nobody else meanwhile."""
        self._base.execute("BEGIN IMMEDIATE")
        try:
            yield self._base
            self._base.execute("COMMIT")
        except BaseException:
            self._named.clear()
            self._lines.clear()
            with contextlib.suppress(sqlite3.Error):  # the first error is the one to tell of
                self._base.execute("ROLLBACK")
            raise

    def forget(self, files: Iterable[int]) -> None:
        """Forget all that stands in some files. Within a transaction."""
        for file in files:
            self._base.execute("DELETE FROM named WHERE file = ?", (file,))
            self._base.execute("DELETE FROM lines WHERE file = ?", (file,))
            self._base.execute("DELETE FROM files WHERE id = ?", (file,))
            self.files.pop(file, None)
        self._base.execute("DELETE FROM calls")
        self._base.execute(
            "INSERT INTO calls SELECT call_id, coalesce(min(nullif(began, x'')), x'')"
            " FROM lines GROUP BY call_id"
        )

    def forget_all(self) -> None:
        """Forget everything. Within a transaction."""
        for table in ("named", "lines", "calls", "files"):
            self._base.execute(f"DELETE FROM {table}")  # noqa: S608  # ours

    def _prepare(self) -> None:
        for statement in (*_SETTINGS, _GIVEN):
            self._base.execute(statement)
        marks = ("application_id", APPLICATION), ("user_version", VERSION)
        if not self._schema():
            with self.transaction():
                if not self._schema():  # nobody was faster
                    for statement in _STATEMENTS:
                        self._base.execute(statement)
                    for name, number in marks:
                        self._base.execute(f"PRAGMA {name} = {number}")
        found = tuple(self._base.execute(f"PRAGMA {name}").fetchone()[0] for name, _ in marks)
        if self._schema() != _STATEMENTS or found != (APPLICATION, VERSION):
            raise sqlite3.DatabaseError("no index, or one of another version")

    def _schema(self) -> tuple[str, ...]:
        rows = self._base.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid")
        return tuple(sql for (sql,) in rows)

    def _flush_all(self) -> None:
        if self._named or self._lines:
            with self.transaction():
                self.flush()

    # Asking it

    def ask(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        self._flush_all()
        return self._base.execute(sql, values).fetchall()

    def named(self, kind: str, name: str) -> list[tuple[Place, bytes]]:
        """Every place of an entry of that type and hash, in the order of reading, and who wrote it."""
        sql = "SELECT file, offset, line, writer FROM named WHERE hash = ? AND kind = ?"
        rows = self.ask(sql, _bytes(name), _NAMED.index(kind))
        return [(self._place(row), row[3]) for row in self._sorted(rows)]

    def lines(self, call_id: bytes) -> list[Place]:
        """Every place of an entry of that call, in the order of reading."""
        rows = self.ask("SELECT file, offset, line FROM lines WHERE call_id = ?", call_id)
        return [self._place(row) for row in self._sorted(rows)]

    def count(self) -> int:
        """Number of calls."""
        return int(self.ask("SELECT count(*) FROM calls")[0][0])

    def calls(self, page: Page) -> list[CallKey]:
        """Calls in the order in which they began."""
        word, sign = ("DESC", "<") if page.back else ("ASC", ">")
        where = [] if page.given else [_NOT_GIVEN]
        where += [] if page.after is None else [f"(began, call_id) {sign} (?, ?)"]
        sql = (
            f"SELECT began, call_id FROM calls WHERE {' AND '.join(where) or 'TRUE'}"  # noqa: S608  # ours
            f" ORDER BY began {word}, call_id {word} LIMIT ? OFFSET ?"
        )
        return [CallKey(*row) for row in self.ask(sql, *(page.after or ()), page.limit, page.skip)]

    def give(self, key: CallKey) -> None:
        """Note that a call was given, as far as its lines are known now."""
        sql = "SELECT count(*) FROM lines WHERE call_id = ?"
        self.ask(
            "INSERT OR REPLACE INTO temp.given VALUES (?, ?)", key.call_id, *self.ask(sql, key.call_id)[0]
        )

    def not_given(self, call_ids: Iterable[bytes]) -> list[CallKey]:
        """Those of some calls that were not given at all, in the order of calls."""
        sql = "SELECT began, call_id FROM calls WHERE call_id = ?1 AND ?1 NOT IN (SELECT call_id FROM given)"
        return sorted(CallKey(*row) for call_id in call_ids for row in self.ask(sql, call_id))

    def with_id(self, name: str, limit: int) -> tuple[int, list[CallKey]]:
        """How many calls have an id that begins so, and the first of them, in the order of calls."""
        key = _bytes(name)
        values = key, key + b"\xff"  # no byte of UTF-8 is larger
        count = self.ask("SELECT count(*) FROM calls WHERE call_id >= ? AND call_id < ?", *values)[0][0]
        sql = "SELECT began, call_id FROM calls WHERE call_id >= ? AND call_id < ? ORDER BY 1, 2 LIMIT ?"
        return count, [CallKey(*row) for row in self.ask(sql, *values, limit)]

    def call(self, call_id: str) -> CallKey | None:
        """The call with that id."""
        rows = self.ask("SELECT began, call_id FROM calls WHERE call_id = ?", _bytes(call_id))
        return CallKey(*rows[0]) if rows else None

    def _sorted(self, rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        for row in rows:
            if not all(type(number) is int and number >= 0 for number in row[:3]):
                raise sqlite3.DatabaseError("a place that can be none")
            if row[0] not in self.files:  # another process has found a new file, which we are to look for
                raise StaleError
        return sorted(rows, key=lambda row: (self.order[row[0]], row[1]))

    def _place(self, row: tuple[Any, ...]) -> Place:
        return Place(self.files[row[0]], row[2], row[1])


class Tally:
    """
    What was met in reading.

    Attributes:
        entries: Number of entries that could be read.
        known: Number of those whose type is known.
        problems: Number of problems (notes do not count).
        first: The first of them.
    """

    def __init__(self) -> None:
        self.entries = 0
        self.known = 0
        self.problems = 0
        self.first: Problem | None = None

    def add(self, item: Entry | Head | Problem) -> None:
        """Count in what was read."""
        if not isinstance(item, Problem):
            self.entries += 1
            self.known += item.type in NEEDED
        elif not item.note:
            self.problems += 1
            self.first = self.first or item

    def join(self, other: Tally) -> None:
        """Count in what was met after this."""
        self.entries += other.entries
        self.known += other.known
        self.problems += other.problems
        self.first = self.first or other.first


def _bytes(text: str | None) -> bytes:
    return b"" if text is None else text.encode("utf-8", "surrogatepass")
