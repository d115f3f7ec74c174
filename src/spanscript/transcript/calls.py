"""
Calls, put together from the lines that tell of them, a few at a time.

The lines are read in their files whenever a call is asked for: in memory are only the calls in hand.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO, Final, overload

from msgspec import Struct, field

from spanscript._exchange import Json
from spanscript.transcript import summary
from spanscript.transcript.index import OF_CALLS, CallKey, Page
from spanscript.transcript.indexing import Indexed, Progress
from spanscript.transcript.lines import Entry, Place, StaleError, TranscriptError, entry_at, open_file

_BRIEF: Final = 1024
"""Bytes up to which a value of a call's entry is kept in memory."""

_PAGE: Final = 128
"""Calls that are put together at once."""

_GOES_ON: Final = ("retrying", "unfinished")
"""Statuses of a call of which more is to be expected."""


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

    def as_dict(self) -> dict[str, Json]:
        """What is known of it in brief, as `spanscript ls --json` lists calls."""
        return summary.of_call(self)


class Calls(Sequence[Call]):
    """All calls in the order in which they began. Each is read when it is asked for, and not kept."""

    def __init__(self, indexed: Indexed) -> None:
        self._indexed = indexed

    def __len__(self) -> int:
        return self._indexed.sure(self._count)

    @overload
    def __getitem__(self, at: int) -> Call: ...
    @overload
    def __getitem__(self, at: slice) -> list[Call]: ...
    def __getitem__(self, at: int | slice) -> Call | list[Call]:
        if isinstance(at, slice):
            wanted = range(len(self))[at]
            first, last = min(wanted, default=0), max(wanted, default=-1)
            part = list(islice(self._walk(skip=first), last + 1 - first))
            return [part[number - first] for number in wanted if number - first < len(part)]
        found = self._walk(back=at < 0, skip=at if at >= 0 else -1 - at, page=1)
        call = next(found, None)
        if call is None:
            raise IndexError(at)
        return call

    def __iter__(self) -> Iterator[Call]:
        return self._walk()

    def __reversed__(self) -> Iterator[Call]:
        return self._walk(back=True)

    def get(self, call_id: str) -> Call | None:
        """The call with that id, if there is one."""
        key = self._indexed.sure(partial(self._key, call_id))
        return None if key is None else self.one(key)

    def one(self, key: CallKey) -> Call:
        """The call with that place in the order."""
        return self._indexed.sure(lambda: self._read([key]))[0]

    def stream(self, progress: Progress | None) -> Iterator[Call]:
        """Each call as soon as it ended, while the files are read; see `Transcript.stream`."""
        steps = self._indexed.refresh(progress)
        next(steps, None)  # what was known of the files before is now known to be right
        yield from self._rest()
        for ended in steps:
            yield from self._give(self._indexed.index.not_given(ended), _GOES_ON)
        yield from self._rest()

    def _count(self) -> int:
        return self._indexed.index.count()

    def _walk(self, *, back: bool = False, skip: int = 0, page: int = _PAGE) -> Iterator[Call]:
        asked: Page | None = Page(None, page, skip=skip, back=back)
        while asked is not None:
            asked, calls = self._indexed.sure(partial(self._next, asked))
            yield from calls

    def _next(self, page: Page) -> tuple[Page | None, list[Call]]:
        """The calls of a page, and the page after it."""
        keys = self._indexed.index.calls(page)
        after = page._replace(after=keys[-1], skip=0) if keys else None
        return after, self._read(keys)

    def _key(self, call_id: str) -> CallKey | None:
        return self._indexed.index.call(call_id)

    def _keys(self, page: Page) -> list[CallKey]:
        return self._indexed.index.calls(page)

    def _rest(self) -> Iterator[Call]:
        """All calls that `_give` did not give as they are now."""
        page = Page(None, _PAGE, given=False)
        while keys := self._indexed.sure(partial(self._keys, page)):
            yield from self._give(keys)
            page = page._replace(after=keys[-1])

    def _give(self, keys: Sequence[CallKey], unless: tuple[str, ...] = ()) -> Iterator[Call]:
        """Read calls and remember that, but for those with one of some statuses."""
        for key in keys:
            call = self.one(key)
            if call.status not in unless:
                self._indexed.index.give(key)
                yield call

    def _read(self, keys: Sequence[CallKey]) -> list[Call]:
        with contextlib.ExitStack() as stack:
            streams: dict[str, BinaryIO] = {}
            return [self._put_together(key, streams, stack) for key in keys]

    def _put_together(self, key: CallKey, streams: dict[str, BinaryIO], stack: contextlib.ExitStack) -> Call:
        places = self._indexed.index.lines(key.call_id)
        if not places:
            raise StaleError
        call = Call(key.call_id.decode("utf-8", "surrogatepass"))
        for place in places:
            if place.file not in streams:
                streams[place.file] = stack.enter_context(_opened(place))
            entry = entry_at(streams[place.file], place)
            if entry.type not in OF_CALLS or entry.get("call_id") != call.call_id:
                raise StaleError(place)
            _add(call, _brief(entry))
        return call


def _add(call: Call, entry: Entry) -> None:
    """Of several entries of one attempt the first stays, of interpretations the last."""
    if entry.type == "interpreted_response":
        call.interpreted = entry
    elif entry.type == "annotation":
        call.annotations.append(entry)
    else:
        among = call.requests if entry.type == "provider_call_request" else call.outcomes
        among.setdefault(entry.get("attempt"), entry)


def _opened(place: Place) -> BinaryIO:
    try:
        return open_file(Path(place.file))
    except OSError as error:
        raise TranscriptError(f"{place.file}: cannot be read: {error.strerror or error}") from error


def _brief(entry: Entry) -> Entry:
    raw = {key: value for key, value in entry.raw.items() if len(value) <= _BRIEF}
    return Entry(entry.file, entry.line, entry.offset, entry.type, raw)
