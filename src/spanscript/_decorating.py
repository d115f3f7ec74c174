"""
Functions that run in a scope of ours: sync or async, generators too. Their types stay.

A generator is in its scope while it runs, not while who reads it does.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AbstractContextManager, ExitStack
from functools import partial, wraps
from typing import Any, Final, TypeAlias, TypeVar, cast

_F = TypeVar("_F", bound=Callable[..., Any])
_Scope: TypeAlias = "AbstractContextManager[Any]"

Begun: TypeAlias = "tuple[Any, Callable[[], Any], _Scope]"
"""A generator, its first step, and the scope that it runs in."""


def decorated(function: _F, once: Callable[[], _Scope], lasting: Callable[[ExitStack], _Scope]) -> _F:
    """
    Decorate *function*.

    Args:
        function: What is to run in a scope.
        once: Makes the scope of one call of a function.
        lasting: Makes the scope of one generator, which is entered for each of its steps; what must be done
            at its end goes on the stack.
    """
    wrap = next((wrap for is_it, wrap in _GENERATORS if is_it(function)), None)
    if wrap is not None:
        return cast("_F", wraps(function)(wrap(function, lasting)))
    wrap = _coroutine if inspect.iscoroutinefunction(function) else _function
    return cast("_F", wraps(function)(wrap(function, once)))


def _function(function: Callable[..., Any], once: Callable[[], _Scope]) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        with once():
            return function(*args, **kwargs)

    return run


def _coroutine(function: Callable[..., Any], once: Callable[[], _Scope]) -> Callable[..., Any]:
    async def run(*args: Any, **kwargs: Any) -> Any:
        with once():
            return await function(*args, **kwargs)

    return run


def _generator(function: Callable[..., Any], lasting: Callable[[ExitStack], _Scope]) -> Callable[..., Any]:
    def begin(stack: ExitStack, *args: Any, **kwargs: Any) -> Begun:
        scope = lasting(stack)
        running = function(*args, **kwargs)
        return running, partial(next, running), scope

    return stepped(begin)


def _async_generator(
    function: Callable[..., Any], lasting: Callable[[ExitStack], _Scope]
) -> Callable[..., Any]:
    async def begin(stack: ExitStack, *args: Any, **kwargs: Any) -> Begun:  # others wait
        scope = lasting(stack)
        running = function(*args, **kwargs)
        return running, partial(anext, running), scope

    return stepped_async(begin)


def stepped(begin: Callable[..., Begun]) -> Callable[..., Any]:
    """
    A generator function whose generators run step by step, each in the scope that they have.

    Args:
        begin: A stack for what must be done at the end, and the arguments of the function → the generator,
            its first step, and the scope.
    """

    def run(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        with ExitStack() as stack:
            running, step, scope = begin(stack, *args, **kwargs)
            while True:
                with scope:
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


def stepped_async(begin: Callable[..., Awaitable[Begun]]) -> Callable[..., Any]:
    """The same for an asynchronous generator function."""

    async def run(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        with ExitStack() as stack:
            running, step, scope = await begin(stack, *args, **kwargs)
            while True:
                with scope:
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


_GENERATORS: Final[tuple[tuple[Callable[[Any], bool], Callable[..., Callable[..., Any]]], ...]] = (
    (inspect.isasyncgenfunction, _async_generator),
    (inspect.isgeneratorfunction, _generator),
)
"""Kind of generator function → what runs it."""
