"""
Where calls and attempts begin, and which of them are current.

- An attempt outside any call is a call of its own.
- What is asked in a block that the app opened (see `_block`) is part of that one's call.
- A call inside a call joins it; but one begun while an attempt is being sent (a middleware that asks
  another model) is a new call.
- One running attempt per send: an inner transport that sends the same request does not count it again.
- A new attempt ends its predecessor, whose body the client never read: we do not read it either.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import ContextVar, Token
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from spanscript._asked import Asked, AskedReader
from spanscript._attempt import Attempt, LentRetries, RetryPolicy, Wire
from spanscript._block import Block
from spanscript._call import Call, CallInfo, Observer
from spanscript._dialects import Match
from spanscript._exchange import Request
from spanscript._guard import guarded
from spanscript._limits import Limit, is_limited, limit_of
from spanscript._providers import provider_of_host
from spanscript._secrets import mask
from spanscript._words import said

if TYPE_CHECKING:
    from typing_extensions import Self


class Calling:
    """
    A client's method while it runs. Sync and async hooks differ by an `await` inside the `with`.

    Set `result` to what the method returned.
    """

    __slots__ = ("_block", "_call", "_reset", "result")

    def __init__(self, call: Call, block: Block | None, reset: Callable[[], None]) -> None:
        self._call = call
        self._block = block
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
        elif self._call.info.lazy and not self._call.attempts and self._block is None:
            self._call.forget()
        else:
            self._call.method_returned(self.result)
        if self._block is not None:
            self._block.release()


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


class _Ask(NamedTuple):
    """A request that is about to be sent, and what is asked in it."""

    match: Match
    wire: Wire
    client: str
    content: bytes
    asked: Asked | None


class Sending:
    """
    An attempt while its request is sent and the head of its answer awaited.

    `wait` first: sync and async hooks differ by how they do it. Entering it gives the attempt; `None` if an
    error of ours hinders it.
    """

    __slots__ = ("_attempt", "_begin", "_limit", "_reset", "_since")

    def __init__(self, limit: Limit | None, begin: Callable[[float | None], _Begun | None]) -> None:
        self._limit = limit
        self._begin = begin
        self._since: float | None = None
        self._attempt: Attempt | None = None
        self._reset: Callable[[], None] = _nothing

    @guarded
    def wait(self) -> float:
        """Seconds to wait before asking here again; 0 if it may be sent now."""
        if self._limit is None:
            return 0
        seconds = self._limit.take()
        if seconds and self._since is None:
            self._since = time.perf_counter()
        return seconds

    def __enter__(self) -> Attempt | None:
        waited_ms = None if self._since is None else (time.perf_counter() - self._since) * 1000
        begun = self._begin(waited_ms)
        if begun is not None:
            self._attempt, self._reset = begun
        return self._attempt

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reset()
        if self._attempt is not None:
            self._attempt.sending = False
            if error is not None:
                self._attempt.fail(error)


class Calls:
    """Where hooks report to: begins calls and attempts, and knows which are current."""

    def __init__(self, observer: Observer, tool_format: str | None = None) -> None:
        self._observer = observer
        self._tool_format = tool_format
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
        call, block = self._open(info)
        call.inside = True
        tokens = _call.set(call), _attempt.set(None), self._observer.enter(call)
        return Calling(call, block, lambda: self._leave(*tokens))

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
        ask = _Ask(match, wire, client, content, asked)
        limit = limit_of(_asked_provider(call, ask)) if is_limited() else None
        return Sending(limit, partial(self._begin, call, ask))

    @guarded
    def _begin(self, call: Call | None, ask: _Ask, waited_ms: float | None) -> _Begun:
        """Its turn has come: the attempt begins, in *call* or in one of its own."""
        block = None
        if call is None:
            call, block = self._open(_implicit(ask), implicit=True)
        attempt = Attempt(call, self._request(call, ask, waited_ms), ask.wire)
        call.begin(attempt, waited_ms or 0)
        if block is not None:
            block.release()
        self._observer.attempt_started(attempt)
        tokens = None, _attempt.set(attempt), self._observer.enter(attempt)
        return attempt, lambda: self._leave(*tokens)

    def _open(self, info: CallInfo, *, implicit: bool = False) -> tuple[Call, Block | None]:
        """The call that begins, or goes on in a block of the app, which is claimed then."""
        block = said().block
        if block is not None and not block.claim():
            block = None
        if block is not None and isinstance(block.call, Call):
            block.call.ask_again(info)
            return block.call, block
        call = Call(info, self._observer, implicit=implicit, block=block)
        if block is not None:
            block.call = call
        self._observer.call_started(call)
        return call, block

    def _request(self, call: Call, ask: _Ask, waited_ms: float | None) -> Request:
        match, wire = ask.match, ask.wire
        asked = ask.asked or Asked(match.dialects[0], model=match.model, stream=bool(match.stream))
        words = call.words
        return Request(
            call_id=call.id,
            attempt=call.attempts,
            dialect=asked.dialect,
            provider=_asked_provider(call, ask),
            client=call.info.client,
            url=wire.url,
            server_address=wire.server_address,
            server_port=wire.server_port,
            content=ask.content,
            masked=ask.content is not wire.content,
            summary=wire.summary,
            split=asked.split,
            model=asked.model or call.info.model,
            stream=asked.stream,
            params=asked.params,
            tool_count=asked.tool_count,
            prompt_chars=asked.prompt_chars,
            iteration=words.iteration,
            stage=words.stage,
            stage_number=words.stage_number,
            said_tool_format=words.tool_format or self._tool_format,
            rate_limit_wait_ms=waited_ms,
        )

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
    if call is None or not call.inside or current_attempt() is not None:
        return None
    return call


def _implicit(ask: _Ask) -> CallInfo:
    wire, asked = ask.wire, ask.asked
    return CallInfo(
        client=ask.client,
        operation=asked.dialect.operation if asked else ask.match.operation,
        provider=_provider(wire, asked),
        model=asked.model if asked else None,
        server_address=wire.server_address,
        server_port=wire.server_port,
    )


def _provider(wire: Wire, asked: Asked | None) -> str:
    default = asked.dialect.provider if asked else None
    return provider_of_host(wire.server_address) or default or wire.server_address


def _asked_provider(call: Call | None, ask: _Ask) -> str:
    """Who is asked, by the client's word or by the host."""
    return (call.info.provider if call else None) or _provider(ask.wire, ask.asked)


def _nothing() -> None:
    """Leaves what was never entered."""


_Begun: TypeAlias = "tuple[Attempt, Callable[[], None]]"
"""An attempt that has begun, and what makes it current no more."""

# Contexts are copied into tasks and threads that outlive a call: what is found here may be over.
_call: ContextVar[Call | None] = ContextVar("spanscript_call", default=None)
_attempt: ContextVar[Attempt | None] = ContextVar("spanscript_attempt", default=None)
