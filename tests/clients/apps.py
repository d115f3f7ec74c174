"""
What an app does, and what it sees of it.

Every driver is written once, as a coroutine. A sync app is the same coroutine, whose awaits are over at
once (`now`): it runs in the caller's thread without an event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import re
from collections.abc import Callable, Coroutine
from typing import Any

COLOURS = ("sync", "async")
SAID = "Zürich grüßt 😀 with one two three four five six seven eight nine ten eleven twelve words of text"
MODEL = "gpt-5-mini"
ASKED = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": SAID}]
ANSWER = f"You said: {SAID}"
HTTP_TIMEOUT = 20.0

_ADDRESS = re.compile(r"\b(?:0x)?[0-9a-f]{8,16}\b")


def run(colour: str, work: Coroutine[Any, Any, Any]) -> Any:
    """Drive *work* to its end, as a sync app or in an event loop."""
    if colour == "async":
        return asyncio.run(work)
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("a sync app waited for an event loop")


async def now(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


class Unavailable(Exception):
    """The installed version has not what a row needs."""


class Each:
    """Iterate over what either colour gives. No generator: it would add ends of its own."""

    def __init__(self, items: Any) -> None:
        self._items = items.__aiter__() if hasattr(items, "__aiter__") else iter(items)

    def __aiter__(self) -> Each:
        return self

    async def __anext__(self) -> Any:
        if hasattr(self._items, "__anext__"):
            return await self._items.__anext__()
        try:
            return next(self._items)
        except StopIteration:
            raise StopAsyncIteration from None


class Entered:
    """Enter a context manager of either colour."""

    def __init__(self, manager: Any) -> None:
        self._manager = manager

    async def __aenter__(self) -> Any:
        manager = self._manager
        return await manager.__aenter__() if hasattr(manager, "__aenter__") else manager.__enter__()

    async def __aexit__(self, *error: object) -> Any:
        manager = self._manager
        return await manager.__aexit__(*error) if hasattr(manager, "__aexit__") else manager.__exit__(*error)


class App:
    """
    One run of an app.

    `seen` is everything that it got, in order, in a form that can be compared. `fault` says how it reads
    (see `faults.Fault`).
    """

    def __init__(self, provider: Any, colour: str, fault: Any) -> None:
        self.provider = provider
        self.colour = colour
        self.fault = fault
        self.seen: list[Any] = []

    @property
    def options(self) -> dict[str, Any]:
        """Of an SDK's client."""
        return {"max_retries": self.fault.retries, "timeout": self.fault.timeout or HTTP_TIMEOUT}

    def named(self, module: Any, name: str) -> Any:
        """The class in this colour: `OpenAI` or `AsyncOpenAI`."""
        return getattr(module, f"Async{name}" if self.colour == "async" else name)

    def see(self, value: Any) -> None:
        self.seen.append(shown(value))

    async def read(self, held: list[Any], items: Callable[[Any], Any] = lambda stream: stream) -> None:
        """Read a stream as the fault says; *held* holds the only reference to it."""
        how = self.fault.reads
        if how == "drop":
            del held[:]
            return await self.let_go()
        stream = held.pop()
        count = 0
        async for item in Each(items(stream)):
            self.see(item)
            count += 1
            if how == "held" and count == 1:
                self.provider.release()
            if how in ("break", "close") and count == 2:
                break
        if how == "close":
            await now((stream.aclose if hasattr(stream, "aclose") else stream.close)())
        del stream
        return await self.let_go()

    async def let_go(self) -> None:
        """What the app dropped is garbage now, and the loop has closed its generators."""
        for _ in range(8):
            gc.collect()
            if self.colour == "async":
                await asyncio.sleep(0.001)

    async def run(self, driver: Callable[[App], Any]) -> list[Any]:
        """Run *driver*; give what was seen, with the exception at its end if there is one."""
        gc.freeze()  # what is there already need not be looked through again
        try:
            await (self._cancelled(driver) if self.fault.cancels else self._noting(driver))
        finally:
            gc.unfreeze()
        return self.seen

    async def _noting(self, driver: Callable[[App], Any]) -> None:
        try:
            await driver(self)
        except Unavailable:
            raise
        except (Exception, asyncio.CancelledError) as error:
            self.see(error)
        await self.let_go()

    async def _cancelled(self, driver: Callable[[App], Any]) -> None:
        task = asyncio.ensure_future(self._noting(driver))
        still = 0
        before = self._progress()
        while still < 10 and not task.done():
            await asyncio.sleep(0.005)
            still = still + 1 if before == self._progress() != (0, 0, 0) else 0
            before = self._progress()
        task.cancel()
        await task

    def _progress(self) -> tuple[int, int, int]:
        """How far it has come; where that stays, the server waits."""
        log = self.provider.llm_requests
        return len(log), sum(len(r.pieces) for r in log), len(self.seen)


def shown(value: Any) -> Any:
    """A form of *value* that two runs can be compared by."""
    if isinstance(value, BaseException):
        return _shown_error(value)
    if hasattr(value, "model_dump"):
        with contextlib.suppress(Exception):
            return (_name(value), value.model_dump(), getattr(value, "_request_id", None))
    if hasattr(value, "status_code") and hasattr(value, "headers"):
        return (_name(value), value.status_code, sorted(value.headers.items()))
    return (_name(value), value if isinstance(value, (str, bytes, int, tuple, list, dict)) else repr(value))


def _name(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _shown_error(error: BaseException) -> Any:
    told = {
        key: shown(getattr(error, key, None))
        for key in ("status_code", "code", "param", "type", "body", "request_id", "response", "message")
    }
    chain = [error]
    while (inner := chain[-1].__cause__ or chain[-1].__context__) is not None and len(chain) < 10:
        chain.append(inner)
    return ("raised", [(_name(e), _ADDRESS.sub("…", str(e)), len(e.args)) for e in chain], told)
