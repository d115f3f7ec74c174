"""
Tries of the app's own, over tenacity: it repeats and sleeps, here stands what is tried again and when.

An error decides by its class and HTTP status, then by the provider's code; never by its text. What the wire
told of the attempt adds what no client raises: an answer that broke off, one that is empty.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Final, TypeVar

from msgspec import Struct, structs

from spanscript._block import Block, CallInBlock, Foreseen, Plan
from spanscript._call import Call
from spanscript._exchange import Outcome
from spanscript._extras import needed
from spanscript._failures import is_worth_another_try, retry_after_ms_of
from spanscript._guard import guarded
from spanscript._retried import decorated
from spanscript._words import Saying, said

_F = TypeVar("_F", bound=Callable[..., Any])
_LOG = logging.getLogger("spanscript")
_DOUBLINGS: Final = 4
"""How often the back-off is doubled, at most."""


class Tries(Struct, frozen=True):
    """
    What `retrying` was asked for.

    Attributes:
        retries: Tries after the first.
        backoff_ms: Before the second try; doubled for each further one, four times at most.
        longest_ms: No wait is longer; a server that asks for more is not waited for.
        deadline_ms: When it takes longer than that from the first try's beginning, there is no other.
        on: Exceptions that are tried again, whatever they are.
        on_empty: Whether an answer with neither text nor tool calls is.
    """

    retries: int
    backoff_ms: float
    longest_ms: float
    deadline_ms: float | None
    on: tuple[type[Exception], ...]
    on_empty: bool


class Try:
    """
    One try: a `with` block, once.

    Attributes:
        number: From 0.
        call: What is known of the call that all tries are.
    """

    def __init__(self, run: _Run, manager: Any) -> None:
        self.number: int = manager.retry_state.attempt_number - 1
        self.call = CallInBlock(run.block)
        self._run = run
        self._manager = manager
        self._within: AbstractContextManager[None] = run.within()

    def __enter__(self) -> CallInBlock:
        self._run.begin(self._manager.retry_state)
        self._within.__enter__()
        return self.call

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._within.__exit__(kind, error, trace)
        if isinstance(error, Exception):
            return bool(self._manager.__exit__(kind, error, trace))
        again = error is None and self._run.wants_another()
        self._manager.retry_state.set_result(again)
        if not again:
            self._run.end()  # the app may leave its loop here, and an async iterator is closed much later
        return False


class Retrying:
    """Tries of the app, see `retrying`: an iterator of them, sync or async, or a decorator."""

    def __init__(self, tries: Tries) -> None:
        self._tenacity = needed("tenacity", "agent")
        self._tries = tries

    def __iter__(self) -> Iterator[Try]:
        run = _Run(self._tenacity, self._tries)
        with run:
            for manager in run.controller(self._tenacity.Retrying):
                yield Try(run, manager)

    async def __aiter__(self) -> AsyncIterator[Try]:
        run = _Run(self._tenacity, self._tries)
        with run:
            async for manager in run.controller(self._tenacity.AsyncRetrying):
                yield Try(run, manager)

    def __call__(self, function: _F) -> _F:
        """
        Decorate *function*, whose type stays.

        A generator is begun again only until it has given its first item.
        """
        return decorated(function, self)


class _Run:
    """The tries of one time."""

    def __init__(self, tenacity: Any, tries: Tries) -> None:
        self._tries = tries
        self._tenacity = tenacity
        outer = said().block
        self._is_inner = outer is not None and outer.is_free
        self.block = outer if outer is not None and self._is_inner else Block()
        self._outer_plan = self.block.plan
        self._state: Any = None
        self._first = 0

    def __enter__(self) -> None:
        self.block.plan = self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """There is no other try."""
        self.block.plan = self._outer_plan
        if not self._is_inner:
            self.block.close()

    def controller(self, kind: Callable[..., Any]) -> Any:
        """What repeats and sleeps, of the sync or the async *kind*."""
        tries = self._tries
        stop = self._tenacity.stop_any(
            self._tenacity.stop_after_attempt(tries.retries + 1),
            lambda state: self._wish_ms(state) > tries.longest_ms,
        )
        if tries.deadline_ms is not None:
            stop |= self._tenacity.stop_before_delay(tries.deadline_ms / 1000)
        return kind(
            stop=stop,
            wait=self._wait,
            retry=self._is_tried_again,
            before_sleep=_say,
            retry_error_callback=_give_up,
        )

    def within(self) -> AbstractContextManager[None]:
        """What a try runs in."""
        return Saying(lambda words: structs.replace(words, block=self.block))

    def begin(self, state: Any) -> None:
        """A try begins."""
        self._state = state
        self.block.try_again()
        self._first = self.block.call.attempts if self.block.call else 0

    def foresee(self, *, retryable: bool, retry_after_ms: int | None) -> Foreseen:
        """Whether there will be another try after an attempt that failed; see `Plan`."""
        if retryable and self._tries.retries:
            wish = retry_after_ms or 0
            left = self._state.attempt_number <= self._tries.retries
            if left and wish <= self._tries.longest_ms and self._is_in_time(wish):
                return "retrying"
        outer: Plan | None = self._outer_plan
        told = outer.foresee(retryable=retryable, retry_after_ms=retry_after_ms) if outer else "error"
        return "retries_exhausted" if told == "error" and retryable and self._tries.retries else told

    def _is_in_time(self, wait_ms: float) -> bool:
        deadline = self._tries.deadline_ms
        spent_ms = (time.monotonic() - self._state.start_time) * 1000
        return deadline is None or spent_ms + (wait_ms or self._tries.backoff_ms) < deadline

    def wants_another(self) -> bool:
        """Whether what came without an exception is tried again."""
        outcome = self._outcome()
        if outcome is None:
            return False
        broke = outcome.failure is not None and (outcome.http_status or 0) < 400 and outcome.retryable
        return bool(broke) or (self._tries.on_empty and outcome.empty)

    @guarded
    def _outcome(self) -> Outcome | None:
        """How the last attempt of this try ended."""
        call = self.block.call
        last = call.last if isinstance(call, Call) else None
        return last.outcome if last is not None and last.request.attempt >= self._first else None

    def _is_tried_again(self, state: Any) -> bool:
        if not state.outcome.failed:
            return bool(state.outcome.result())
        error = state.outcome.exception()
        return isinstance(error, self._tries.on) or is_worth_another_try(error)

    def _wait(self, state: Any) -> float:
        wish = self._wish_ms(state)
        if wish:
            return wish / 1000
        backoff, tries = self._tries.backoff_ms / 1000, self._tries
        longest = min(backoff * 2**_DOUBLINGS, tries.longest_ms / 1000)
        wait = self._tenacity.wait_exponential_jitter(initial=backoff, max=longest, jitter=backoff / 2)
        return float(wait(state))

    def _wish_ms(self, state: Any) -> float:
        """What the server asked to wait; 0 if nothing."""
        outcome = self._outcome()
        if outcome is not None and outcome.retry_after_ms is not None:
            return outcome.retry_after_ms
        error = state.outcome.exception()
        return (retry_after_ms_of(error) or 0) if error is not None else 0


def retrying(  # noqa: PLR0913  # all by name
    *,
    retries: int = 3,
    backoff_ms: float = 2000,
    longest_ms: float = 60_000,
    deadline_ms: float | None = None,
    on: type[Exception] | tuple[type[Exception], ...] = (),
    on_empty: bool = False,
) -> Retrying:
    """
    Try again what failed and may succeed: as a decorator, or as an iterator of `with` blocks.

        @spanscript.retrying(retries=3)
        def ask() -> str: ...

        for attempt in spanscript.retrying(deadline_ms=30_000):  # `async for` in async code
            with attempt:
                answer = ask()

    Tried again is what `docs/format.md` calls retryable: 408, 409, 425, 429 and every 5xx, timeouts, lost
    connections, answers that break off. Everything else is raised at once. All tries are one call, with
    the attempts of a client's own retries counted through. It tries again also while spanscript is not
    active; then only what is raised decides.

    Args:
        retries: Tries after the first.
        backoff_ms: Milliseconds before the second try; doubled each time, four times at most, with up to
            half of it added by chance. What the server asks to wait goes first.
        longest_ms: No wait is longer. A server that asks for more is not waited for: there is no other try.
        deadline_ms: There is no other try that would begin later than so long after the first; `None`: no
            deadline.
        on: Exceptions that are tried again besides.
        on_empty: Whether an answer with neither text nor tool calls is tried again. If the last one is
            empty too, it is given back.

    Raises:
        ValueError: A number is negative.
        ModuleNotFoundError: tenacity is missing (extra `agent`).
    """
    for name, number in (("retries", retries), ("backoff_ms", backoff_ms), ("longest_ms", longest_ms)):
        if number < 0:
            raise ValueError(f"{name} is a number from 0, not {number}")
    errors = on if isinstance(on, tuple) else (on,)
    return Retrying(Tries(retries, backoff_ms, longest_ms, deadline_ms, errors, on_empty))


def _say(state: Any) -> None:
    """Log what is tried again, without its text: that may hold a prompt."""
    error = state.outcome.exception()
    what = "its answer" if error is None else type(error).__name__
    _LOG.warning("Try %d: %s; again in %.0f ms", state.attempt_number, what, state.upcoming_sleep * 1000)


def _give_up(state: Any) -> None:
    """Raise the last error, or leave the last answer as it is."""
    if state.outcome.failed:
        raise state.outcome.exception()
