"""
A transcript as a whole: its calls, and the exact request of each of their attempts.

`Transcript` reads every line once and remembers where things stand, not the things; contents are read
again when they are asked for. So a transcript of many gigabytes needs little memory.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from itertools import chain
from typing import Final

from msgspec import Struct, field

from spanscript._exchange import Json
from spanscript.transcript import resolve
from spanscript.transcript.contents import VALUES, Contents, Rebuilt, rebuild
from spanscript.transcript.lines import NEEDED, Entry, Problem, TranscriptError, read, read_at

__all__ = ["Call", "Entry", "Problem", "Rebuilt", "Transcript", "TranscriptError", "read"]

_BRIEF: Final = 1024
"""Bytes up to which a value of a call's entry is kept in memory."""


class Call(Struct):
    """
    A call as the transcript tells of it.

    The entries are brief: values over a kilobyte are left out, `Transcript.whole` gives them.

    Attributes:
        call_id: Its UUID.
        requests, outcomes: By attempt, from 0. An attempt without an outcome did not live to its end.
        interpreted: What the app made of the answer, if it says so.
        annotations: What the app said of the call, in the order of the lines.
    """

    call_id: str
    requests: dict[int, Entry] = field(default_factory=dict)
    outcomes: dict[int, Entry] = field(default_factory=dict)
    interpreted: Entry | None = None
    annotations: list[Entry] = field(default_factory=list)

    @property
    def attempts(self) -> list[int]:
        """Numbers of all attempts of which there is a line."""
        return sorted(self.requests.keys() | self.outcomes.keys())

    @property
    def timestamp(self) -> str:
        """When its first line was written, as it stands there; empty if no line says."""
        lines = chain(self.requests.values(), self.outcomes.values())
        return min(filter(None, (entry.get("timestamp") for entry in lines)), default="")

    @property
    def status(self) -> str:
        """How its last attempt ended."""
        return self.attempt_status(max(self.attempts, default=0))

    def attempt_status(self, attempt: int) -> str:
        """`ok`, a status of `provider_call_error`, or `unfinished`."""
        outcome = self.outcomes.get(attempt)
        if outcome is None:
            return "unfinished"
        return "ok" if outcome.type == "provider_call_response" else outcome.get("status") or "error"

    def first(self, key: str) -> Json:
        """The first value of *key* among its entries: requests, then outcomes from the last one."""
        outcomes = (self.outcomes[n] for n in sorted(self.outcomes, reverse=True))
        lines = chain((self.requests[n] for n in sorted(self.requests)), outcomes)
        return next((value for entry in lines if (value := entry.get(key)) is not None), None)


class Transcript:
    """
    The calls of a transcript file, or of a directory read as one.

    Args:
        path: File or directory; `None` for an empty one that is fed by `add`.

    Attributes:
        contents: What is named by hash.
        entries: Number of entries that could be read.
        known: Number of those whose type is known.
        problems: Number of problems met (notes do not count).
        first_problem: The first of them.

    Raises:
        TranscriptError: *path* is missing, or a directory that holds no transcript.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.contents = Contents()
        self.entries = 0
        self.known = 0
        self.problems = 0
        self.first_problem: Problem | None = None
        self._calls: dict[str, Call] = {}
        self._handlers: Mapping[str, Callable[[Entry], object]] = {
            "message": self.contents.add,
            "system_prompt": self.contents.add,
            "tool_schemas": self.contents.add,
            "provider_call_request": self._add_request,
            "provider_call_response": self._add_outcome,
            "provider_call_error": self._add_outcome,
            "interpreted_response": self._add_interpreted,
            "annotation": self._add_annotation,
        }
        for item in read(path) if path is not None else ():
            self.add(item)

    def add(self, item: Entry | Problem) -> None:
        """Take in what `read` yielded. Of several entries of one attempt, the first stays."""
        if isinstance(item, Entry):
            self.entries += 1
            self.known += item.type in NEEDED
            if item.type in self._handlers:
                self._handlers[item.type](item)
        elif not item.note:
            self.problems += 1
            self.first_problem = self.first_problem or item

    def calls(self) -> list[Call]:
        """All calls in the order in which they began."""
        return sorted(self._calls.values(), key=lambda call: (call.timestamp, call.call_id))

    def find(self, name: str) -> Call:
        """
        The call whose id begins with *name*; `last` is the one that began last.

        Raises:
            TranscriptError: There is none, or more than one (the text names them).
        """
        calls = self.calls()
        if not calls:
            raise TranscriptError("the transcript holds no calls")
        if name == "last":
            return calls[-1]
        if name in self._calls:
            return self._calls[name]
        found = [call for call in calls if name and call.call_id.startswith(name.lower())]
        if not found:
            raise TranscriptError(f"no call's id begins with {name!r}; `spanscript ls` lists the calls")
        if len(found) > 1:
            ids = ", ".join(call.call_id for call in found[:5]) + (" …" if found[5:] else "")
            raise TranscriptError(f"{len(found)} calls' ids begin with {name!r}: {ids}")
        return found[0]

    def request(self, call: Call, attempt: int | None = None) -> Entry:
        """
        The whole request entry of an attempt; of the last one if *attempt* is `None`.

        Raises:
            TranscriptError: No request line of it was read.
        """
        number = max(call.requests, default=None) if attempt is None else attempt
        if number is None or number not in call.requests:
            what = "any attempt" if number is None else f"attempt {number}"
            have = f"; it has {', '.join(map(str, sorted(call.requests)))}" if call.requests else ""
            raise TranscriptError(f"call {call.call_id} has no request line of {what}{have}")
        return self.whole(call.requests[number])

    def whole(self, entry: Entry) -> Entry:
        """
        A call's brief entry with all its values, as they stand in its line: `fill` puts blobs back.

        Raises:
            TranscriptError: The file changed since it was read.
        """
        return read_at(entry.file, entry.line, entry.offset)

    def fill(self, entry: Entry) -> Entry:
        """
        An entry with blobs back in the place of their marks.

        Raises:
            TranscriptError: One is missing or harmed.
        """
        return self.contents.blobs.fill(entry)

    def body(self, request: Entry) -> bytes:
        """The request body as it was sent; see `rebuild`."""
        return self.rebuild(request).content

    def rebuild(self, request: Entry) -> Rebuilt:
        """
        The request body of a whole request entry, and whether it is exact.

        Raises:
            TranscriptError: The entry has no body, or names something that the transcript does not hold.
        """
        return rebuild(request, self.contents)

    def messages(self, request: Entry) -> list[bytes]:
        """
        The raw JSON of every message of a request's context, oldest first, with marks in the place of blobs.

        Raises:
            TranscriptError: One is missing, or the chain of parents runs in a circle.
        """
        context = self.contents.context(request.get("context"))
        return [resolve.message_text(entry.raw) for entry in context]

    def value(self, request: Entry, key: str) -> bytes | None:
        """
        The raw JSON of what a request names by hash under *key*: `system_prompt` or `tool_schemas`.

        Marks stand in it in the place of blobs.

        Raises:
            TranscriptError: The transcript does not hold it.
        """
        name = request.get(key)
        return None if name is None else self.contents.get(key, name).raw[VALUES[key]]

    def _call(self, entry: Entry) -> Call:
        name = entry.get("call_id")
        return self._calls.setdefault(name, Call(name))

    def _add_request(self, entry: Entry) -> None:
        self._call(entry).requests.setdefault(entry.get("attempt"), _brief(entry))

    def _add_outcome(self, entry: Entry) -> None:
        self._call(entry).outcomes.setdefault(entry.get("attempt"), _brief(entry))

    def _add_interpreted(self, entry: Entry) -> None:
        self._call(entry).interpreted = _brief(entry)

    def _add_annotation(self, entry: Entry) -> None:
        if isinstance(entry.get("call_id"), str):
            self._call(entry).annotations.append(_brief(entry))


def _brief(entry: Entry) -> Entry:
    raw = {key: value for key, value in entry.raw.items() if len(value) <= _BRIEF}
    return Entry(entry.file, entry.line, entry.offset, entry.type, raw)
