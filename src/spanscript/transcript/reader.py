"""
A transcript as a whole: its calls, and the exact request of each of their attempts.

What is remembered is where things stand, not the things: contents are read again when they are asked for.
So a transcript of many gigabytes needs little memory, and beside large files an index is kept, so that they
need not be read again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from spanscript.transcript import resolve
from spanscript.transcript.calls import Call, Calls
from spanscript.transcript.contents import VALUES, Contents, Rebuilt, rebuild
from spanscript.transcript.indexing import Indexed, Progress
from spanscript.transcript.lines import Entry, Problem, TranscriptError, read, read_at
from spanscript.transcript.recorded import RecordedCall

__all__ = ["Call", "Entry", "Problem", "Rebuilt", "Transcript", "TranscriptError", "read"]


class Transcript:
    """
    The calls of a transcript file, or of a directory read as one.

    Args:
        path: File or directory; `None` for an empty one that is fed by `add`.
        progress: Is told how many bytes of how many have been read.

    Attributes:
        contents: What is named by hash.

    Raises:
        TranscriptError: *path* is missing, or a directory that holds no transcript.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, progress: Progress | None = None) -> None:
        self._open(path)
        for _ in self._indexed.refresh(progress):
            pass

    @classmethod
    def unread(cls, path: str | os.PathLike[str]) -> Transcript:
        """
        A transcript of which nothing was read yet: `stream` does it.

        Raises:
            TranscriptError: *path* is missing, or a directory that holds no transcript.
        """
        transcript = cls.__new__(cls)
        transcript._open(path)  # noqa: SLF001  # it is ours
        return transcript

    def _open(self, path: str | os.PathLike[str] | None) -> None:
        self._indexed = Indexed(path)
        self._calls = Calls(self._indexed)
        self.contents = Contents(self._indexed)

    @property
    def entries(self) -> int:
        """Number of entries that could be read."""
        return self._indexed.tally.entries

    @property
    def known(self) -> int:
        """Number of those whose type is known."""
        return self._indexed.tally.known

    @property
    def problems(self) -> int:
        """Number of problems met (notes do not count)."""
        return self._indexed.tally.problems

    @property
    def first_problem(self) -> Problem | None:
        """The first of them."""
        return self._indexed.tally.first

    def add(self, item: Entry | Problem) -> None:
        """Take in what `read` yielded. Of several entries of one attempt, the first stays."""
        self._indexed.tally.add(item)
        if isinstance(item, Entry):
            self._indexed.index.add(item)

    def stream(self, progress: Progress | None = None) -> Iterator[Call]:
        """
        Read what is new in the files, and give every call as soon as it ended; what has no end comes last.

        If nothing is new, that is the order in which they began. A call of which more came after it was given
        comes again, at the end. Of an interpretation that was written much later, a call does not tell yet.

        Raises:
            TranscriptError: The files are there no more.
        """
        return self._calls.stream(progress)

    def calls(self) -> Calls:
        """All calls in the order in which they began; each is read when it is asked for, and not kept."""
        return self._calls

    def find(self, name: str) -> Call:
        """
        The call whose id begins with *name*; `last` is the one that began last.

        Raises:
            TranscriptError: There is none, or more than one (the text names them).
        """
        return self._indexed.sure(lambda: self._find(name))

    def _find(self, name: str) -> Call:
        last = self._calls[-1:] if name == "last" else []
        found = last[0] if last else self._calls.get(name)
        if found is not None:
            return found
        if not self._calls:
            raise TranscriptError("the transcript holds no calls")
        count, keys = self._indexed.index.with_id(name.lower(), 5) if name else (0, [])
        if not count:
            raise TranscriptError(f"no call's id begins with {name!r}; `spanscript ls` lists the calls")
        if count > 1:
            ids = ", ".join(key.call_id.decode(errors="replace") for key in keys)
            raise TranscriptError(f"{count} calls' ids begin with {name!r}: {ids}{' …' if count > 5 else ''}")
        return self._calls.one(keys[0])

    def call(self, name: str) -> RecordedCall:
        """
        The call that `find` finds, with all that it sent and got.

        Raises:
            TranscriptError: There is none, or more than one (the text names them).
        """
        return RecordedCall(self, self.find(name))

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
