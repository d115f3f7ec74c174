"""requests as it is: each request is a call of its own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from apps import App

from rows import raw_http
from rows.raw_http import Modes
from rows.row import loaded


class _Session:
    """A session with an address and a timeout, which requests wants with every request."""

    def __init__(self, app: App) -> None:
        self._session = loaded("requests").Session()
        self._url = app.provider.url
        self._timeout = app.options["timeout"]
        self.close = self._session.close

    def post(self, path: str, body: Any, **options: Any) -> Any:
        return self._session.post(self._url + path, json=body, timeout=self._timeout, **options)


async def post(path: str, body: Any, app: App, session: Any) -> None:
    answer = session.post(path, body)
    app.see(answer)
    app.see(answer.content)


async def post_lazy(path: str, body: Any, app: App, session: Any) -> None:
    with session.post(path, body, stream=True) as answer:
        app.see(answer)
        app.see(answer.content)


async def _streamed(items: Callable[[Any], Any], path: str, body: Any, app: App, session: Any) -> None:
    with session.post(path, {**body, "stream": True}, stream=True) as answer:
        app.see(answer)
        await app.read([answer], items)


post_stream = partial(_streamed, lambda answer: answer.iter_lines())
post_raw = partial(_streamed, lambda answer: answer.raw.stream(64))
"""As sent, with its content-encoding."""

_MODES: Modes = {
    "post": (post, "whole"),
    "post_lazy": (post_lazy, "lazy"),
    "post_stream": (post_stream, "stream"),
    "post_raw": (post_raw, "stream"),
}

ROWS = tuple(
    raw_http.rows(
        "requests",
        _Session,
        _MODES,
        colours=("sync",),
    )
)
