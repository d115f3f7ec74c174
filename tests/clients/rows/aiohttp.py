"""aiohttp as it is: each request is a call of its own, and the app reads every body itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from apps import App

from rows.httpx import BODIES
from rows.row import Row, Told, loaded


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

_MODES: Mapping[str, tuple[Callable[..., Any], Any]] = {
    "post_lazy": (post_lazy, "lazy"),
    "post_raising": (post_raising, "lazy"),
    "post_stream": (post_stream, "stream"),
    "post_events": (post_events, "stream"),
}

ROWS = tuple(
    Row(
        name=f"aiohttp-{name}-{mode}",
        client="aiohttp",
        api=Told(dialect, "127.0.0.1", str(body["model"])),
        create=_create,
        ask=partial(ask, path, body),
        kind=kind,
        colours=("async",),
        thorough=True,
        # aiohttp reads ahead: it may find the bad frame before it gives the answer's head, or after.
        skips=frozenset({"stream_badframe"}),
    )
    for name, (path, body, dialect) in BODIES.items()
    for mode, (ask, kind) in _MODES.items()
)
