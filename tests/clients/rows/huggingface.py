"""huggingface_hub: its client of models needs no hook; each request is a call of its own."""

from __future__ import annotations

from functools import partial
from typing import Any

from apps import HTTP_TIMEOUT, App, now

from rows.row import ASKED, KEY, MODEL, Row, Told, loaded


def _create(app: App) -> Any:
    kind = app.named(loaded("huggingface_hub"), "InferenceClient")
    url = app.provider.openai_url
    return kind(base_url=url, api_key=KEY, timeout=app.fault.timeout or HTTP_TIMEOUT)


async def _ask(stream: bool, app: App, client: Any) -> None:
    answer = await now(client.chat_completion(ASKED, model=MODEL, temperature=0.2, stream=stream))
    if not stream:
        app.see(answer)
        return
    held = [answer]
    del answer
    await app.read(held)


ROWS = tuple(
    Row(
        name=f"huggingface-{name}",
        client="huggingface-hub",
        api=Told("chat_completions", "127.0.0.1", MODEL),
        create=_create,
        ask=partial(_ask, stream),
        kind="stream" if stream else "lazy",
    )
    for name, stream in (("chat", False), ("chat-stream", True))
)
