"""azure-ai-inference: its pipeline tries a POST again only after some statuses, or if it is told when."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from apps import HTTP_TIMEOUT, SAID, App, now

from rows.row import CHAT, KEY, Row, Told, loaded


def _create(kind: str, app: App) -> Any:
    package = loaded("azure.ai.inference.aio" if app.colour == "async" else "azure.ai.inference")
    credentials = loaded("azure.core.credentials")
    retries = app.fault.retries
    return getattr(package, kind)(
        endpoint=app.provider.openai_url,
        credential=credentials.AzureKeyCredential(KEY),
        read_timeout=app.fault.timeout or HTTP_TIMEOUT,
        retry_total=retries,
        retry_status=retries,
        retry_backoff_factor=0,
    )


async def _ask(name: str, body: Mapping[str, Any], app: App, client: Any) -> None:
    answer = await now(getattr(client, name)(**body))
    if not body.get("stream"):
        app.see(answer.as_dict())
        return
    held = [answer]
    del answer
    await app.read(held)


_EMBED = {"model": "embed-3", "input": [SAID, "two"], "dimensions": 4}
_chat = Told("chat_completions", "azure.ai.inference", str(CHAT["model"]))
_embeddings = Told("embeddings", "azure.ai.inference", "embed-3", "embeddings")

ROWS = tuple(
    Row(
        name=f"azure-inference-{name}",
        client="azure-ai-inference",
        api=api,
        create=partial(_create, client),
        ask=partial(_ask, method, body),
        kind="stream" if body.get("stream") else "whole",
        retries=True,
        # It is not told by `retry-after-ms` alone; and over aiohttp it takes all that has arrived at once, so
        # that what breaks its parser, or the framing, may be found before or after.
        skips=frozenset({"retried", "malformed", "stream_badframe"}),
    )
    for name, client, method, body, api in (
        ("chat", "ChatCompletionsClient", "complete", CHAT, _chat),
        ("chat-stream", "ChatCompletionsClient", "complete", {**CHAT, "stream": True}, _chat),
        ("embeddings", "EmbeddingsClient", "embed", _EMBED, _embeddings),
    )
)
