"""Functions that are tried again: sync or async, generators too. Their types stay."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from functools import partial, wraps
from typing import Any, Final, NoReturn, TypeVar, cast

from spanscript._decorating import Begun, stepped, stepped_async

_F = TypeVar("_F", bound=Callable[..., Any])
_END: Final = object()


def decorated(function: _F, tries: Any) -> _F:
    """
    Decorate *function*.

    Args:
        function: What is to be tried; a generator, until it has given its first item.
        tries: Gives the tries, each to be entered; for sync code as an iterator, for async code likewise.
    """
    wrap = next((wrap for is_it, wrap in _KINDS if is_it(function)), _function)
    return cast("_F", wraps(function)(wrap(function, tries)))


def _function(function: Callable[..., Any], tries: Any) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        for one in tries:
            with one:
                result = function(*args, **kwargs)
        return result

    return run


def _coroutine(function: Callable[..., Any], tries: Any) -> Callable[..., Any]:
    async def run(*args: Any, **kwargs: Any) -> Any:
        async for one in tries:
            with one:
                result = await function(*args, **kwargs)
        return result

    return run


def _generator(function: Callable[..., Any], tries: Any) -> Callable[..., Any]:
    def begin(_: ExitStack, *args: Any, **kwargs: Any) -> Begun:
        for one in tries:
            with one:
                running = function(*args, **kwargs)
                first = _given(running)
        return running, first, nullcontext()

    return stepped(begin)


def _given(running: Any) -> Callable[[], Any]:
    """Have a generator give its first item; gives what gives it, or says that there is none."""
    try:
        item = next(running)
    except StopIteration as stop:
        return partial(_raise, StopIteration(stop.value))
    return lambda: item


def _raise(error: Exception) -> NoReturn:
    raise error


def _async_generator(function: Callable[..., Any], tries: Any) -> Callable[..., Any]:
    async def begin(_: ExitStack, *args: Any, **kwargs: Any) -> Begun:
        async for one in tries:
            with one:
                running = function(*args, **kwargs)
                item = await anext(running, _END)

        async def first() -> Any:  # what it gives was waited for
            return item if item is not _END else _raise(StopAsyncIteration())

        return running, first, nullcontext()

    return stepped_async(begin)


_KINDS: Final[tuple[tuple[Callable[[Any], bool], Callable[..., Callable[..., Any]]], ...]] = (
    (inspect.isasyncgenfunction, _async_generator),
    (inspect.iscoroutinefunction, _coroutine),
    (inspect.isgeneratorfunction, _generator),
)
"""Kind of function → what tries it; the first that fits, for all others `_function`."""
