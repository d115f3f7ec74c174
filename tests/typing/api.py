"""Checked by mypy, never run: the public names keep their types."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator

from opentelemetry.sdk.trace import TracerProvider

import spanscript

provider = TracerProvider()
provider.add_span_processor(spanscript.TranscriptProcessor("./run", max_bytes=1_000_000, write="sync"))
undo: Callable[[], None] = spanscript.instrument(provider, directory="./run")
settings: spanscript.Settings = spanscript.Settings.from_environment({})
directory: str | None = settings.directory
version: str = spanscript.__version__


@spanscript.iteration(1)
def function(count: int, *, name: str = "") -> float:
    return count + len(name)


@spanscript.stage("plan")
async def coroutine(count: int) -> float:
    return count


@spanscript.stage("plan")
def generator(count: int) -> Iterator[int]:
    yield count


@spanscript.stage("plan")
async def async_generator(count: int) -> AsyncIterator[int]:
    yield count


class Agent:
    @spanscript.stage("plan")
    def method(self, count: int) -> float:
        return count

    @classmethod
    @spanscript.stage("plan")
    def of_class(cls, count: int) -> float:
        return count


async def decorated_functions_keep_their_types() -> None:
    with spanscript.stage("plan"), spanscript.iteration(2):
        number: float = function(1, name="a")
    number = await coroutine(1)
    numbers: list[int] = [*generator(1), *[item async for item in async_generator(1)]]
    number = Agent().method(1) + Agent.of_class(1) + len(numbers)
    function("1")  # type: ignore[arg-type]
    await coroutine("1")  # type: ignore[arg-type]
    print(number)
