"""
Scripts: what the loopback provider does to which request.

A step is written as words: `ok`, a status (`429`), a fault (`cut`), the name of a flag (`gzip`), a field
(`delay=0.1`, `after=2`), or else a response header (`retry-after-ms=20`).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeAlias, get_args

Fault = Literal["reset", "cut", "badframe", "hang", "truncate", "unended", "malformed", "error", "failed"]
"""
What goes wrong with an answer:

- `reset`: the connection is reset; before the headers, or after `after` events.
- `cut`: the connection is closed in an orderly way before the body's end.
- `badframe`: the chunked transfer coding itself is broken.
- `hang`: nothing more comes until `Provider.release` (then it goes on) or the client leaves; before the
  headers, or after `after` events.
- `truncate`: the body ends well for HTTP, but in the middle.
- `unended`: likewise, only the dialect's terminal marker is missing.
- `malformed`: an event (or the body) is no JSON.
- `error`: an error event inside a stream with status 200 (or a body that is an error); the stream ends.
- `failed`: likewise, as `response.failed` where the dialect has that.
"""


@dataclass(frozen=True)
class Step:
    """
    How one request is answered.

    Attributes:
        status: HTTP status. From 400 on the body is the provider's error body; 3xx redirects to itself.
        headers: Response headers, added or replaced.
        fault: See `Fault`; `None` if all goes well.
        after: Number of events (pieces, with `chunk_size`) sent before the fault, negative from the end.
            `None`: in the middle, or before the headers for `reset` and `hang`.
        delay: Seconds before the headers.
        chunk_delay: Seconds before each piece of the body but the first.
        chunk_size: The body is sent in pieces of so many bytes, whatever the events.
        gzip: Whether the body is compressed.
        answer: Fields of `policy.Answer` to answer with.
        raw: The body, verbatim, in these pieces.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    fault: Fault | None = None
    after: int | None = None
    delay: float = 0.0
    chunk_delay: float = 0.0
    chunk_size: int | None = None
    gzip: bool = False
    answer: Mapping[str, Any] = field(default_factory=dict)
    raw: tuple[bytes, ...] | None = None


AnyStep: TypeAlias = Step | str | Mapping[str, Any]
"""A step, its words, or (over the wire) an object with its fields, `raw` as a list of strings."""

_NUMBERS = {"after": int, "delay": float, "chunk_delay": float, "chunk_size": int}


def step(given: AnyStep) -> Step:
    """
    Read a step.

    Raises:
        ValueError: A word or a field is none of those that are known.
    """
    if isinstance(given, Step):
        return given
    if isinstance(given, str):
        return _from_words(given)
    unknown = set(given) - {f.name for f in fields(Step)}
    if unknown:
        raise ValueError(f"a step has no fields {', '.join(sorted(unknown))}")
    found = dict(given)
    if found.get("raw") is not None:
        found["raw"] = tuple(piece.encode() for piece in found["raw"])
    return Step(**found)


def _from_words(text: str) -> Step:
    found: dict[str, Any] = {}
    headers: dict[str, str] = {}
    for word in text.split():
        key, equals, value = word.partition("=")
        if equals and key in _NUMBERS:
            found[key] = _NUMBERS[key](value)
        elif equals:
            headers[key] = value
        else:
            found |= _from_word(word)
    return Step(headers=headers, **found)


def _from_word(word: str) -> dict[str, Any]:
    if word.isdecimal():
        return {"status": int(word)}
    if word in get_args(Fault):
        return {"fault": word}
    if word == "gzip":
        return {"gzip": True}
    if word == "ok":
        return {}
    raise ValueError(f"{word!r} is no status, no fault and no field of a step")


class Script:
    """The steps to come, in queues: one for every request, and one for each text to look for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queues: list[tuple[bytes, deque[Step], Step | None]] = []

    def replace(self, steps: Iterable[AnyStep], *, match: str | None = None, forever: bool = False) -> None:
        """
        Answer with `steps` in turn; after them all goes well, or, `forever`, with the last one.

        With `match` only requests whose body has this text take a step of this queue.
        """
        read = deque(step(s) for s in steps)
        needle = (match or "").encode()
        last = read[-1] if forever and read else None
        with self._lock:
            kept = [queue for queue in self._queues if queue[0] != needle]
            self._queues = sorted([*kept, (needle, read, last)], key=lambda q: -len(q[0]))

    def clear(self) -> None:
        """Forget all steps."""
        with self._lock:
            self._queues = []

    def next(self, body: bytes) -> Step:
        """Take the step for a request: the queue with the longest matching text has the say."""
        with self._lock:
            for needle, steps, last in self._queues:
                if needle in body and (steps or last is not None or not needle):
                    return steps.popleft() if steps else last or Step()
        return Step()
