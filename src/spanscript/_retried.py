"""Functions that are tried again: sync or async, generators too. Their types stay."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from functools import partial, wraps
from typing import Any, Final, TypeVar, cast

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
    def run(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        for one in tries:
            with one:
                running = function(*args, **kwargs)
                item, value = _given(partial(next, running))
        while item is not _END:
            try:
                sent = yield item
            except BaseException as error:  # noqa: BLE001  # all are the generator's, its closing too
                step = partial(running.throw, error)
            else:
                step = partial(running.send, sent)
            item, value = _given(step)
        return value

    return run


def _given(step: Callable[[], Any]) -> tuple[Any, Any]:
    """The next item of a generator; or that it has ended, and what it returned."""
    try:
        return step(), None
    except StopIteration as stop:
        return _END, stop.value


def _async_generator(function: Callable[..., Any], tries: Any) -> Callable[..., Any]:
    async def run(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        async for one in tries:
            with one:
                running = function(*args, **kwargs)
                item = await anext(running, _END)
        while item is not _END:
            try:
                sent = yield item
            except BaseException as error:  # noqa: BLE001  # all are the generator's, its closing too
                step = partial(running.athrow, error)
            else:
                step = partial(running.asend, sent)
            try:
                item = await step()
            except StopAsyncIteration:
                return

    return run


_KINDS: Final[tuple[tuple[Callable[[Any], bool], Callable[..., Callable[..., Any]]], ...]] = (
    (inspect.isasyncgenfunction, _async_generator),
    (inspect.iscoroutinefunction, _coroutine),
    (inspect.isgeneratorfunction, _generator),
)
"""Kind of function → what tries it; the first that fits, for all others `_function`."""
