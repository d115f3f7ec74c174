"""Who asks, by which wire API, and how it takes the answer: the rows of the table."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial, reduce
from types import ModuleType
from typing import Any

import pydantic
from apps import ASKED, MODEL, SAID, App, Entered, Unavailable, now

KEY = "sk-unused"


class City(pydantic.BaseModel):
    """Structured output."""

    city: str
    days: int


@dataclass(frozen=True)
class Api:
    """
    A wire API of a client.

    Attributes:
        module: Import name of the client.
        client: Class, in its sync name.
        options: Provider → arguments of the class.
        resource: Path of the resource below the client; or the URL's path for raw HTTP.
        body: Arguments of the method.
        parse: Arguments of `.parse()` beside them.
        needs: Further modules.
        dialect, provider, operation: As they must be recorded.
    """

    module: str
    client: str
    options: Callable[[Any], dict[str, Any]]
    resource: str
    body: Mapping[str, Any]
    dialect: str
    provider: str
    operation: str = "chat"
    parse: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()

    @property
    def model(self) -> str:
        return str(self.body.get("model") or self.resource.split("/")[-1])

    def create(self, app: App) -> Any:
        for module in self.needs:
            loaded(module)
        return app.named(loaded(self.module), self.client)(**self.options(app.provider), **app.options)

    def of(self, client: Any) -> Any:
        return reduce(getattr, self.resource.split("."), client)


def loaded(name: str) -> ModuleType:
    if importlib.util.find_spec(name) is None:
        raise Unavailable(f"{name} is not installed")
    return importlib.import_module(name)


def method(resource: Any, name: str) -> Any:
    if not hasattr(resource, name):
        raise Unavailable(f"{type(resource).__name__} has no {name}")
    return getattr(resource, name)


async def whole(app: App, api: Api, resource: Any) -> None:
    app.see(await now(resource.create(**api.body)))


async def parse(app: App, api: Api, resource: Any) -> None:
    app.see(await now(method(resource, "parse")(**api.body, **api.parse)))


async def raw(app: App, api: Api, resource: Any) -> None:
    answer = await now(resource.with_raw_response.create(**api.body))
    app.see(answer)
    app.see(answer.http_response)
    app.see(answer.retries_taken)
    app.see(await now(answer.parse()))


async def lazy(app: App, api: Api, resource: Any) -> None:
    async with Entered(resource.with_streaming_response.create(**api.body)) as answer:
        app.see(answer)
        app.see(await now(answer.parse()))


async def stream(app: App, api: Api, resource: Any) -> None:
    await app.read([await now(resource.create(**api.body, stream=True))])


async def counted(app: App, api: Api, resource: Any) -> None:
    asked = {**api.body, "stream_options": {"include_usage": True}}
    await app.read([await now(resource.create(**asked, stream=True))])


async def helper(app: App, api: Api, resource: Any) -> None:
    async with Entered(method(resource, "stream")(**api.body)) as events:
        await app.read([events])


async def text_helper(app: App, api: Api, resource: Any) -> None:
    async with Entered(method(resource, "stream")(**api.body)) as events:
        await app.read([events], lambda events: events.text_stream)
        if app.fault.reads in ("all", "held"):
            app.see(await now(events.get_final_message()))


async def raw_stream(app: App, api: Api, resource: Any) -> None:
    answer = await now(resource.with_raw_response.create(**api.body, stream=True))
    app.see(answer)
    held = [await now(answer.parse())]
    del answer
    await app.read(held)


async def lazy_stream(app: App, api: Api, resource: Any) -> None:
    async with Entered(resource.with_streaming_response.create(**api.body, stream=True)) as answer:
        app.see(answer)
        await app.read([answer], lambda answer: answer.iter_lines())


async def post(app: App, api: Api, client: Any) -> None:
    answer = await now(client.post(api.resource, json=api.body))
    app.see(answer)
    app.see(answer.content)


async def post_stream(app: App, api: Api, client: Any) -> None:
    asked = {**api.body, "stream": True}
    lines = "aiter_lines" if app.colour == "async" else "iter_lines"
    async with Entered(client.stream("POST", api.resource, json=asked)) as answer:
        app.see(answer)
        await app.read([answer], lambda answer: getattr(answer, lines)())


async def post_lazy(app: App, api: Api, client: Any) -> None:
    async with Entered(client.stream("POST", api.resource, json=api.body)) as answer:
        app.see(answer)
        app.see(await now((answer.aread if app.colour == "async" else answer.read)()))


KINDS: Mapping[Callable[..., Any], str] = {
    whole: "whole",
    parse: "whole",
    raw: "whole",
    post: "whole",
    lazy: "lazy",
    post_lazy: "lazy",
}


def _openai(provider: Any) -> dict[str, Any]:
    return {"base_url": provider.openai_url, "api_key": KEY}


def _azure(provider: Any) -> dict[str, Any]:
    return {"azure_endpoint": provider.url, "api_key": KEY, "api_version": "2024-10-21"}


def _anthropic(provider: Any) -> dict[str, Any]:
    return {"base_url": provider.url, "api_key": KEY}


def _bedrock(provider: Any) -> dict[str, Any]:
    keys = {"aws_access_key": "AKIAUNUSED", "aws_secret_key": "unused", "aws_region": "us-east-1"}
    return {"base_url": provider.url, **keys}


def _vertex(provider: Any) -> dict[str, Any]:
    return {"base_url": f"{provider.url}/v1", "access_token": KEY, "project_id": "p", "region": "us-east1"}


CHAT = {"model": MODEL, "messages": ASKED, "temperature": 0.2}
MESSAGES = {"model": "claude-haiku-4-5", "max_tokens": 500, "system": "Be brief.", "messages": ASKED[1:]}
EMBEDDED = {"model": "embed-3", "input": [SAID, "two"], "dimensions": 4}

_OPENAI = partial(Api, "openai", "OpenAI", _openai, provider="openai")
_AZURE = partial(Api, "openai", "AzureOpenAI", _azure, provider="azure.ai.openai")
APIS: Mapping[str, Api] = {
    "openai-chat": _OPENAI(
        "chat.completions", CHAT, "chat_completions", parse={"response_format": City}
    ),
    "openai-responses": _OPENAI(
        "responses", {"model": MODEL, "input": SAID}, "responses", parse={"text_format": City}
    ),
    "openai-completions": _OPENAI(
        "completions", {"model": MODEL, "prompt": SAID}, "completions", operation="text_completion"
    ),
    "openai-embeddings": _OPENAI("embeddings", EMBEDDED, "embeddings", operation="embeddings"),
    "azure-chat": _AZURE("chat.completions", CHAT, "chat_completions"),
    "azure-responses": _AZURE("responses", {"model": MODEL, "input": SAID}, "responses"),
    "anthropic-messages": Api(
        "anthropic", "Anthropic", _anthropic, "messages", MESSAGES, "messages", "anthropic",
        parse={"output_format": City},
    ),
    "bedrock-messages": Api(
        "anthropic", "AnthropicBedrock", _bedrock, "messages", MESSAGES, "messages", "aws.bedrock",
        needs=("boto3",),
    ),
    "vertex-messages": Api(
        "anthropic", "AnthropicVertex", _vertex, "messages", MESSAGES, "messages", "gcp.vertex_ai"
    ),
}  # fmt: skip
_SDK_MODES: Mapping[str, tuple[Callable[..., Any], ...]] = {
    "openai-chat": (whole, parse, raw, lazy, stream, counted, helper, raw_stream, lazy_stream),
    "openai-responses": (whole, parse, raw, lazy, stream, helper, raw_stream, lazy_stream),
    "openai-completions": (whole, stream, counted),
    "openai-embeddings": (whole, raw),
    "azure-chat": (whole, stream),
    "azure-responses": (whole,),
    "anthropic-messages": (whole, parse, raw, lazy, stream, helper, text_helper, raw_stream, lazy_stream),
    "bedrock-messages": (whole, stream),
    "vertex-messages": (whole, stream),
}


def _http(module: str, path: str, body: Mapping[str, Any], dialect: str) -> Api:
    def options(provider: Any) -> dict[str, Any]:
        return {"base_url": provider.url}

    return Api(module, "Client", options, path, body, dialect, "127.0.0.1")


RAW_APIS: Mapping[str, Api] = {
    f"{module}-{name}": _http(module, path, body, dialect)
    for module in ("httpx", "httpx2")
    for name, path, body, dialect in (
        ("chat", "/v1/chat/completions", CHAT, "chat_completions"),
        ("messages", "/v1/messages", MESSAGES, "messages"),
    )
}


@dataclass(frozen=True)
class Row:
    """One way to ask. `retries`: whether the client tries again by itself."""

    name: str
    api: Api
    mode: Callable[..., Any]

    @property
    def kind(self) -> str:
        return KINDS.get(self.mode, "stream")

    @property
    def retries(self) -> bool:
        return self.mode.__name__ not in ("post", "post_lazy", "post_stream")

    async def __call__(self, app: App) -> None:
        """Drive it."""
        if self.retries:
            client = self.api.create(app)
            target = self.api.of(client)
        else:
            module = loaded(self.api.module)
            kind = module.AsyncClient if app.colour == "async" else module.Client
            options = self.api.options(app.provider)
            client = target = kind(**options, timeout=app.options["timeout"])
        try:
            await self.mode(app, self.api, target)
        finally:
            await now((client.close if hasattr(client, "close") else client.aclose)())


ROWS = tuple(
    Row(f"{name}-{mode.__name__}", api, mode) for name, api in APIS.items() for mode in _SDK_MODES[name]
) + tuple(
    Row(f"{name}-{mode.__name__}", api, mode)
    for name, api in RAW_APIS.items()
    for mode in (post, post_lazy, post_stream)
)
