"""
The requests below one send: redirects, and retries of a transport that the app has put in.

They are no attempts of their own: the attempt that is being sent notes their statuses.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from spanscript._calls import current_attempt
from spanscript._guard import guarded
from spanscript._patch import Wrapper


def legs(statuses: Callable[[Any], Iterable[int]]) -> tuple[Wrapper, Wrapper]:
    """
    What goes around the function that sends one request over the wire, sync and async.

    Args:
        statuses: Gives those that an answer stands for.
    """

    def leg(wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: Any) -> Any:
        response = wrapped(*args, **kwargs)
        if current_attempt() is not None:
            note(response)
        return response

    async def aleg(wrapped: Callable[..., Awaitable[Any]], instance: Any, args: Any, kwargs: Any) -> Any:
        response = await wrapped(*args, **kwargs)
        if current_attempt() is not None:
            note(response)
        return response

    @guarded
    def note(response: Any) -> None:
        attempt = current_attempt()
        if attempt is not None:
            attempt.legs.extend(statuses(response))

    return leg, aleg
