"""Clients that Stainless generates: one shape of resources and modes for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial, reduce
from typing import Any

import pydantic
from apps import App, Entered, now

from rows.row import Row, Told, loaded, method


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
        resource: Path of the resource below the client.
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

    def create(self, app: App) -> Any:
        for module in self.needs:
            loaded(module)
        return app.named(loaded(self.module), self.client)(**self.options(app.provider), **app.options)

    def of(self, client: Any) -> Any:
        return reduce(getattr, self.resource.split("."), client)


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


_KINDS = {whole: "whole", parse: "whole", raw: "whole", lazy: "lazy"}


async def _ask(api: Api, mode: Callable[..., Any], app: App, client: Any) -> None:
    await mode(app, api, api.of(client))


def rows(
    name: str,
    api: Api,
    *modes: Callable[..., Any],
    skips: frozenset[str] = frozenset(),
    thorough: bool = False,
) -> Iterator[Row]:
    """The rows of one wire API of a client, in each of *modes*."""
    model = str(api.body.get("model") or api.resource.split("/")[-1])
    for mode in modes:
        yield Row(
            name=f"{name}-{mode.__name__}",
            client=api.module,
            api=Told(api.dialect, api.provider, model, api.operation),
            create=api.create,
            ask=partial(_ask, api, mode),
            kind=_KINDS.get(mode, "stream"),
            retries=True,
            again=frozenset({"reset", "cut", "timeout", "unreachable"}),
            skips=skips,
            thorough=thorough,
        )
