"""
The lines of a transcript, one after the other, with no bad line ever stopping the reading.

A file is read once, in binary, line by line; only the line in hand is kept. What cannot be read is
yielded as a `Problem` in its place.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

from msgspec import Struct

from spanscript import _json
from spanscript.transcript.entries import ENVELOPE, VERSION

FILES: Final = "llm_transcript*.jsonl"
"""Which files of a directory are its transcript."""

LINE_LIMIT: Final = 64 * 1024 * 1024
"""Bytes of the longest line that is read."""

_FIELDS: Final[tuple[tuple[str, tuple[type, ...], str], ...]] = (
    ("text", (str,), "timestamp writer trace_id span_id hash parent call_id model provider dialect"),
    ("text", (str,), "client url stage context system_prompt tool_schemas tool_format"),
    ("text", (str,), "body_sha256 body_text body_base64 event"),
    ("text", (str,), "text thinking response_id request_id status error_type error_message reason prose"),
    ("a whole number", (int,), "seq attempt version pid body_bytes message_count blobs"),
    ("a whole number", (int,), "native_tool_count prompt_chars"),
    ("a whole number", (int,), "input_tokens output_tokens cache_read_tokens cache_write_tokens"),
    ("a whole number", (int,), "reasoning_tokens http_status dropped"),
    ("a number", (int, float), "response_ms first_chunk_ms retry_after_ms rate_limit_wait_ms cost_usd"),
    ("true or false", (bool,), "stream retryable masked verbatim empty"),
    ("a list", (list,), "finish_reasons choices tool_calls"),
)
FIELDS: Final[Mapping[str, tuple[str, tuple[type, ...]]]] = {
    name: (word, kinds) for word, kinds, names in _FIELDS for name in names.split()
}
"""Key → the JSON types that it may have; any key may be `null`, which is the same as absent."""

_KIND_OF: Final[Mapping[bytes, type]] = {b'"': str, b"t": bool, b"f": bool, b"[": list, b"{": dict}
"""First character of a JSON value → its type; of numbers more has to be seen."""

_OF_ENVELOPE: Final = {key: value for key, value in FIELDS.items() if key in ENVELOPE}
_DIGITS: Final = 1000
"""Shorter integers are read by any Python."""

_CALL = ("call_id", "attempt")
NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "transcript_open": ("version",),
    "system_prompt": ("hash", "content"),
    "tool_schemas": ("hash", "schemas"),
    "message": ("hash",),
    "provider_call_request": _CALL,
    "provider_call_response": _CALL,
    "provider_call_error": _CALL,
    "interpreted_response": ("call_id",),
    "stage": (),
    "annotation": ("event",),
    "gap": (),
}
"""Type → the keys without which a line of it says nothing."""


class TranscriptError(Exception):
    """Something cannot be read or found. The text says what, where, and what to do."""


class StaleError(TranscriptError):
    """What stood at a place stands there no more."""

    def __init__(self, place: Place | None = None) -> None:
        """*place*: the one that is meant, if it is one."""
        where = "" if place is None else f"{place.file}:{place.line}: "
        super().__init__(f"{where}the file changed while it was read; try again")
        self.place = place


class Place(NamedTuple):
    """Where a line stands: path, line from 1, byte from 0."""

    file: str
    line: int
    offset: int

    def problem(self, kind: str, reason: str) -> Problem:
        """A problem of this line."""
        return Problem(*self, kind, reason)


class Problem(Struct, frozen=True):
    """
    Something that is not as the format says.

    Attributes:
        file: The file, as a path.
        line: Its line, from 1; `None` if the file as a whole is meant.
        offset: Byte at which the line begins; `None` likewise.
        kind: One word for programs, e.g. `torn`, `syntax`, `hash`, `parent`, `seq`.
        reason: For people.
        note: Worth saying, but nothing is wrong (an unfinished call, say).
    """

    file: str
    line: int | None
    offset: int | None
    kind: str
    reason: str
    note: bool = False

    @property
    def where(self) -> str:
        """File and line as editors take them."""
        return self.file if self.line is None else f"{self.file}:{self.line}"

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"


class Entry(Struct, frozen=True):
    """
    One line of the transcript.

    Attributes:
        file, line, offset: Where it stands: path, line from 1, byte from 0.
        type: Its type, known or not.
        raw: Every key with the raw JSON text of its value, in the line's order.
    """

    file: str
    line: int
    offset: int
    type: str
    raw: Mapping[str, bytes]

    @property
    def where(self) -> str:
        """File and line as editors take them."""
        return f"{self.file}:{self.line}"

    def get(self, key: str) -> Any:
        """The value of *key*; `None` if it is absent or null."""
        raw = self.raw.get(key)
        return None if raw is None else _json.loads(raw)

    def problem(self, kind: str, reason: str, *, note: bool = False) -> Problem:
        """A problem at this line."""
        return Problem(self.file, self.line, self.offset, kind, reason, note)


def read(path: str | os.PathLike[str]) -> Iterator[Entry | Problem]:
    """
    Read a transcript file, or all of a directory as one, oldest first.

    Lines that cannot be read come as `Problem`s in their place, entries of an unknown type as entries
    followed by a note. Holds one line in memory.

    Raises:
        TranscriptError: *path* is missing, or a directory that holds no transcript.
    """
    for file in files_of(path):
        try:
            stream = open_file(file)
        except OSError as error:
            yield unreadable(file, error)
            continue
        with stream:
            for place, line in raw_lines(stream, Place(str(file), 1, 0)):
                yield from judged(place, line)


def read_at(file: str, line: int, offset: int) -> Entry:
    """
    The entry that stood at *offset* when the file was read.

    Raises:
        TranscriptError: It stands there no more.
    """
    place = Place(file, line, offset)
    try:
        with open_file(Path(file)) as stream:
            return entry_at(stream, place)
    except OSError as error:
        raise TranscriptError(f"{file}:{line}: cannot be read: {error.strerror or error}") from error


def entry_at(stream: BinaryIO, place: Place) -> Entry:
    """
    The entry at *place* in its open file.

    Raises:
        StaleError: It stands there no more.
    """
    try:
        stream.seek(place.offset)
    except OSError as error:  # no file is so long
        raise StaleError(place) from error
    found = judged(place, stream.readline(LINE_LIMIT + 1))
    entry = next((item for item in found if isinstance(item, Entry)), None)
    if entry is None:
        raise StaleError(place)
    return entry


def files_of(path: str | os.PathLike[str]) -> list[Path]:
    """
    The files of a transcript, the one that was begun first before the others.

    Raises:
        TranscriptError: *path* is missing, or a directory that holds no transcript.
    """
    path = Path(path)
    try:
        if not path.is_dir():
            path.stat()
            return [path]
        found = sorted(path.glob(FILES))
        names = sorted(p.name for p in path.iterdir()) if not found else []
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise TranscriptError(f"{path}: {reason}; give what SPANSCRIPT_DIR named") from error
    if not found:
        holds = f"it holds {', '.join(names[:3])}{' …' if names[3:] else ''}" if names else "it is empty"
        reason = f"no {FILES} in this directory ({holds})"
        raise TranscriptError(f"{path}: {reason}; did an app run with it as SPANSCRIPT_DIR?")
    return sorted(found, key=_began)


def _began(file: Path) -> str:
    """Timestamp of a file's first line; empty if that cannot be read."""
    try:
        with open_file(file) as stream:
            first = _parse(Place(str(file), 1, 0), stream.readline(LINE_LIMIT))
    except OSError:
        return ""  # the reading itself reports the file
    return "" if isinstance(first, Problem) else first.get("timestamp") or ""


def unreadable(file: Path, error: OSError) -> Problem:
    """Says of a whole file that it could not be opened."""
    return Problem(str(file), None, None, "unreadable", f"cannot be read: {error.strerror or error}")


def open_file(file: Path) -> BinaryIO:
    """Open a regular file; a FIFO or a device is refused, for it would block or never end."""
    descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(0, "it is no regular file")
    return os.fdopen(descriptor, "rb")


def raw_lines(stream: BinaryIO, start: Place) -> Iterator[tuple[Place, bytes | Problem]]:
    """
    Every line from *start* on, where the stream stands, with its line feed; but for blank ones.

    In the stead of one that is too long comes a `Problem`.
    """
    file, _, offset = start
    for number in count(start.line):
        line = stream.readline(LINE_LIMIT + 1)
        if not line:
            return
        place = Place(file, number, offset)
        offset += len(line)
        if len(line) > LINE_LIMIT and not line.endswith(b"\n"):
            rest = _skip_line(stream)
            offset += rest
            reason = f"a line of {len(line) + rest} bytes; more than {LINE_LIMIT} are not read"
            yield place, place.problem("too_long", reason)
        elif line.strip():
            yield place, line


def _skip_line(stream: BinaryIO) -> int:
    size = 0
    while piece := stream.readline(1024 * 1024):
        size += len(piece)
        if piece.endswith(b"\n"):
            break
    return size


def _parse(place: Place, line: bytes) -> Entry | Problem:
    try:
        line.decode()  # msgspec leaves text in raw values unchecked
        raw = _json.members(line)
        kind = _json.loads(raw["type"])
    except UnicodeDecodeError as error:
        return _unread(place, line, ("encoding", f"no UTF-8 at byte {error.start} of the line"))
    except RecursionError:
        return place.problem("too_deep", "nested too deeply to be read")
    except KeyError:
        return place.problem("foreign", "no transcript entry: it has no `type`")
    except ValueError:
        return _unread(place, line, ("syntax", "no JSON object; a line cut short or damaged"))
    if not isinstance(kind, str):
        return place.problem("foreign", "no transcript entry: its `type` is no text")
    return Entry(*place, kind, raw)


def _unread(place: Place, line: bytes, why: tuple[str, str]) -> Problem:
    if not line.endswith(b"\n"):
        why = ("torn", "the last line is cut short: its writer died, or is writing it now")
    return place.problem(*why)


def judged(place: Place, line: bytes | Problem) -> Iterator[Entry | Problem]:
    """What of a line can be relied on, as an entry, and what is to be told of the rest."""
    found = line if isinstance(line, Problem) else _parse(place, line)
    if isinstance(found, Problem):
        yield found
        return
    # A message, or a type that we do not know, may mean something else by the other names.
    is_ours = found.type in NEEDED and found.type != "message"
    fields = FIELDS if is_ours else _OF_ENVELOPE
    bad = [key for key, value in found.raw.items() if key in fields and not _fits(value, fields[key][1])]
    for key in bad:
        yield found.problem("field", f"`{key}` is not {FIELDS[key][0]}; left out")
    raw = {key: value for key, value in found.raw.items() if key not in bad} if bad else found.raw
    entry = Entry(found.file, found.line, found.offset, found.type, raw)
    needed = NEEDED.get(entry.type, ())
    missing = [key for key in needed if key not in bad and raw.get(key) in {None, b"null"}]
    if missing:
        yield entry.problem("field", f"a `{entry.type}` without {' and '.join(missing)}; skipped")
    elif not set(needed) & set(bad):
        yield entry
        yield from _notes(entry)


def _fits(raw: bytes, kinds: tuple[type, ...]) -> bool:
    """Whether a value, of which the raw text is known to be JSON, has one of those types or is null."""
    kind = _KIND_OF.get(raw[:1])
    if kind is not None:  # its first character tells
        return kind in kinds
    if raw.isdigit() and len(raw) < _DIGITS:
        return int in kinds
    try:
        value = _json.loads(raw)
    except ValueError:  # a number of more digits than Python reads
        return False
    return value is None or isinstance(value, kinds)


def _notes(entry: Entry) -> Iterator[Problem]:
    if entry.type not in NEEDED:
        reason = f"unknown type {entry.type!r}; kept, not understood"
        yield entry.problem("unknown_type", reason, note=True)
    version = entry.get("version") if entry.type == "transcript_open" else None
    if version is not None and version != VERSION:
        reason = f"written in format version {version}, and this spanscript reads version {VERSION}"
        yield entry.problem("version", f"{reason}: update spanscript (what it understands is shown)")
