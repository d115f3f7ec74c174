"""
The requests below one send: redirects, and retries of a transport that the app has put in.

They are no attempts of their own: the attempt that is being sent notes their statuses. And the last
one's headers, for what the library raises instead of giving an answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from spanscript._calls import current_attempt
from spanscript._guard import guarded
from spanscript._hooks._sending import Headers, kept
from spanscript._patch import Wrapper

Head = Callable[[Any], tuple[Iterable[int], Headers]]


def legs(head: Head) -> tuple[Wrapper, Wrapper]:
    """
    What goes around the function that sends one request over the wire, sync and async.

    Args:
        head: Gives the statuses that an answer stands for, and its headers.
    """

    def leg(wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: Any) -> Any:
        response = wrapped(*args, **kwargs)
        if current_attempt() is not None:
            _note(head, response)
        return response

    async def aleg(wrapped: Callable[..., Awaitable[Any]], instance: Any, args: Any, kwargs: Any) -> Any:
        response = await wrapped(*args, **kwargs)
        if current_attempt() is not None:
            _note(head, response)
        return response

    return leg, aleg


@guarded
def _note(head: Head, response: Any) -> None:
    attempt = current_attempt()
    if attempt is not None:
        statuses, headers = head(response)
        attempt.legs.extend(statuses)
        attempt.headers = kept(headers)
