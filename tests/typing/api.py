"""Checked by mypy and pyright, never run: the public names keep their types."""

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
@spanscript.retrying(retries=2, on=(ValueError, LookupError))
async def coroutine(count: int) -> float:
    return count


@spanscript.call(tool_format="hermes")
@spanscript.retrying()
def asked(count: int, *, name: str = "") -> float:
    return count + len(name)


@spanscript.call()
async def asked_async(count: int) -> float:
    return count


@spanscript.stage("plan")
@spanscript.retrying(deadline_ms=1.5)
def generator(count: int) -> Iterator[int]:
    yield count


@spanscript.retrying()
@spanscript.call()
async def async_generator(count: int) -> AsyncIterator[int]:
    yield count


class Agent:
    @spanscript.stage("plan")
    def method(self, count: int) -> float:
        return count

    @classmethod
    @spanscript.retrying()
    @spanscript.stage("plan")
    def of_class(cls, count: int) -> float:
        return count


def listener(record: object) -> None:
    if isinstance(record, spanscript.CallStart):
        place: tuple[int | None, str | None] = record.iteration, record.stage
        print(place)
    if isinstance(record, spanscript.CallProgress):
        text: str = record.delta
        count: int | None = record.output_tokens
        print(text, count)
    if isinstance(record, spanscript.AttemptEnd):
        status: str = record.status
        print(status)


def precise(
    record: spanscript.CallStart | spanscript.CallProgress | spanscript.AttemptEnd | spanscript.CallEnd,
) -> str:
    return record.call_id


def wrong(record: spanscript.CallEnd) -> None:
    print(record)


unsubscribe: Callable[[], None] = spanscript.subscribe(listener)
hide: Callable[[], None] = spanscript.live()
with spanscript.subscribe(precise), spanscript.live():
    spanscript.subscribe(wrong)  # type: ignore[arg-type]


async def decorated_functions_keep_their_types() -> None:
    with spanscript.stage("plan"), spanscript.iteration(2):
        number: float = function(1, name="a")
    number = await coroutine(1) + asked(1, name="a") + await asked_async(1)
    numbers: list[int] = [*generator(1), *[item async for item in async_generator(1)]]
    number = Agent().method(1) + Agent.of_class(1) + len(numbers)
    function("1")  # type: ignore[arg-type]
    await coroutine("1")  # type: ignore[arg-type]
    asked("1")  # type: ignore[arg-type]
    await asked_async("1")  # type: ignore[arg-type]
    print(number)


async def tries_and_calls() -> None:
    for one in spanscript.retrying(retries=1, on_empty=True):
        with one as call:
            identity: str = call.id
            attempts: int = call.attempts
            print(identity, attempts)
    async for one in spanscript.retrying(on=KeyError):
        number: int = one.number
        with one:
            print(number)
    with spanscript.call() as opened:
        print(opened.id, opened.status)
    off: Callable[[], None] = spanscript.rate_limit("openai", 60)
    off()
    spanscript.annotate("happened", tool="search", hits=3)
    spanscript.retrying(retries="3")  # type: ignore[arg-type]


def numbers() -> None:
    with spanscript.usage() as used:
        calls: int = used.calls
        cost: float | None = used.cost_usd
        print(calls, cost, used.by_model["gpt-5"].input_tokens)


def parse(answer: spanscript.Answer) -> spanscript.Interpreted | None:
    return spanscript.Interpreted("own", answer.text) if answer.text else None


undo = spanscript.interpreter(parse)
undo = spanscript.interpreter("hermes")
