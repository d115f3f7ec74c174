"""
One call while it lives: which attempts it made, and that it ends once.

A call has ended when its function has returned *and* the body of its last attempt is finished: at the
dialect's terminal marker, else at the end of the body, else when it is closed, else when it is garbage
(then with the time of the last chunk). So no stream object of a client is ever wrapped. A call that the app
itself opened (see `_block`) has the functions of its block, and is over with that.

Nothing here knows OpenTelemetry: see `Observer`.
"""

from __future__ import annotations

import itertools
from typing import Any, Protocol

from msgspec import Struct

from spanscript._attempt import Attempt, Clock, LentRetries, RetryPolicy
from spanscript._block import Block, Plan
from spanscript._exchange import Failure, Status
from spanscript._failures import failure_of
from spanscript._guard import guarded
from spanscript._ids import new_call_id
from spanscript._subscribers import telling
from spanscript._usage import tally
from spanscript._words import said


class CallInfo(Struct, frozen=True):
    """
    What a hook knows of a call when its method is entered.

    Attributes:
        client: The library's import name.
        operation: `gen_ai.operation.name`.
        provider: Who is asked, by the client's class or host; `None`: the requests' own hosts tell.
        model: As the caller named it.
        server_address, server_port: The host that will be asked.
        retry: The client's own retries, if they are known.
        traced: A span of its own, with usage, may be opened for this call further in: ours must step back.
        counted: A span further in, in which ours does not stand back, tells the tokens of a whole answer:
            ours must not tell them again.
        lazy: What the method returns may ask only when it is read. If nothing was sent by then, the call is
            forgotten, and each of those requests is a call of its own.
    """

    client: str
    operation: str
    provider: str | None
    model: str | None = None
    server_address: str | None = None
    server_port: int | None = None
    retry: RetryPolicy | None = None
    traced: bool = False
    counted: bool = False
    lazy: bool = False


class Observer(Protocol):
    """Who is told of calls and attempts. Its own state may stand in their `span`. Nothing of it raises."""

    def suppressed(self) -> bool | None:
        """Whether nothing is to be recorded in this context."""

    def call_started(self, call: Call) -> None:
        """*call* has begun; `call.info` is known, nothing was sent."""

    def attempt_started(self, attempt: Attempt) -> None:
        """*attempt* is about to be sent."""

    def attempt_ended(self, attempt: Attempt) -> None:
        """`attempt.outcome` is there."""

    def call_ended(self, call: Call) -> None:
        """`call.status` is there."""

    def enter(self, scope: Call | Attempt) -> Any:
        """Make *scope* current in this thread or task; what is returned goes to `leave`."""

    def leave(self, token: Any) -> None:
        """End what `enter` began."""


class Call:
    """One invocation of a client's method, as the app sees it; or what the app opened as one call."""

    __slots__ = (
        "_ends",
        "_left_ns",
        "_observer",
        "attempts",
        "block",
        "clock",
        "ended_ns",
        "failure",
        "id",
        "info",
        "inside",
        "last",
        "result",
        "retry",
        "returned",
        "span",
        "started_ns",
        "status",
        "tally",
        "telling",
        "words",
    )

    def __init__(
        self, info: CallInfo, observer: Observer, *, implicit: bool = False, block: Block | None = None
    ) -> None:
        self.id = new_call_id() if block is None else block.call_id
        self.info = info
        self.words = said()
        self.retry = info.retry
        self.block = block
        self.span: Any = None
        self.attempts = 0
        self.last: Attempt | None = None
        self.inside = False
        """Whether one of its methods is running: what is sent in there is part of it."""
        self.returned = implicit and block is None
        """Whether its methods are over. A call without a method is over with its attempt."""
        self.result: Any = None
        """What the method returned; kept only if no attempt was seen, for what can be read from it."""
        self.status: Status | None = None
        self.failure: Failure | None = None
        self.ended_ns: int | None = None
        self.clock = Clock()
        self.started_ns = self.clock.started_ns
        self.tally = tally()
        self.telling = telling()
        self._observer = observer
        self._ends = itertools.count()
        self._left_ns = self.started_ns
        if self.telling is not None:
            self.telling.call_started(self)

    @property
    def plan(self) -> Plan | None:
        """What the app itself does after a failure, if that is known."""
        return None if self.block is None else self.block.plan

    @property
    def latest(self) -> Attempt | None:
        """The last attempt, see `Held`."""
        return self.last

    def ask_again(self, info: CallInfo) -> None:
        """Another method is entered in the block of this call."""
        self.info = info
        self.retry = info.retry and LentRetries(info.retry, self.attempts)
        self.status = self.failure = None

    def begin(self, attempt: Attempt, waited_ms: float) -> None:
        """Take a new attempt, for which the app waited; it ends its predecessor."""
        if self.last is not None and self.last.running:
            self.last.end("superseded")
        self.attempts += 1
        self.last = attempt
        if self.tally is not None:
            self.tally.attempt_started(attempt.started_ns, waited_ms)
        if self.telling is not None:
            self.telling.call_started(self)

    def attempt_ended(self, attempt: Attempt) -> None:
        """Pass it on; the last attempt of a call whose methods have returned ends the call."""
        self._observer.attempt_ended(attempt)
        if self.tally is not None and attempt.outcome is not None:
            self.tally.attempt_ended(attempt.request, attempt.outcome)
        if self.telling is not None and attempt.outcome is not None:
            self.telling.attempt_ended(attempt.progress, attempt.request, attempt.outcome)
        if self.returned and attempt is self.last and attempt.outcome:
            self._end(attempt.outcome.ended_ns)

    @guarded
    def method_returned(self, result: Any) -> None:
        """The method is over; the call is, unless the body of its last attempt is still to be read."""
        if self.last is None:
            self.result = result
        self._leave()

    @guarded
    def method_raised(self, error: BaseException) -> None:
        """The method is over, and so is the call, unless its block is not."""
        self.failure = failure_of(error)
        if not isinstance(error, Exception):
            self.status = "cancelled"
        if self.last is not None and self.last.running:
            self.last.end("closed")
        self._leave()

    @guarded
    def close(self) -> None:
        """The block of the app is over."""
        self.returned = True
        if self.last is None or not self.last.running:
            outcome = self.last.outcome if self.last else None
            self._end(max(self._left_ns, outcome.ended_ns if outcome else 0))

    def forget(self) -> None:
        """It is over, and nobody is told: it was none. A span that was begun for it is never ended."""
        self.returned = True
        next(self._ends)

    def _leave(self) -> None:
        self._left_ns = self.clock.now()
        self.inside = False
        if self.block is not None:
            self.retry = None
        else:
            self.close()

    def _end(self, at_ns: int) -> None:
        if next(self._ends):
            return
        self.ended_ns = at_ns
        last = self.last.outcome if self.last else None
        if self.status is None:
            self.failure = (last and last.failure) or self.failure
            self.status = self._verdict(last.status if last else "ok")
        self._observer.call_ended(self)
        asked = self.last.request if self.last else self.info
        if self.tally is not None:
            self.tally.call_ended(asked.model, at_ns - self.started_ns)
        if self.telling is not None:
            self.telling.call_ended(self, asked, last)
        self.result = self.last = None  # an attempt knows its call: no cycle may keep its bytes alive

    def _verdict(self, last: Status) -> Status:
        if last == "retrying" or (last == "ok" and self.failure):
            # It was expected to be tried again and was not, or the client made an error of a good answer.
            return "error"
        return last
