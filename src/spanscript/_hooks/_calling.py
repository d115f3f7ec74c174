"""
What every client's hook does: a method of the client is run inside its call.

Sync and async differ by an `await`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from spanscript._call import CallInfo
from spanscript._calls import Calls
from spanscript._patch import Wrapper

Describe = Callable[[Callable[..., Any], Any, Any, Any], CallInfo | None]
"""`(wrapped, instance, args, kwargs)` as wrapt gives them → what is known of the call, if it is one."""


def around(calls: Calls, describe: Describe) -> Wrapper:
    """A wrapper for a function that holds a client's retry loop."""

    def wrapper(wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: Any) -> Any:
        calling = calls.calling(describe, wrapped, instance, args, kwargs)
        if calling is None:
            return wrapped(*args, **kwargs)
        with calling:
            calling.result = result = wrapped(*args, **kwargs)
        return result

    return wrapper


def around_async(calls: Calls, describe: Describe) -> Wrapper:
    """The same for a coroutine function."""

    async def wrapper(wrapped: Callable[..., Awaitable[Any]], instance: Any, args: Any, kwargs: Any) -> Any:
        calling = calls.calling(describe, wrapped, instance, args, kwargs)
        if calling is None:
            return await wrapped(*args, **kwargs)
        with calling:
            calling.result = result = await wrapped(*args, **kwargs)
        return result

    return wrapper
