"""httpx and httpx2 as they are: each request is a call of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from apps import App, Entered, now

from rows.anthropic import MESSAGES
from rows.row import CHAT, Row, Told, loaded

BODIES: Mapping[str, tuple[str, Mapping[str, Any], str]] = {
    "chat": ("/v1/chat/completions", CHAT, "chat_completions"),
    "messages": ("/v1/messages", MESSAGES, "messages"),
}


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


_MODES: Mapping[Callable[..., Any], Any] = {post: "whole", post_lazy: "lazy", post_stream: "stream"}


def _create(module: str, app: App) -> Any:
    library = loaded(module)
    kind = library.AsyncClient if app.colour == "async" else library.Client
    return kind(base_url=app.provider.url, timeout=app.options["timeout"])


ROWS = tuple(
    Row(
        name=f"{module}-{name}-{mode.__name__}",
        client=module,
        api=Told(dialect, "127.0.0.1", str(body["model"])),
        create=partial(_create, module),
        ask=partial(mode, path, body),
        kind=kind,
        thorough=True,
    )
    for module in ("httpx", "httpx2")
    for name, (path, body, dialect) in BODIES.items()
    for mode, kind in _MODES.items()
)
