"""mistralai: chat, fill in the middle, agents and embeddings. It tries again only if it is asked to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from importlib import metadata
from types import ModuleType
from typing import Any

from apps import HTTP_TIMEOUT, SAID, App, Unavailable, now

from rows.row import ASKED, KEY, Row, Told, loaded, method

MODEL = "mistral-small-latest"
_FOREVER_MS = 60_000
_RELEASE = next((int(d.version.split(".")[0]) for d in metadata.distributions(name="mistralai")), 0)
_AGAIN = frozenset({"timeout", "reset"} if _RELEASE >= 2 else {"timeout"})
"""It was for connections that could not be made, not for those that broke, before version 2."""


def _client_and_utils() -> tuple[ModuleType, ModuleType]:
    """Below `mistralai.client` since version 2."""
    try:
        return loaded("mistralai.client.sdk"), loaded("mistralai.client.utils")
    except Unavailable:
        return loaded("mistralai.sdk"), loaded("mistralai.utils")


def _create(app: App) -> Any:
    sdk, utils = _client_and_utils()
    options: dict[str, Any] = {}
    if app.fault.retries:
        backoff = utils.BackoffStrategy(1, 1, 1.0, _FOREVER_MS)
        options["retry_config"] = utils.RetryConfig("backoff", backoff, retry_connection_errors=True)
    milliseconds = round(1000 * (app.fault.timeout or HTTP_TIMEOUT))
    return sdk.Mistral(api_key=KEY, server_url=app.provider.url, timeout_ms=milliseconds, **options)


async def _ask(path: str, body: Mapping[str, Any], app: App, client: Any) -> None:
    resource, name = path.split(".")
    coloured = f"{name}_async" if app.colour == "async" else name
    answer = await now(method(getattr(client, resource), coloured)(**body))
    if name != "stream":
        return app.see(answer)
    held = [answer]
    del answer
    return await app.read(held)


def _rows(api: Told, path: str, body: Mapping[str, Any]) -> Iterator[Row]:
    resource, name = path.split(".")
    yield Row(
        name=f"mistralai-{resource}-{name}",
        client="mistralai",
        api=api,
        create=_create,
        ask=partial(_ask, path, body),
        kind="stream" if name == "stream" else "whole",
        retries=True,
        again=_AGAIN,
        # Its tries are limited in time, not in number; an error of its own wire APIs has a status.
        skips=frozenset({"exhausted", "reset_always", "unreachable", "whole_error"}),
    )


_CHAT = {"model": MODEL, "messages": ASKED, "temperature": 0.2}
_FIM = {"model": "codestral-latest", "prompt": SAID, "suffix": "\n    return fibonacci"}
_EMBED = {"model": "mistral-embed", "inputs": [SAID, "two"]}
_AGENT = {"agent_id": "ag_1", "messages": ASKED[1:]}
_chat = Told("chat_completions", "mistral_ai", MODEL)
_fim = Told("fim_completions", "mistral_ai", "codestral-latest", "text_completion")
_embeddings = Told("embeddings", "mistral_ai", "mistral-embed", "embeddings")

ROWS = tuple(
    row
    for api, path, body in (
        (_chat, "chat.complete", _CHAT),
        (_chat, "chat.stream", _CHAT),
        (_fim, "fim.complete", _FIM),
        (_fim, "fim.stream", _FIM),
        (_embeddings, "embeddings.create", _EMBED),
    )
    for row in _rows(api, path, body)
)
