"""
A transcript as the data of the page; what was said is read, packed and let go, call by call.

Messages, prompts and tools stand in it once, as in the transcript, with the number of their parent; a call
names its last message. So long conversations stay as small as they are in the transcript.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, NamedTuple, TypeAlias

from msgspec import Struct

from spanscript import _json
from spanscript._exchange import Json
from spanscript._text import clean
from spanscript.transcript import summary
from spanscript.transcript.lines import Entry, Problem, TranscriptError, read
from spanscript.transcript.reader import Call, Transcript
from spanscript.viewer import records
from spanscript.viewer.costs import cost_of
from spanscript.viewer.pieces import Packer, element

Progress: TypeAlias = Callable[[str, int], None]
"""Is told of what (`lines read`) how many are done."""

_ROOT: Final = -1
_LOST: Final = -2
"""In the place of a message's number: there is none before it; it cannot be read."""

_PROBLEMS: Final = 500
_ERROR: Final = 300
"""Problems that are listed, and characters of an error message in the list of calls."""

_NAMED: Final[Mapping[str, Callable[[Entry, str | None], records.Record]]] = {
    "system_prompt": records.system_prompt,
    "tool_schemas": lambda entry, _: records.tool_schemas(entry),
}
"""What a request names by hash, and how it is told."""

_OF_ATTEMPT: Final = (
    "status",
    "http_status",
    "error_type",
    "error_message",
    "retry_after_ms",
    "first_chunk_ms",
    "response_ms",
    "waited_ms",
)


class Options(Struct, frozen=True):
    """
    What is put into the page.

    Attributes:
        images: Also images that are kept as blobs.
        progress: Is told now and then how far it is.
        chosen: Makes of the transcript the test of the calls that are shown; `None`: all are.
    """

    images: bool = False
    progress: Progress | None = None
    chosen: Callable[[Transcript], Callable[[Call], bool]] | None = None


_PLAIN: Final = Options()


class _Chain(NamedTuple):
    """The messages of a request: its last one, and the deepest that an earlier call had sent."""

    last: int | None
    shared: int


class Payload:
    """
    Reads a transcript, and iterates then, once, over pieces of HTML.

    Args:
        path: File of a transcript, or a directory read as one.
        options: What is put into the page.

    Attributes:
        transcript: What was read.
        calls: How many were put into the page.
        problems: What could not be read or found, as sentences; not all, if there are many.

    Raises:
        TranscriptError: *path* is missing, or a directory that holds no transcript.
    """

    def __init__(self, path: str | os.PathLike[str], options: Options = _PLAIN) -> None:
        self.transcript = Transcript()
        self.calls = 0
        self.problems: list[str] = []
        self._path = path
        self._options = options
        self._packer = Packer()
        self._numbers: dict[tuple[str, str], int] = {}
        self._owners: list[int] = []
        self._messages: list[int] = []
        self._parents: list[int] = []
        self._notes: dict[str | None, list[Entry]] = {}
        self._latest: dict[str | None, str] = {}
        for count, item in enumerate(read(path)):
            self._take(item)
            self._tell("lines read", count + 1)

    @property
    def problem_count(self) -> int:
        """How many problems there are."""
        return max(self.transcript.problems, len(self.problems))

    def __iter__(self) -> Iterator[bytes]:
        of = len(self.transcript.calls())
        rows: list[Json] = []
        for number, call in enumerate(self._chosen()):
            rows.append(self._row(call, number))
            yield from self._packer.full()
            self._tell(f"of {of:,} calls written", number + 1)
        self.calls = len(rows)
        yield from self._packer.rest()
        yield element("index", _json.dumps(self._index(rows)))

    def _chosen(self) -> Iterable[Call]:
        calls, chosen = self.transcript.calls(), self._options.chosen
        return calls if chosen is None else filter(chosen(self.transcript), calls)

    def _take(self, item: Entry | Problem) -> None:
        self.transcript.add(item)
        if isinstance(item, Problem):
            self._note(item)
        elif item.type == "gap":
            dropped, why = item.get("dropped"), item.get("reason")
            reason = f"lines that could not be written before this one: {dropped} ({why})"
            self._note(item.problem("gap", reason))
        elif item.type == "provider_call_request":
            self._latest[item.get("writer")] = item.get("call_id")
        elif item.type == "annotation":
            # One that is of no call stands with the call that the same process had begun last.
            call_id = item.get("call_id") or self._latest.get(item.get("writer"))
            place = Entry(item.file, item.line, item.offset, item.type, {})
            self._notes.setdefault(call_id, []).append(place)

    def _tell(self, what: str, done: int) -> None:
        if self._options.progress is not None:
            self._options.progress(what, done)

    def _note(self, problem: Problem) -> None:
        if not problem.note and len(self.problems) < _PROBLEMS:
            self.problems.append(clean(str(problem), one_line=True))

    def _index(self, rows: list[Json]) -> Json:
        return {
            "name": clean(os.fspath(self._path), one_line=True),
            "calls": rows,
            "starts": self._packer.starts,
            "owners": self._owners,
            "messages": self._messages,
            "parents": self._parents,
            "problems": self.problems,
            "problem_count": self.problem_count,
        }

    def _row(self, call: Call, number: int) -> Json:
        row: dict[str, Json] = {key: _cleaned(value) for key, value in summary.of_call(call).items()}
        row["attempt_list"] = [self._attempt(call, found, number) for found in summary.of_attempts(call)]
        row["cost_usd"] = cost_of(call)
        row["finish"] = ", ".join(map(records.text_of, call.first("finish_reasons") or ()))[:_ERROR] or None
        first = call.requests.get(min(call.requests, default=-1))
        if first is not None:
            row |= self._sent(first, number)
        if call.interpreted is not None:
            row["interpreted"] = self._whole(call.interpreted, records.interpretation, number)
        notes = self._notes.get(call.call_id, ())
        row["notes"] = [self._whole(note, records.annotation, number) for note in notes] or None
        return {key: value for key, value in row.items() if value is not None}

    def _attempt(self, call: Call, found: Mapping[str, Json], number: int) -> Json:
        attempt: dict[str, Json] = {key: _cleaned(found[key]) for key in _OF_ATTEMPT if key in found}
        at = found["attempt"]
        if at in call.requests:
            attempt["request"] = self._whole(call.requests[at], records.request, number)
        if at in call.outcomes:
            attempt["answer"] = self._whole(call.outcomes[at], records.answer, number)
        return attempt

    def _whole(self, brief: Entry, record: Callable[[Entry], Json], number: int) -> int | None:
        """The number of what a line of a call says; `None`, and a problem, if it cannot be read."""
        try:
            return self._add(record(self.transcript.whole(brief)), number)
        except TranscriptError as error:
            self._note(brief.problem("content", str(error)))
            return None

    def _add(self, record: Json, number: int) -> int:
        self._owners.append(number)
        return self._packer.add(record)

    def _sent(self, request: Entry, number: int) -> dict[str, Json]:
        """What a call sent, by the numbers of its parts."""
        dialect = request.get("dialect")
        chain = self._chain(request, dialect, number)
        shared = chain.shared if chain.shared >= 0 else None
        return {
            "system": self._named("system_prompt", request, number),
            "tools": self._named("tool_schemas", request, number),
            "context": chain.last,
            "shared": shared,
            "continues": None if shared is None else self._owners[self._messages[shared]],
        }

    def _named(self, kind: str, request: Entry, number: int) -> int | None:
        name = request.get(kind)
        if name is None:
            return None
        if (kind, name) not in self._numbers:
            entry = self._get(kind, name, request)
            if entry is None:
                return _LOST
            self._numbers[kind, name] = self._add(_NAMED[kind](entry, request.get("dialect")), number)
        return self._numbers[kind, name]

    def _chain(self, request: Entry, dialect: str | None, number: int) -> _Chain:
        """Number the messages of a request that no call before it had."""
        name = request.get("context")
        fresh: dict[str, Entry] = {}
        while name is not None and ("message", name) not in self._numbers:
            if name in fresh:
                self._note(request.problem("content", f"the parents of message {name} run in a circle"))
                break
            entry = self._get("message", name, request)
            if entry is None:
                break
            fresh[name] = entry
            name = entry.get("parent")
        shared = parent = _ROOT if name is None else self._numbers.get(("message", name), _LOST)
        for hash_, entry in reversed(fresh.items()):
            parent = self._message(entry, dialect, parent, number)
            self._numbers["message", hash_] = parent
        return _Chain(None if request.get("context") is None else parent, shared)

    def _message(self, entry: Entry, dialect: str | None, parent: int, number: int) -> int:
        record = records.message(self._with_images(entry), entry, dialect)
        self._messages.append(self._add(record, number))
        self._parents.append(parent)
        return len(self._parents) - 1

    def _get(self, kind: str, name: str, request: Entry) -> Entry | None:
        try:
            return self.transcript.contents.get(kind, name, request.get("writer"))
        except TranscriptError as error:
            self._note(request.problem("content", str(error)))
            return None

    def _with_images(self, entry: Entry) -> Entry:
        if not self._options.images:
            return entry
        try:
            return self.transcript.fill(entry)
        except TranscriptError as error:
            self._note(entry.problem("blob", str(error)))
            return entry


def _cleaned(value: Json) -> Json:
    return value if isinstance(value, (int, float)) else records.text_of(value)[:_ERROR]
