"""What every HTTP library's hook does: it tells `Calls` of a request, and keeps an answer's headers."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final
from urllib.parse import urlsplit

from spanscript import _dialects
from spanscript._attempt import Attempt, Wire
from spanscript._calls import Calls, Sending
from spanscript._forms import summary_of
from spanscript._secrets import remember
from spanscript._wire import COUNT_HEADERS, ERROR_TYPE

Headers = Iterable[tuple[bytes, bytes]]

PORTS: Final = {"http": 80, "https": 443}

_KEPT: Final = frozenset(
    {
        b"content-type",
        b"content-encoding",
        b"retry-after",
        b"retry-after-ms",
        b"x-should-retry",
        b"x-request-id",
        b"request-id",
        b"x-amzn-requestid",
        b"x-amz-retry-after",
        *(name.encode() for name in (ERROR_TYPE, *COUNT_HEADERS.values())),
    }
)
"""What is taken from an answer's headers. Nothing is ever taken from a request's."""


def sending(
    calls: Calls, client: str, method: str, url: str, body: Callable[[], tuple[Headers, bytes | None]]
) -> Sending | None:
    """
    Tell that a request is about to be sent.

    Args:
        calls: Who is told.
        client: The library's import name.
        method: The HTTP method.
        url: Where it goes, with its query.
        body: Gives the request's headers and its body's bytes, `None` if they cannot be had without
            touching what the app passed. Asked for LLM paths only.

    Returns:
        What to send it in; `None` if it is no LLM request, or is seen already further out.
    """
    method = method.upper()
    if method != _dialects.METHOD:
        return None
    address = url.partition("?")[0]
    _, _, below = address.partition("://")
    match = _dialects.find(method, below[below.find("/") :] if "/" in below else "/")
    if match is None:
        return None
    headers, content = body()
    if content is None:
        return None
    parts = urlsplit(address)
    headers = list(headers)
    told = summary_of(content, _content_type(headers))
    host = parts.hostname or ""
    port = parts.port or PORTS.get(parts.scheme)
    shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    remember(headers)
    wire = Wire(method, shown, host, port, content if told is None else told, summary=told is not None)
    return calls.sending(match, wire, client)


def _content_type(headers: Headers) -> str:
    return next((v.decode("latin-1") for n, v in headers if n.lower() == b"content-type"), "")


def around(
    begin: Callable[..., Sending | None], take: Callable[[Attempt, Any], object]
) -> Callable[[Callable[..., Any], Any, Any, Any], Any]:
    """
    A wrapper for a function that sends one request.

    Args:
        begin: Its arguments → what to send in, `None` if that is no LLM request. Guarded.
        take: Takes the answer. Guarded.
    """

    def send(wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: Any) -> Any:
        sending = begin(*args, **kwargs)
        if sending is None:
            return wrapped(*args, **kwargs)
        while seconds := sending.wait():
            time.sleep(seconds)
        with sending as attempt:
            response = wrapped(*args, **kwargs)
        if attempt is not None:
            take(attempt, response)
        return response

    return send


def around_async(
    begin: Callable[..., Sending | None], take: Callable[[Attempt, Any], object]
) -> Callable[[Callable[..., Awaitable[Any]], Any, Any, Any], Any]:
    """The same for a coroutine function."""

    async def send(wrapped: Callable[..., Awaitable[Any]], instance: Any, args: Any, kwargs: Any) -> Any:
        sending = begin(*args, **kwargs)
        if sending is None:
            return await wrapped(*args, **kwargs)
        while seconds := sending.wait():
            await pause(seconds)
        with sending as attempt:
            response = await wrapped(*args, **kwargs)
        if attempt is not None:
            take(attempt, response)
        return response

    return send


async def pause(seconds: float) -> None:
    """Wait in whatever runs this coroutine."""
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        await trio.sleep(seconds)
    else:
        await asyncio.sleep(seconds)


def text_headers(headers: Iterable[tuple[str, str]]) -> Headers:
    """The headers of a library that has them as text."""
    return [(n.encode("latin-1", "replace"), v.encode("latin-1", "replace")) for n, v in headers]


def kept(headers: Headers) -> dict[str, str]:
    """What is kept of an answer's headers, by their names in lower case."""
    return {
        lower.decode(): value.decode("latin-1") for name, value in headers if (lower := name.lower()) in _KEPT
    }
