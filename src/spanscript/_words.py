"""
What the app says of itself: the iteration and the stage that it is in, and what it asks as one call.

Held by context variables, so threads with a copied context, tasks and nested agents keep apart. Calls take
along what holds where they begin; a request is never asked later, when its thread may be another.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable
from contextlib import ExitStack, suppress
from contextvars import ContextVar, Token
from functools import partial
from typing import Any, Final, TypeVar

from msgspec import Struct, structs

from spanscript._block import Block, CallInBlock
from spanscript._decorating import decorated

_F = TypeVar("_F", bound=Callable[..., Any])
_numbers: Final = itertools.count(1)


class Words(Struct, frozen=True):
    """
    What holds at a place of the app.

    Attributes:
        iteration: The agent's turn.
        stage: The name of the phase.
        stage_number: Which entering of a stage this is, in this process; two of the same name are two.
        tool_format: How tool calls stand in answers.
        block: What is asked as one call.
    """

    iteration: int | None = None
    stage: str | None = None
    stage_number: int | None = None
    tool_format: str | None = None
    block: Block | None = None


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
        return decorated(function, partial(Saying, self._say), self._lasting)

    def _lasting(self, _: ExitStack) -> Saying:
        """One for all steps of a generator: its stage is entered once, however often it goes on."""
        words = self._say(said())
        return Saying(lambda _: words)


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


class Asking:
    """What is inside is one call, see `call`. One `with` block, or a decorator."""

    __slots__ = ("_stack", "_tool_format")

    def __init__(self, tool_format: str | None) -> None:
        self._tool_format = tool_format
        self._stack: ExitStack | None = None

    def __enter__(self) -> CallInBlock:
        if self._stack is not None:
            raise RuntimeError("this call has had its block: write `with spanscript.call():` for each")
        self._stack = ExitStack()
        block, saying = self._opened(self._stack)
        self._stack.enter_context(saying)
        return CallInBlock(block)

    def __exit__(self, *_: object) -> None:
        if self._stack is not None:
            self._stack.close()

    def __call__(self, function: _F) -> _F:
        """Decorate *function*, whose type stays; each call of it is one call."""
        return decorated(function, partial(Asking, self._tool_format), lambda stack: self._opened(stack)[1])

    def _opened(self, stack: ExitStack) -> tuple[Block, Saying]:
        """The block that what is asked belongs to, and what says so."""
        outer = said().block
        block = outer if outer is not None and outer.is_free else Block()
        if block is not outer:
            stack.callback(block.close)
        tool_format = self._tool_format
        return block, Saying(
            lambda words: structs.replace(words, block=block, tool_format=tool_format or words.tool_format)
        )


def call(*, tool_format: str | None = None) -> Asking:
    """
    Say that what is asked inside is one call: `with spanscript.call() as asked: …`, or as a decorator.

    Where an app asks again after a failure, perhaps somebody else, all of it stands under one call, whose
    id is known before: `asked.id`. It is for one question, not for a whole agent: once it is answered, what
    else is asked inside is a call of its own. Inside another such block, it belongs to that one's call.

    Args:
        tool_format: How tool calls stand in the answers: `native`, `json`, `hermes`, or the app's own word,
            for `interpreted_response`. Default: `SPANSCRIPT_TOOL_FORMAT`, else `native` if tools are
            offered, else `text`.

    Raises:
        TypeError: The format is no text.
    """
    if tool_format is not None and not isinstance(tool_format, str):
        raise TypeError(f"a tool format is a text, not {type(tool_format).__name__}")
    return Asking(tool_format)


_said: Final[ContextVar[Words]] = ContextVar("spanscript_words", default=Words())  # noqa: B039  # it is frozen
