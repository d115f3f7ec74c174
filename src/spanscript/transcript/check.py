"""
Whether a transcript is whole and true: every line, hash, parent, number, blob and body.

Lines are checked as they are read; what needs the whole (parents, numbers, bodies) comes after them.
"""

from __future__ import annotations

import bisect
import itertools
import os
from collections.abc import Iterator, Mapping
from typing import Final

from spanscript.transcript.contents import VALUES, is_intact
from spanscript.transcript.filling import Used
from spanscript.transcript.lines import Entry, Problem, TranscriptError, read
from spanscript.transcript.reader import Call, Transcript

_ENVELOPE: Final = ("timestamp", "writer", "seq")
_REQUEST: Final = "provider_call_request"
_PROOFS: Final[Mapping[str, str]] = {
    "harmed": "the rebuilt body does not have its `body_sha256`",
    "respaced": "the body was sent with spaces of its own: equal as JSON, not to the byte",
    "masked": "the body held a key, which stands as [secret]",
    "summary": "the body was a form; what tells of it stands in its place",
    "unproven": "a request without `body_sha256`",
}
"""What is said of a body that is not exact; only of a harmed one is it a problem."""

_OUTCOMES: Final = ("provider_call_response", "provider_call_error")


def check(path: str | os.PathLike[str]) -> Iterator[Problem]:
    """
    Every problem and note of a transcript file, or of a directory read as one.

    Raises:
        TranscriptError: *path* is missing, or a directory that holds no transcript.
    """
    return iter(Check(path))


class Check:
    """Iterates over problems and notes. Afterwards, `transcript` is what was read."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.transcript = Transcript()
        self._path = path
        self._writers: dict[str, _Numbers] = {}
        self._seen: set[int] = set()
        self._parents: list[tuple[str, Problem]] = []
        self._blobs = Used(path)

    def __iter__(self) -> Iterator[Problem]:
        for item in read(self._path):
            self.transcript.add(item)
            if isinstance(item, Problem):
                yield item
            else:
                yield from self._line(item)
        for numbers in self._writers.values():
            yield from numbers.problems()
        holds = self.transcript.contents.holds
        yield from (lost for name, lost in self._parents if not holds("message", name))
        for call in self.transcript.calls():
            yield from self._call(call)
        yield from self._blobs.unused()

    def _line(self, entry: Entry) -> Iterator[Problem]:
        missing = [key for key in _ENVELOPE if entry.get(key) is None]
        if missing:
            yield entry.problem("field", f"without {' and '.join(missing)}")
        elif (twin := self._numbers(entry).add(entry)) is not None:
            yield twin
            return
        faults = self._blob_faults(entry)
        yield from faults
        if entry.type == "message" or entry.type in VALUES:
            yield from () if faults else self._hashed(entry)
            self._note_parent(entry)
        if entry.type == _REQUEST or entry.type in _OUTCOMES:
            yield from self._once(entry)

    def _numbers(self, entry: Entry) -> _Numbers:
        return self._writers.setdefault(entry.get("writer"), _Numbers(entry))

    def _blob_faults(self, entry: Entry) -> list[Problem]:
        self._blobs.add(entry)
        return [entry.problem("blob", fault) for fault in self.transcript.contents.blobs.faults(entry)]

    def _hashed(self, entry: Entry) -> Iterator[Problem]:
        if not is_intact(self.transcript.fill(entry)):
            reason = f"the {entry.type} does not have the hash {entry.get('hash')} that it says"
            yield entry.problem("hash", reason)

    def _note_parent(self, entry: Entry) -> None:
        parent = entry.get("parent") if entry.type == "message" else None
        if parent is not None and not self.transcript.contents.holds("message", parent):
            lost = entry.problem("parent", f"the parent {parent} of this message is missing")
            self._parents.append((parent, lost))

    def _once(self, entry: Entry) -> Iterator[Problem]:
        name, attempt = entry.get("call_id"), entry.get("attempt")
        key = hash((entry.type == _REQUEST, name, attempt))  # a number, for there may be millions
        if key not in self._seen:
            self._seen.add(key)
            return
        call = self.transcript.calls().get(name) or Call(name)
        role, entries = ("request", call.requests) if entry.type == _REQUEST else ("outcome", call.outcomes)
        first = entries.get(attempt, entry).where
        if first != entry.where:
            reason = f"a second {role} of attempt {attempt} of call {name}; the first is at {first}"
            yield entry.problem("duplicate", reason)

    def _call(self, call: Call) -> Iterator[Problem]:
        for attempt, outcome in call.outcomes.items():
            if attempt not in call.requests:
                reason = f"attempt {attempt} of call {call.call_id} has an outcome and no request"
                yield outcome.problem("no_request", reason, note=self._began_elsewhere(outcome))
        for attempt, request in call.requests.items():
            if attempt not in call.outcomes:
                reason = f"attempt {attempt} of call {call.call_id} is unfinished: it has no outcome"
                yield request.problem("unfinished", reason, note=True)
            yield from self._body(request)
        yield from self._attempts(call)

    def _body(self, request: Entry) -> Iterator[Problem]:
        try:
            rebuilt = self.transcript.rebuild(self.transcript.whole(request))
        except TranscriptError as error:
            yield request.problem("body", str(error).removeprefix(f"{request.where}: "))
            return
        if rebuilt.proof in _PROOFS:
            yield request.problem("body", _PROOFS[rebuilt.proof], note=rebuilt.proof != "harmed")

    def _attempts(self, call: Call) -> Iterator[Problem]:
        numbers = set(call.attempts)
        # Ten at most are told, so no more are looked for: a forged number could be of any size.
        absent = (n for n in itertools.count() if n not in numbers)
        missing = [n for n in itertools.islice(absent, 10) if n < max(numbers, default=0)]
        if missing:
            anchor = next(iter((call.requests or call.outcomes).values()))
            reason = f"call {call.call_id} has no line of attempt {', '.join(map(str, missing))}"
            yield anchor.problem("attempt", reason, note=self._began_elsewhere(anchor))

    def _began_elsewhere(self, entry: Entry) -> bool:
        writer = self._writers.get(entry.get("writer"))
        return writer is not None and writer.began_elsewhere()


class _Numbers:
    """The line numbers of one writer, as sorted runs without holes between them."""

    def __init__(self, first: Entry) -> None:
        self._writer: str = first.get("writer")
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._opens: set[int] = set()
        self._gaps: dict[int, Problem] = {}
        self._anchors: dict[int, Problem] = {}

    def add(self, entry: Entry) -> Problem | None:
        """Count a line in; a problem if its number was there before."""
        number: int = entry.get("seq")
        at = bisect.bisect_right(self._starts, number)
        if at and number <= self._ends[at - 1]:
            reason = f"writer {self._writer} has line {number} twice; this one is a copy or a forgery"
            return entry.problem("duplicate", reason)
        if entry.type == "transcript_open":
            self._opens.add(number)
        if entry.type == "gap":
            self._gaps[number] = entry.problem("gap", _gap(entry))
        self._join(at, number, entry)
        return None

    def _join(self, at: int, number: int, entry: Entry) -> None:
        if at and self._ends[at - 1] == number - 1:
            self._ends[at - 1] = number
        else:
            self._starts.insert(at, number)
            self._ends.insert(at, number)
            self._anchors[number] = entry.problem("seq", "")
            at += 1
        if at < len(self._starts) and self._starts[at] == self._ends[at - 1] + 1:
            self._ends[at - 1] = self._ends.pop(at)
            self._anchors.pop(self._starts.pop(at))

    def problems(self) -> Iterator[Problem]:
        """The holes, and the gaps that the writer itself told of."""
        yield from self._gaps.values()
        expected = 0
        for start, end in zip(self._starts, self._ends, strict=True):
            if start > expected and not self._is_told(start):
                yield self._hole(expected, start)
            expected = end + 1

    def began_elsewhere(self) -> bool:
        """Whether the writer's first lines are in a file that was not read."""
        return self._starts[0] > 0 and self._starts[0] in self._opens

    def _is_told(self, start: int) -> bool:
        """Whether the writer itself tells of the hole before *start*, perhaps after opening a new file."""
        return next(n for n in itertools.count(start) if n not in self._opens) in self._gaps

    def _hole(self, expected: int, start: int) -> Problem:
        anchor = self._anchors[start]
        names = f"line {expected}" if start == expected + 1 else f"lines {expected} to {start - 1}"
        earlier = expected == 0 and start in self._opens
        why = "are in an earlier file" if earlier else "lost before this one"
        reason = f"{names} of writer {self._writer} {why}"
        return Problem(anchor.file, anchor.line, anchor.offset, "seq", reason, note=earlier)


def _gap(entry: Entry) -> str:
    dropped, reason = entry.get("dropped"), entry.get("reason") or "no reason given"
    count = "lines" if dropped is None else f"{dropped} line{'s' * (dropped != 1)}"
    return f"{count} could not be written before this one: {reason}"
