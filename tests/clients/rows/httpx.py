"""httpx and httpx2 as they are: each request is a call of its own."""

from __future__ import annotations

from functools import partial
from typing import Any

from apps import App, Entered, now

from rows import raw_http
from rows.raw_http import Modes
from rows.row import loaded


async def post(path: str, body: Any, app: App, client: Any) -> None:
    answer = await now(client.post(path, json=body))
    app.see(answer)
    app.see(answer.content)


async def post_stream(path: str, body: Any, app: App, client: Any) -> None:
    lines = "aiter_lines" if app.colour == "async" else "iter_lines"
    async with Entered(client.stream("POST", path, json={**body, "stream": True})) as answer:
        app.see(answer)
        await app.read([answer], lambda answer: getattr(answer, lines)())


async def post_lazy(path: str, body: Any, app: App, client: Any) -> None:
    async with Entered(client.stream("POST", path, json=body)) as answer:
        app.see(answer)
        app.see(await now((answer.aread if app.colour == "async" else answer.read)()))


_MODES: Modes = {
    "post": (post, "whole"),
    "post_lazy": (post_lazy, "lazy"),
    "post_stream": (post_stream, "stream"),
}


def _create(module: str, app: App) -> Any:
    library = loaded(module)
    kind = library.AsyncClient if app.colour == "async" else library.Client
    return kind(base_url=app.provider.url, timeout=app.options["timeout"])


ROWS = tuple(
    row for module in ("httpx", "httpx2") for row in raw_http.rows(module, partial(_create, module), _MODES)
)
