"""
One HTTP attempt while it lives: what has arrived, and how it ended.

The hot path appends `(time, bytes)` under a byte cap and looks for the terminal marker; decoding happens
once, after the end, and a broken stream decodes as far as it came.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from typing import Any, Final, Literal, Protocol

import msgspec
from msgspec import Struct

from spanscript import _wire, config
from spanscript._block import Foreseen, Plan
from spanscript._exchange import Failure, Outcome, Reply, Request, Status
from spanscript._failures import (
    INCOMPLETE_STREAM,
    MALFORMED_ANSWER,
    failure_of,
    is_retryable,
    is_retryable_exception,
    is_retryable_status,
    retry_after_ms,
)
from spanscript._guard import guarded
from spanscript._inflate import inflate
from spanscript._secrets import mask
from spanscript._subscribers import Progress, Telling

End = Literal["whole", "marker", "eof", "closed", "superseded"]
"""
How the body of an answer ended, as far as nothing was raised: it was there at once; its dialect's marker
came; no more bytes came; the app closed or dropped it; the client began its next attempt.
"""


_REQUEST_IDS: Final = ("x-request-id", "request-id", "x-amzn-requestid")
"""Headers that name a request."""


class RetryPolicy(Protocol):
    """What is known of a client's own retries."""

    @property
    def limit(self) -> int:
        """How many times it tries again at most."""

    def wants(self, status: int | None, headers: Mapping[str, str], error: BaseException | None) -> bool:
        """
        Whether it tries again, tries permitting.

        Args:
            status: Of the answer that it got, if that tells of a failure; else `None`, and *error* is one.
            headers: What is kept of that answer's.
            error: What was raised while it sent the request or read the answer, if anything was.
        """


class LentRetries(Struct, frozen=True):
    """The retries of a client that another one calls: they begin at that one's attempt *first*."""

    own: RetryPolicy
    first: int

    @property
    def limit(self) -> int:
        """Likewise, counted from the outer call's first attempt; none are none."""
        return self.own.limit and self.first + self.own.limit

    def wants(self, status: int | None, headers: Mapping[str, str], error: BaseException | None) -> bool:
        """What the client that does it says."""
        return self.own.wants(status, headers, error)


class Clock:
    """
    Wall time for one call and its attempts: read once, then carried on by the performance counter.

    So it never goes back, and no attempt seems to end after its call.
    """

    __slots__ = ("_counted", "started_ns")

    def __init__(self) -> None:
        self.started_ns = time.time_ns()
        self._counted = time.perf_counter_ns()

    def wall(self, counted: int) -> int:
        """A reading of the performance counter as nanoseconds since the epoch."""
        return self.started_ns + counted - self._counted

    def now(self) -> int:
        """Nanoseconds since the epoch."""
        return self.wall(time.perf_counter_ns())


class Owner(Protocol):
    """The call of an attempt, as far as the attempt must know it."""

    clock: Clock
    retry: RetryPolicy | None
    returned: bool
    telling: Telling | None

    @property
    def plan(self) -> Plan | None:
        """What the app itself does after a failure."""

    def attempt_ended(self, attempt: Attempt) -> None:
        """Take note; called once for each attempt."""


class Wire(Struct, frozen=True):
    """
    A request as the HTTP library sends it; `url` is without query and credentials.

    `summary`: `content` is not what is sent but tells of it, see `spanscript._forms`.
    """

    method: str
    url: str
    server_address: str
    server_port: int | None
    content: bytes
    summary: bool = False


class Attempt:
    """One HTTP request of a call, from just before its bytes leave to the end of its answer."""

    __slots__ = (
        "__weakref__",
        "_chunks",
        "_clock",
        "_ends",
        "_first",
        "_last",
        "_marker",
        "_size",
        "call",
        "headers",
        "http_status",
        "legs",
        "outcome",
        "progress",
        "request",
        "sending",
        "span",
        "started_ns",
        "wire",
    )

    def __init__(self, call: Owner, request: Request, wire: Wire) -> None:
        self.call = call
        self.request = request
        self.wire = wire
        self.span: Any = None
        self.sending = True
        """Whether its send has not returned: while it has not, what is sent in its context is part of it."""
        self.http_status: int | None = None
        self.headers: Mapping[str, str] = {}
        self.legs: list[int] = []
        """Statuses of the requests below one send: redirects, and retries of the app's own transport."""
        self.outcome: Outcome | None = None
        self._clock = call.clock
        self.started_ns = self._clock.now()
        self._first: int | None = None
        self._last = 0
        self._chunks: list[bytes] = []
        self._size = 0
        self._marker: _wire.AnyMarker | None = None
        self._ends = itertools.count()
        self.progress: Progress | None = None
        """What takes the bytes of the answer where somebody listens."""

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.outcome is None

    @property
    def failed(self) -> bool:
        """Whether it has ended, and not well."""
        return self.outcome is not None and self.outcome.failure is not None

    def respond(self, status: int, headers: Mapping[str, str]) -> None:
        """Take the head of the answer."""
        self.http_status = status
        self.headers = headers
        # In compressed bytes no marker can be seen: there the end decides.
        plain = headers.get("content-encoding", "identity") == "identity"
        kind = headers.get("content-type", "")
        self._marker = _wire.marker(self.request.dialect, kind) if plain else None
        if self.call.telling is not None:
            self.progress = self.call.telling.answering(self.request, kind if plain else "")

    @guarded
    def whole(self, body: bytes) -> None:
        """Take an answer that is there at once, with its content-encoding undone, and end."""
        self.headers = {k: v for k, v in self.headers.items() if k != "content-encoding"}
        self._chunks.append(body)
        self._end("whole")

    @guarded
    def chunk(self, data: bytes) -> None:
        """Take some bytes of a streamed answer, as they came over the wire."""
        if self.outcome is not None:
            return
        self._last = time.perf_counter_ns()
        if self._first is None:
            self._first = self._last
        self._size += len(data)
        if self._size <= config.MAX_ANSWER_BYTES:
            self._chunks.append(data)
            if self.progress is not None:
                self.progress.chunk(data)
        if self._marker is not None and self._marker.passed(data):
            self._end("marker")

    @guarded
    def end(self, how: End) -> None:
        """End without an exception. Only the first end counts."""
        self._end(how)

    @guarded
    def fail(self, error: BaseException) -> None:
        """End by an exception that was raised while sending or reading."""
        self._end("closed", error)

    def _end(self, how: End, error: BaseException | None = None) -> None:
        # next() of a count is one step for the interpreter: of two threads, one gets 0.
        if self.outcome is not None or next(self._ends):
            return
        self.outcome = self._judge(how, error) or self._unjudged()
        self._chunks.clear()
        self.call.attempt_ended(self)

    @guarded
    def _judge(self, how: End, error: BaseException | None) -> Outcome:
        reply = self._read(how) if self._chunks else None
        status, failure, retryable = self._verdict(how, error, reply)
        dropped = how == "closed" and error is None and self._first is not None
        empty = status == "ok" and self.request.converses and reply is not None and reply.says_nothing
        return Outcome(
            status=status,
            started_ns=self.started_ns,
            ended_ns=self._clock.wall(self._last) if dropped else self._clock.now(),
            first_chunk_ns=self._clock.wall(self._first) if self._first is not None else None,
            http_status=self._last_status,
            request_id=next((self.headers[n] for n in _REQUEST_IDS if n in self.headers), None),
            reply=reply,
            failure=failure,
            retryable=retryable,
            retry_after_ms=retry_after_ms(self.headers) if failure else None,
            truncated=self._size > config.MAX_ANSWER_BYTES,
            empty=empty,
        )

    def _unjudged(self) -> Outcome:
        """A fault of ours must not leave the call without an end."""
        failure = Failure("unreadable", "spanscript failed to read how this ended")
        return Outcome(
            status="error",
            started_ns=self.started_ns,
            ended_ns=self._clock.now(),
            http_status=self._last_status,
            failure=failure,
        )

    @property
    def _last_status(self) -> int | None:
        """Of its answer or, where an exception came instead, of the last one below it."""
        return self.legs[-1] if self.http_status is None and self.legs else self.http_status

    @guarded
    def _read(self, how: End) -> Reply | None:
        data = b"".join(self._chunks)
        encoding = self.headers.get("content-encoding", "")
        if encoding:
            data = inflate([data], encoding)
        kind = self.headers.get("content-type", "")
        status, ended = self.http_status or 200, how in ("whole", "eof")
        reply = _wire.read(self.request.dialect, kind, mask(data), status, ended=ended)
        reply = _wire.with_headers(reply, self.headers)
        return _masked(reply) if self._first is not None else reply

    def _verdict(
        self, how: End, error: BaseException | None, reply: Reply | None
    ) -> tuple[Status, Failure | None, bool | None]:
        """Status, failure and whether another try could help."""
        if error is not None:
            return self._raised(how, error)
        failure = reply.failure if reply else None
        if (self.http_status or 0) >= 300:
            failure = failure or Failure(type=str(self.http_status))
        elif failure is None and (reply is None or not reply.complete):
            if how == "closed":
                return "ok" if reply is not None and _is_finished(reply) else "abandoned", None, None
            failure = self._unfinished(how)
        if failure is None:
            return "ok", None, None
        return self._failed(how, failure, retryable=is_retryable(self.http_status, failure))

    def _raised(self, how: End, error: BaseException) -> tuple[Status, Failure | None, bool | None]:
        if isinstance(error, GeneratorExit):
            return "abandoned", None, None
        if not isinstance(error, Exception):
            return "cancelled", failure_of(error), False
        status = self._last_status or 0
        retryable = is_retryable_status(status) if status >= 400 else is_retryable_exception(error)
        return self._failed(how, failure_of(error), retryable=retryable, error=error)

    def _unfinished(self, how: End) -> Failure:
        if how == "whole" and not self.request.stream:
            return Failure(MALFORMED_ANSWER, "the answer is no JSON")
        return Failure(INCOMPLETE_STREAM, "the answer ended before its last event")

    def _failed(
        self, how: End, failure: Failure, *, retryable: bool, error: BaseException | None = None
    ) -> tuple[Status, Failure | None, bool | None]:
        if how == "superseded":
            return "retrying", failure, retryable
        status, plan = self._by_client(error), self.call.plan
        if plan is not None and status != "retrying":
            planned = plan.foresee(retryable=retryable, retry_after_ms=retry_after_ms(self.headers))
            status = status if planned == "error" else planned
        return status, failure, retryable

    def _by_client(self, error: BaseException | None) -> Foreseen:
        """What the client does about it by itself."""
        policy = self.call.retry
        if policy is None or policy.limit == 0 or not self._is_tried_again(policy, error):
            return "error"
        more = self.request.attempt < policy.limit
        if self.call.returned and (more or (self.http_status or 0) < 400):
            return "error"  # the client's loop is over, and gave this on as an answer
        return "retrying" if more else "retries_exhausted"

    def _is_tried_again(self, policy: RetryPolicy, error: BaseException | None) -> bool:
        """Whether the client's *policy* is to try again, tries permitting."""
        status = self.http_status if (self.http_status or 0) >= 400 else None
        if status is None and error is None:
            return False  # a client that has its answer asks no more, whatever the answer says
        return policy.wants(status, self.headers, error)


def _is_finished(reply: Reply) -> bool:
    """Whether the model was done, though not the stream: some clients read no further (litellm)."""
    return bool(reply.choices) and all(choice.finish_reason for choice in reply.choices)


def _masked(reply: Reply) -> Reply:
    """A key whose bytes came in several chunks is whole only now."""
    text = msgspec.json.encode(reply)
    masked = mask(text)
    return reply if masked is text else msgspec.json.decode(masked, type=Reply)
