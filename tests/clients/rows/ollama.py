"""ollama: its own wire API. It never tries again; a stream is asked for when it is first read."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from apps import SAID, App, now

from rows.row import ASKED, Row, Told, loaded

MODEL = "llama3.2"


def _create(app: App) -> Any:
    return app.named(loaded("ollama"), "Client")(host=app.provider.url, timeout=app.options["timeout"])


async def _ask(name: str, body: Mapping[str, Any], app: App, client: Any) -> None:
    answer = await now(getattr(client, name)(**body))
    if not body.get("stream"):
        return app.see(answer)
    held = [answer]
    del answer
    return await app.read(held)


def _row(name: str, body: Mapping[str, Any], api: Told) -> Row:
    streams = bool(body.get("stream"))
    return Row(
        name=f"ollama-{name}-{'stream' if streams else 'whole'}",
        client="ollama",
        api=api,
        create=_create,
        ask=partial(_ask, name, body),
        kind="stream" if streams else "whole",
        skips=frozenset({"never_read"}),
    )


_CHAT = {"model": MODEL, "messages": ASKED, "options": {"temperature": 0.2}}
_GENERATE = {"model": MODEL, "prompt": SAID, "system": "Be brief."}
_chat = Told("ollama_chat", "ollama", MODEL)
_generate = Told("ollama_generate", "ollama", MODEL, "text_completion")

ROWS = (
    _row("chat", _CHAT, _chat),
    _row("chat", {**_CHAT, "stream": True}, _chat),
    _row("generate", _GENERATE, _generate),
    _row("generate", {**_GENERATE, "stream": True}, _generate),
    _row(
        "embed",
        {"model": "all-minilm", "input": [SAID, "two"]},
        Told("ollama_embed", "ollama", "all-minilm", "embeddings"),
    ),
)
