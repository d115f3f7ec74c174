"""
What the app says of itself: the iteration and the stage that it is in.

Held by context variables, so threads with a copied context, tasks and nested agents keep apart. Calls take
along what holds where they begin; a request is never asked later, when its thread may be another.
"""

from __future__ import annotations

import inspect
import itertools
import operator
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import suppress
from contextvars import ContextVar, Token
from functools import partial, wraps
from typing import Any, Final, TypeVar

from msgspec import Struct, structs

_F = TypeVar("_F", bound=Callable[..., Any])
_numbers: Final = itertools.count(1)


class Words(Struct, frozen=True):
    """
    What holds at a place of the app.

    Attributes:
        iteration: The agent's turn.
        stage: The name of the phase.
        stage_number: Which entering of a stage this is, in this process; two of the same name are two.
    """

    iteration: int | None = None
    stage: str | None = None
    stage_number: int | None = None


def said() -> Words:
    """What holds here and now."""
    return _said.get()


class Saying:
    """
    Says something for the time of a `with` block, or of a decorated function.

    Functions may be sync or async, generators too: these say it while they run, not while who reads them
    does. Sync and async code are alike, for nothing is waited for.
    """

    __slots__ = ("_say", "_tokens")

    def __init__(self, say: Callable[[Words], Words]) -> None:
        self._say = say
        self._tokens: list[Token[Words]] = []

    def __enter__(self) -> None:
        self._tokens.append(_said.set(self._say(said())))

    def __exit__(self, *_: object) -> None:
        # One that is kept may be entered in several threads or tasks: only a token of this one fits. None
        # does where somebody else closes a generator (the garbage collector, say): there, nothing was said.
        for token in reversed(self._tokens):
            with suppress(ValueError):
                _said.reset(token)
                self._tokens.remove(token)
                return

    def __call__(self, function: _F) -> _F:
        """Decorate *function*, whose type stays; each call says it anew."""
        wrap = next((wrap for is_it, wrap in _KINDS if is_it(function)), _function)
        return wraps(function)(wrap(function, partial(Saying, self._say)))  # type: ignore[return-value]


def iteration(number: int) -> Saying:
    """
    Say which turn the agent is in: `with spanscript.iteration(3): …`, or as a decorator.

    It stands on the spans of calls begun inside (`llm.iteration`) and in their entries of the transcript.

    Args:
        number: As the app counts; from 1, by custom.

    Raises:
        TypeError: It is no whole number.
    """
    whole = operator.index(number)
    return Saying(lambda words: structs.replace(words, iteration=whole))


def stage(name: str) -> Saying:
    """
    Say which phase the app is in: `with spanscript.stage("plan"): …`, or as a decorator.

    It stands on the spans of calls begun inside (`llm.stage`) and in their entries of the transcript. The
    first request of a stage writes a `stage` entry, and its system prompt and tools again: so a transcript
    can be read from there on.

    Raises:
        TypeError: The name is no text.
    """
    if not isinstance(name, str):
        raise TypeError(f"the name of a stage is a text, not {type(name).__name__}")
    return Saying(lambda words: structs.replace(words, stage=name, stage_number=next(_numbers)))


def _function(function: Callable[..., Any], saying: Callable[[], Saying]) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        with saying():
            return function(*args, **kwargs)

    return run


def _coroutine(function: Callable[..., Any], saying: Callable[[], Saying]) -> Callable[..., Any]:
    async def run(*args: Any, **kwargs: Any) -> Any:
        with saying():
            return await function(*args, **kwargs)

    return run


def _generator(function: Callable[..., Any], saying: Callable[[], Saying]) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        own = _lasting(saying)
        running = function(*args, **kwargs)
        step = partial(next, running)
        while True:
            with own:
                try:
                    item = step()
                except StopIteration as stop:
                    return stop.value
            try:
                sent = yield item
            except BaseException as error:  # noqa: BLE001  # all are the generator's, its closing too
                step = partial(running.throw, error)
            else:
                step = partial(running.send, sent)

    return run


def _async_generator(function: Callable[..., Any], saying: Callable[[], Saying]) -> Callable[..., Any]:
    async def run(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        own = _lasting(saying)
        running = function(*args, **kwargs)
        step = partial(anext, running)
        while True:
            with own:
                try:
                    item = await step()
                except StopAsyncIteration:
                    return
            try:
                sent = yield item
            except BaseException as error:  # noqa: BLE001  # all are the generator's, its closing too
                step = partial(running.athrow, error)
            else:
                step = partial(running.asend, sent)

    return run


def _lasting(saying: Callable[[], Saying]) -> Saying:
    """One saying for all steps of a generator: its stage is entered once, however often it goes on."""
    with saying():
        words = said()
    return Saying(lambda _: words)


_KINDS: Final[tuple[tuple[Callable[[Any], bool], Callable[..., Callable[..., Any]]], ...]] = (
    (inspect.isasyncgenfunction, _async_generator),
    (inspect.iscoroutinefunction, _coroutine),
    (inspect.isgeneratorfunction, _generator),
)
"""Kind of function → what says it while it runs; the first that fits, for all others `_function`."""

_said: Final[ContextVar[Words]] = ContextVar("spanscript_words", default=Words())  # noqa: B039  # it is frozen
