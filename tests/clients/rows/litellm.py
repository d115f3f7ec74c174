"""litellm: over the openai SDK, and by its own handlers over httpx, which in a coroutine run on aiohttp."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from apps import HTTP_TIMEOUT, MODEL, SAID, App, now

from rows.row import ASKED, KEY, Row, Told, loaded

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else its import asks the network

_CHANGING = {"id", "created", "response_ms"}
"""What it makes up anew with every answer."""


class _PlainSync:
    """Its stream, as what of each chunk does not change from run to run. No generator: that has an end."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __iter__(self) -> _PlainSync:
        return self

    def __next__(self) -> Any:
        return _plain(next(self._stream))


class _PlainAsync:
    """The same of an asynchronous one."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __aiter__(self) -> _PlainAsync:
        return self

    async def __anext__(self) -> Any:
        return _plain(await self._stream.__anext__())


def _plain(answer: Any) -> dict[str, Any]:
    return {key: value for key, value in answer.model_dump().items() if key not in _CHANGING}


def _create(app: App) -> Any:
    litellm = loaded("litellm")
    litellm.suppress_debug_info = True
    # Threads that log would hold on to streams that the app has let go.
    threads = loaded("litellm.litellm_core_utils.thread_pool_executor")
    threads.executor.submit = lambda log, *args, **kwargs: log(*args, **kwargs)
    return litellm


async def _ask(name: str, base: str, body: Mapping[str, Any], app: App, litellm: Any) -> None:
    function = getattr(litellm, f"a{name}" if app.colour == "async" else name)
    address = app.provider.url if base == "/" else app.provider.openai_url
    timeout = app.fault.timeout or HTTP_TIMEOUT
    retries = {"max_retries": app.fault.retries}
    answer = await now(function(**body, **retries, api_base=address, api_key=KEY, timeout=timeout))
    if not body.get("stream"):
        return app.see(_plain(answer))
    held = [answer]
    del answer
    return await app.read(held, _PlainAsync if app.colour == "async" else _PlainSync)


def _rows(name: str, api: Told, base: str, body: Mapping[str, Any], **more: Any) -> Iterator[Row]:
    function = "embedding" if api.operation == "embeddings" else "completion"
    for stream in (False, True) if function == "completion" else (False,):
        yield Row(
            name=f"litellm-{name}-{'stream' if stream else 'whole'}",
            client="litellm",
            api=api,
            create=_create,
            ask=partial(_ask, function, base, {**body, "stream": True} if stream else body),
            kind="stream" if stream else "whole",
            **more,
        )


_HOST = "127.0.0.1"
_CLAUDE = "claude-haiku-4-5"
_AT_ONCE = frozenset({"break", "close"})
"""In a coroutine aiohttp hands over at once what has come: after two chunks that may be all."""

ROWS = (
    *_rows(
        "openai",
        Told("chat_completions", _HOST, MODEL),
        "/v1",
        {"model": f"openai/{MODEL}", "messages": ASKED},
        retries=True,
        skips=_AT_ONCE,
    ),
    *_rows(
        "embeddings",
        Told("embeddings", _HOST, "embed-3", "embeddings"),
        "/v1",
        {"model": "openai/embed-3", "input": [SAID, "two"]},
        retries=True,
        # Here it takes no retries for the usual two.
        skips=frozenset({"reset", "whole_cut"}),
    ),
    *_rows(
        "anthropic",
        Told("messages", _HOST, _CLAUDE),
        "/",
        {"model": f"anthropic/{_CLAUDE}", "messages": ASKED, "max_tokens": 500},
        skips=_AT_ONCE | {"reset"},  # its handler sends anew where a connection was lost
    ),
)
