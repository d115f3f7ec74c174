"""What a row of the table is: one way in which an app asks a model."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

from apps import COLOURS, MODEL, SAID, App, Unavailable, now

KEY = "sk-unused"
ASKED = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": SAID}]
CHAT = {"model": MODEL, "messages": ASKED, "temperature": 0.2}

Kind = Literal["whole", "lazy", "stream"]
"""How the answer is taken: it is there at once, the app reads a whole body itself, or a stream."""


@dataclass(frozen=True)
class Told:
    """What must be recorded of a call, beside what the server knows."""

    dialect: str
    provider: str
    model: str
    operation: str = "chat"


@dataclass(frozen=True)
class Row:
    """
    One way to ask.

    Attributes:
        name: Client, wire API and mode, with hyphens.
        client: The library's name on PyPI; see `versions.CLIENTS`.
        api: What must be recorded.
        create: Makes the client, with `app.options` as far as it has such.
        ask: Asks with it, and lets the app see all that it gets (`app.see`, `app.read`).
        kind: See `Kind`.
        colours: In which it can be had.
        retries: Whether the client tries again by itself, `app.fault.retries` times, with no delay to speak
            of where the server says `retry-after-ms=1`.
        again: After which faults that it sees as an exception (see `Fault.raises`) it tries again.
        skips: Names of faults that mean something else to this client.
        thorough: Whether it is run with every fault, and not only with those that are typical.
    """

    name: str
    client: str
    api: Told
    create: Callable[[App], Any]
    ask: Callable[[App, Any], Awaitable[None]]
    kind: Kind
    colours: tuple[str, ...] = COLOURS
    retries: bool = False
    again: frozenset[str] = frozenset()
    skips: frozenset[str] = frozenset()
    thorough: bool = False

    async def __call__(self, app: App) -> None:
        """Drive it."""
        client = self.create(app)
        try:
            await self.ask(app, client)
        finally:
            close = getattr(client, "close", None) or getattr(client, "aclose", None)
            if close is not None:
                await now(close())


def loaded(name: str) -> ModuleType:
    try:
        if importlib.util.find_spec(name) is None:
            raise Unavailable(f"{name} is not installed")
    except ModuleNotFoundError:  # not even its package
        raise Unavailable(f"{name} is not installed") from None
    return importlib.import_module(name)


def method(resource: Any, name: str) -> Any:
    if not hasattr(resource, name):
        raise Unavailable(f"{type(resource).__name__} has no {name}")
    return getattr(resource, name)
