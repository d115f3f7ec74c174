"""cohere: both versions of its API. Streams are not tried again, and nothing is sent before they are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from importlib import metadata
from types import MappingProxyType
from typing import Any

from apps import SAID, App, now

from rows.row import ASKED, KEY, Row, Told, loaded, method

MODEL = "command-a-03-2025"
_RELEASE = next((int(d.version.split(".")[0]) for d in metadata.distributions(name="cohere")), 0)
_AGAIN = frozenset({"unreachable"} if _RELEASE >= 6 else ())
_AGAIN_IF_CUT = {"retry_remote_protocol_errors": True}


def _create(client: str, app: App) -> Any:
    kind = app.named(loaded("cohere"), client)
    return kind(api_key=KEY, base_url=app.provider.url, timeout=app.options["timeout"])


async def _ask(
    name: str, body: Mapping[str, Any], retries: bool, options: Mapping[str, Any], app: App, client: Any
) -> None:
    tries = {"max_retries": app.fault.retries if retries else 0}
    answer = await now(method(client, name)(**body, request_options={**options, **tries}))
    if not name.endswith("stream"):
        return app.see(answer)
    held = [answer]
    del answer
    return await app.read(held)


def _row(
    client: str,
    name: str,
    body: Mapping[str, Any],
    told: Callable[[str], Told],
    retries: bool,
    options: Mapping[str, Any] = MappingProxyType({}),
) -> Row:
    streams = name.endswith("stream")
    return Row(
        name=f"cohere-{client}-{name}",
        client="cohere",
        api=told(str(body["model"])),
        create=partial(_create, client),
        ask=partial(_ask, name, body, retries, options),
        kind="stream" if streams else "whole",
        retries=retries,
        again=_AGAIN if retries else frozenset(),
        # An error of its own has a status, and a stream that nobody reads is never asked for.
        skips=frozenset({"never_read" if streams else "whole_error"}),
    )


def _told(dialect: str, operation: str = "chat") -> Callable[[str], Told]:
    return lambda model: Told(dialect, "cohere", model, operation)


_CHAT = {"model": MODEL, "messages": ASKED, "temperature": 0.2}
_CHAT_V1 = {"model": MODEL, "message": SAID, "preamble": "Be brief.", "p": 0.9}
_GENERATE = {"model": "command", "prompt": SAID}
_EMBED = {"model": "embed-v4.0", "texts": [SAID, "two"], "input_type": "search_document"}
_RERANK = {"model": "rerank-v3.5", "query": "which?", "documents": [SAID, "two"], "top_n": 1}
_embed, _rerank = _told("cohere_embed", "embeddings"), _told("rerank", "rerank")

ROWS = (
    _row("ClientV2", "chat", _CHAT, _told("cohere_chat"), retries=True),
    replace(
        _row("ClientV2", "chat", _CHAT, _told("cohere_chat"), retries=True, options=_AGAIN_IF_CUT),
        name="cohere-ClientV2-chat-replayed",
        again=_AGAIN.union({"cut"} if _RELEASE >= 7 else ()),
    ),
    _row("ClientV2", "chat_stream", _CHAT, _told("cohere_chat"), retries=False),
    _row("ClientV2", "embed", {**_EMBED, "embedding_types": ["float"]}, _embed, retries=False),
    _row("ClientV2", "rerank", _RERANK, _rerank, retries=False),
    _row("Client", "chat", _CHAT_V1, _told("cohere_chat_v1"), retries=False),
    _row("Client", "chat_stream", _CHAT_V1, _told("cohere_chat_v1"), retries=False),
    _row("Client", "generate_stream", _GENERATE, _told("cohere_generate", "text_completion"), retries=False),
    # Batches of texts are sent by threads, where no span is current.
    _row("Client", "embed", {**_EMBED, "batching": False}, _embed, retries=False),
)
