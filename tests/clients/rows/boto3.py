"""boto3 and aiobotocore: Amazon Bedrock's converse, and the bodies that it hands on to models."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from typing import Any

from apps import HTTP_TIMEOUT, SAID, App, now

from rows.row import Row, Told, loaded

NOVA = "us.amazon.nova-lite-v1:0"
_KEYS = {"aws_access_key_id": "AKIAUNUSED", "aws_secret_access_key": "unused", "region_name": "us-east-1"}

CONVERSE = {
    "modelId": NOVA,
    "system": [{"text": "Be brief."}],
    "messages": [{"role": "user", "content": [{"text": SAID}]}],
    "inferenceConfig": {"temperature": 0.5},
}
CLAUDE = {
    "anthropic_version": "bedrock-2023-05-31",
    "max_tokens": 500,
    "messages": [{"role": "user", "content": SAID}],
}
BODIES: Mapping[str, tuple[Told, Mapping[str, Any]]] = {
    "nova": (Told("converse", "aws.bedrock", NOVA), {"messages": CONVERSE["messages"]}),
    "claude": (Told("messages", "aws.bedrock", "anthropic.claude-haiku-4-5-v1:0"), CLAUDE),
    "llama": (
        Told("invoke_text", "aws.bedrock", "meta.llama4-scout-17b-instruct-v1:0", "text_completion"),
        {"prompt": SAID, "max_gen_len": 500},
    ),
    "titan": (
        Told("invoke_embed", "aws.bedrock", "amazon.titan-embed-text-v2:0", "embeddings"),
        {"inputText": SAID, "dimensions": 8},
    ),
}


def _config(app: App, mode: str) -> dict[str, Any]:
    seconds = app.fault.timeout or HTTP_TIMEOUT
    retries = {"mode": mode, "max_attempts": app.fault.retries}
    return {"retries": retries, "read_timeout": seconds, "connect_timeout": seconds}


def client_of(url: str, service: str = "bedrock-runtime", **config: Any) -> Any:
    settings = loaded("botocore.config").Config(**config)
    # A session of its own: the default one is shared, and so would be what other tests put into it.
    session = loaded("boto3").Session()
    return session.client(service, **_KEYS, endpoint_url=url, config=settings)


def _create(mode: str, app: App) -> Any:
    return client_of(app.provider.url, **_config(app, mode))


class _Opened:
    """A client of aiobotocore, which is had in a context only."""

    def __init__(self, app: App) -> None:
        settings = loaded("aiobotocore.config").AioConfig(**_config(app, "standard"))
        self._options = {**_KEYS, "endpoint_url": app.provider.url, "config": settings}

    async def __aenter__(self) -> Any:
        session = loaded("aiobotocore.session").get_session()
        self._context = session.create_client("bedrock-runtime", **self._options)
        return await self._context.__aenter__()

    async def __aexit__(self, *error: object) -> None:
        await self._context.__aexit__(*error)


Ask = Callable[[App, Any], Awaitable[None]]


def _in_context(ask: Ask) -> Ask:
    async def work(app: App, opened: Any) -> None:
        async with opened as client:
            await ask(app, client)

    return work


def _shown(answer: Any) -> Any:
    """Without what is no value: the body, and headers that tell the time."""
    head = answer["ResponseMetadata"]
    kept = {key: value for key, value in answer.items() if key not in ("body", "stream", "ResponseMetadata")}
    return {**kept, "RetryAttempts": head["RetryAttempts"], "HTTPHeaders": head["HTTPHeaders"]}


async def _converse(app: App, client: Any) -> None:
    app.see(_shown(await now(client.converse(**CONVERSE))))


async def _stream(key: str, ask: Callable[[Any], Any], app: App, client: Any) -> None:
    answer = await now(ask(client))
    app.see(_shown(answer))
    held = [answer.pop(key)]
    del answer
    await app.read(held)


def _invoke(name: str, body: Mapping[str, Any], model: str, client: Any) -> Any:
    return getattr(client, name)(modelId=model, body=json.dumps(body), contentType="application/json")


async def _body(ask: Callable[[Any], Any], app: App, client: Any) -> None:
    """What a model answers is read from a body that is not there yet."""
    answer = await now(ask(client))
    app.see(_shown(answer))
    app.see(await now(answer["body"].read()))


async def _by_lines(ask: Callable[[Any], Any], app: App, client: Any) -> None:
    answer = await now(ask(client))
    app.see([line async for line in _each(answer["body"].iter_lines(chunk_size=64))])


async def _each(lines: Any) -> Any:
    if hasattr(lines, "__aiter__"):
        async for line in lines:
            yield line
    else:
        for line in lines:
            yield line


def _ways() -> Iterator[tuple[str, Told, Ask, Any]]:
    """Name, what is told, driver, kind."""
    converse = Told("converse", "aws.bedrock", NOVA)
    yield "converse", converse, _converse, "whole"
    yield (
        "converse_stream",
        converse,
        partial(_stream, "stream", lambda c: c.converse_stream(**CONVERSE)),
        "stream",
    )
    for name, (told, body) in BODIES.items():
        ask = partial(_invoke, "invoke_model", body, told.model)
        yield f"{name}-invoke", told, partial(_body, ask), "lazy"
        if told.operation != "embeddings":
            ask = partial(_invoke, "invoke_model_with_response_stream", body, told.model)
            yield f"{name}-invoke_stream", told, partial(_stream, "body", ask), "stream"
    told, body = BODIES["nova"]
    yield (
        "nova-invoke_lines",
        told,
        partial(_by_lines, partial(_invoke, "invoke_model", body, told.model)),
        "lazy",
    )


_MEANT_OTHERWISE = frozenset(
    {
        "gzip",  # it asks for no encoding, and undoes none
        "gzip_bytewise",
        "gzip_truncated",
        "whole_error",  # AWS tells of errors by a status
        "whole_truncated",
    }
)
_WAITS_ON = frozenset({"stream_badframe"})
"""aiohttp does so after a transfer coding that is broken, at most times; its own rows leave this out too."""

_row = partial(
    Row, retries=True, again=frozenset({"reset", "timeout", "unreachable"}), skips=_MEANT_OTHERWISE
)

ROWS = (
    *(
        _row(f"boto3-{name}", "boto3", told, partial(_create, "standard"), ask, kind, colours=("sync",))
        for name, told, ask, kind in _ways()
    ),
    _row(
        "boto3-converse-legacy",
        "boto3",
        Told("converse", "aws.bedrock", NOVA),
        partial(_create, "legacy"),
        _converse,
        "whole",
        colours=("sync",),
    ),
    *(
        _row(
            f"aiobotocore-{name}",
            "aiobotocore",
            told,
            _Opened,
            _in_context(ask),
            kind,
            colours=("async",),
            again=frozenset(
                {"reset", "cut", "timeout", "unreachable"}
            ),  # boto3 takes a body that was cut for a whole one
            skips=_MEANT_OTHERWISE | _WAITS_ON,
        )
        for name, told, ask, kind in _ways()
    ),
)
