"""
Calls while they live: who is current, which attempts they made, and that each ends once.

A call has ended when its function has returned *and* the body of its last attempt is finished: at the
dialect's terminal marker, else at the end of the body, else when it is closed, else when it is garbage
(then with the time of the last chunk). So no stream object of a client is ever wrapped.

- An attempt outside any call is a call of its own.
- A call inside a call joins it; but one begun while an attempt is being sent (a middleware that asks
  another model) is a new call.
- One running attempt per send: an inner transport that sends the same request does not count it again.
- A new attempt ends its predecessor, whose body the client never read: we do not read it either.

Nothing here knows OpenTelemetry: see `Observer`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextvars import ContextVar, Token
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

from spanscript._asked import Asked, AskedReader
from spanscript._attempt import Attempt, Clock, LentRetries, RetryPolicy, Wire
from spanscript._dialects import Match
from spanscript._exchange import Failure, Request, Status
from spanscript._failures import failure_of
from spanscript._guard import guarded
from spanscript._ids import new_call_id
from spanscript._providers import provider_of_host
from spanscript._secrets import mask
from spanscript._usage import tally
from spanscript._words import said

if TYPE_CHECKING:
    from typing_extensions import Self


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
    """One invocation of a client's method, as the app sees it."""

    __slots__ = (
        "_ends",
        "_observer",
        "attempts",
        "clock",
        "ended_ns",
        "failure",
        "id",
        "info",
        "last",
        "result",
        "retry",
        "returned",
        "span",
        "started_ns",
        "status",
        "tally",
        "words",
    )

    def __init__(self, info: CallInfo, observer: Observer, *, implicit: bool = False) -> None:
        self.id = new_call_id()
        self.info = info
        self.words = said()
        self.retry = info.retry
        self.span: Any = None
        self.attempts = 0
        self.last: Attempt | None = None
        self.returned = implicit
        """Whether the method is over. A call without a method is over with its attempt."""
        self.result: Any = None
        """What the method returned; kept only if no attempt was seen, for what can be read from it."""
        self.status: Status | None = None
        self.failure: Failure | None = None
        self.ended_ns: int | None = None
        self.clock = Clock()
        self.started_ns = self.clock.started_ns
        self.tally = tally()
        self._observer = observer
        self._ends = itertools.count()

    def begin(self, attempt: Attempt) -> None:
        """Take a new attempt; it ends its predecessor."""
        if self.last is not None and self.last.running:
            self.last.end("superseded")
        self.attempts += 1
        self.last = attempt
        if self.tally is not None:
            self.tally.attempt_started(attempt.started_ns)

    def attempt_ended(self, attempt: Attempt) -> None:
        """Pass it on; the last attempt of a call whose method has returned ends the call."""
        self._observer.attempt_ended(attempt)
        if self.tally is not None and attempt.outcome is not None:
            self.tally.attempt_ended(attempt.request, attempt.outcome)
        if self.returned and attempt is self.last and attempt.outcome:
            self._end(attempt.outcome.ended_ns)

    @guarded
    def method_returned(self, result: Any) -> None:
        """The method is over; the call is, unless the body of its last attempt is still to be read."""
        self.returned = True
        if self.last is None:
            self.result = result
        if self.last is None or not self.last.running:
            self._end(self.clock.now())

    @guarded
    def method_raised(self, error: BaseException) -> None:
        """The method is over, and so is the call."""
        self.failure = failure_of(error)
        if not isinstance(error, Exception):
            self.status = "cancelled"
        if self.last is not None and self.last.running:
            self.last.end("closed")
        self.returned = True
        self._end(self.clock.now())

    def forget(self) -> None:
        """It is over, and nobody is told: it was none. A span that was begun for it is never ended."""
        self.returned = True
        next(self._ends)

    def _end(self, at_ns: int) -> None:
        if next(self._ends):
            return
        self.ended_ns = at_ns
        last = self.last.outcome if self.last else None
        if self.status is None:
            self.failure = (last and last.failure) or self.failure
            self.status = self._verdict(last.status if last else "ok")
        self._observer.call_ended(self)
        if self.tally is not None:
            asked = self.last.request if self.last else self.info
            self.tally.call_ended(asked.model, at_ns - self.started_ns)
        self.result = self.last = None  # an attempt knows its call: no cycle may keep its bytes alive

    def _verdict(self, last: Status) -> Status:
        if last == "retrying" or (last == "ok" and self.failure):
            # It was expected to be tried again and was not, or the client made an error of a good answer.
            return "error"
        return last


class Calling:
    """
    A client's method while it runs. Sync and async hooks differ by an `await` inside the `with`.

    Set `result` to what the method returned.
    """

    __slots__ = ("_call", "_reset", "result")

    def __init__(self, call: Call, reset: Callable[[], None]) -> None:
        self._call = call
        self._reset = reset
        self.result: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reset()
        if error is not None:
            self._call.method_raised(error)
        elif self._call.info.lazy and not self._call.attempts:
            self._call.forget()
        else:
            self._call.method_returned(self.result)


class Joined:
    """A method that is entered inside a call: it is part of it, and lends it its retry policy."""

    __slots__ = ("_before", "_call", "result")

    def __init__(self, call: Call, retry: RetryPolicy) -> None:
        self._call = call
        self._before = call.retry
        call.retry = LentRetries(retry, call.attempts)
        self.result: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._call.retry = self._before


class Sending:
    """An attempt while its request is sent and the head of its answer awaited."""

    __slots__ = ("_reset", "attempt")

    def __init__(self, attempt: Attempt, reset: Callable[[], None]) -> None:
        self.attempt = attempt
        self._reset = reset

    def __enter__(self) -> Attempt:
        return self.attempt

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.attempt.sending = False
        self._reset()
        if error is not None:
            self.attempt.fail(error)


class Calls:
    """Where hooks report to: begins calls and attempts, and knows which are current."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._reader = AskedReader()

    @guarded
    def calling(self, describe: Callable[..., CallInfo | None], *args: Any) -> Calling | Joined | None:
        """
        A client's method is entered. *describe* is not asked within a call whose retries are known.

        Returns:
            What to run the method in; `None` if it is no call of its own, and has nothing to lend.
        """
        outer = _joined()
        if outer is not None and outer.info.retry is not None:
            return None
        info = describe(*args)
        if outer is not None:
            return Joined(outer, info.retry) if info is not None and info.retry is not None else None
        if info is None or self._observer.suppressed():
            return None
        call = Call(info, self._observer)
        self._observer.call_started(call)
        tokens = _call.set(call), _attempt.set(None), self._observer.enter(call)
        return Calling(call, lambda: self._leave(*tokens))

    @guarded
    def sending(self, match: Match, wire: Wire, client: str) -> Sending | None:
        """
        A request is about to be sent.

        Returns:
            What to send it in; `None` if it is no LLM request, or is seen already further out.
        """
        outer = current_attempt()
        if outer is not None and outer.wire.content == wire.content:
            return None
        call = _joined()
        content = mask(wire.content)
        asked = self._reader.read(match, content)
        if call is None and (asked is None or self._observer.suppressed()):
            return None
        if call is None:
            call = Call(_implicit(match, wire, client, asked), self._observer, implicit=True)
            self._observer.call_started(call)
        request = _request(call, match, wire, content, asked)
        attempt = Attempt(call, request, wire)
        call.begin(attempt)
        self._observer.attempt_started(attempt)
        tokens = None, _attempt.set(attempt), self._observer.enter(attempt)
        return Sending(attempt, lambda: self._leave(*tokens))

    @guarded
    def _leave(self, call: Token[Call | None] | None, attempt: Token[Attempt | None], entered: Any) -> None:
        self._observer.leave(entered)
        _attempt.reset(attempt)
        if call is not None:
            _call.reset(call)


def current_attempt() -> Attempt | None:
    """The attempt that is being sent in this thread or task."""
    attempt = _attempt.get()
    return attempt if attempt is not None and attempt.sending else None


def _joined() -> Call | None:
    """The call that what happens now is a part of."""
    call = _call.get()
    if call is None or call.returned or current_attempt() is not None:
        return None
    return call


def _implicit(match: Match, wire: Wire, client: str, asked: Asked | None) -> CallInfo:
    return CallInfo(
        client=client,
        operation=asked.dialect.operation if asked else match.operation,
        provider=_provider(wire, asked),
        model=asked.model if asked else None,
        server_address=wire.server_address,
        server_port=wire.server_port,
    )


def _provider(wire: Wire, asked: Asked | None) -> str:
    default = asked.dialect.provider if asked else None
    return provider_of_host(wire.server_address) or default or wire.server_address


def _request(call: Call, match: Match, wire: Wire, content: bytes, asked: Asked | None) -> Request:
    asked = asked or Asked(match.dialects[0], model=match.model, stream=bool(match.stream))
    return Request(
        call_id=call.id,
        attempt=call.attempts,
        dialect=asked.dialect,
        provider=call.info.provider or _provider(wire, asked),
        client=call.info.client,
        url=wire.url,
        server_address=wire.server_address,
        server_port=wire.server_port,
        content=content,
        masked=content is not wire.content,
        summary=wire.summary,
        split=asked.split,
        model=asked.model or call.info.model,
        stream=asked.stream,
        params=asked.params,
        tool_count=asked.tool_count,
        prompt_chars=asked.prompt_chars,
        iteration=call.words.iteration,
        stage=call.words.stage,
        stage_number=call.words.stage_number,
    )


# Contexts are copied into tasks and threads that outlive a call: what is found here may be over.
_call: ContextVar[Call | None] = ContextVar("spanscript_call", default=None)
_attempt: ContextVar[Attempt | None] = ContextVar("spanscript_attempt", default=None)
