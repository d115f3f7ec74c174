"""aiohttp as it is: each request is a call of its own, and the app reads every body itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from apps import App

from rows import raw_http
from rows.raw_http import Modes
from rows.row import loaded


def _create(app: App) -> Any:
    aiohttp = loaded("aiohttp")
    timeout = aiohttp.ClientTimeout(total=app.options["timeout"])
    return aiohttp.ClientSession(app.provider.url, timeout=timeout)


async def post_lazy(path: str, body: Any, app: App, session: Any) -> None:
    async with session.post(path, json=body) as answer:
        app.see(answer)
        app.see(await answer.read())


async def post_raising(path: str, body: Any, app: App, session: Any) -> None:
    answer = await session.post(path, json=body, raise_for_status=True)
    app.see(await answer.text())


class _Events:
    """The events of a stream: what stands between empty lines."""

    def __init__(self, answer: Any) -> None:
        self._content = answer.content

    def __aiter__(self) -> _Events:
        return self

    async def __anext__(self) -> bytes:
        event: bytes = await self._content.readuntil(b"\n\n")
        if not event:
            raise StopAsyncIteration
        return event


async def _streamed(items: Callable[[Any], Any], path: str, body: Any, app: App, session: Any) -> None:
    async with session.post(path, json={**body, "stream": True}) as answer:
        app.see(answer)
        await app.read([answer], items)


post_stream = partial(_streamed, lambda answer: answer.content)
post_events = partial(_streamed, _Events)

_MODES: Modes = {
    "post_lazy": (post_lazy, "lazy"),
    "post_raising": (post_raising, "lazy"),
    "post_stream": (post_stream, "stream"),
    "post_events": (post_events, "stream"),
}

ROWS = tuple(
    raw_http.rows(
        "aiohttp",
        _create,
        _MODES,
        colours=("async",),
        # aiohttp reads ahead: it may find the bad frame before it gives the answer's head, or after.
        skips=frozenset({"stream_badframe"}),
    )
)
