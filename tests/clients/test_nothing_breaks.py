"""
Every place where our code is entered is made to fail, as `_guard.PLACES` lists them.

The app must get what it gets without us, and the server one request for each attempt.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

import pytest
from apps import App, run, shown
from faults import FAULTS, Fault
from proof import sent
from rows import ROWS

from spanscript import _guard

HOOKS = ("httpx", "requests", "aiohttp", "stainless")
SHARED = ("legs", "urllib3")
"""Those whose libraries the scenarios go through, and what they share."""

for _module in ("_recording", *(f"_hooks.{name}" for name in HOOKS), "instrumentor"):
    importlib.import_module(f"spanscript.{_module}")

PLACES = sorted(
    name
    for name in _guard.PLACES
    if not name.startswith("spanscript._hooks.") or name.split(".")[2].strip("_") in (*HOOKS, *SHARED)
)


class Hostile(Exception):
    """Has no text, and says so."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


ERRORS: dict[str, Callable[[], BaseException]] = {
    "ValueError": lambda: ValueError("ours"),
    "RecursionError": lambda: RecursionError("ours"),
    "hostile": Hostile,
}
PASSING = (KeyboardInterrupt, SystemExit, asyncio.CancelledError, GeneratorExit)
ROW = {row.name: row for row in ROWS}
RETRIED = Fault("retried", ["429 retry-after-ms=1", "ok"], [])
BROKEN, REFUSED, DROPPED, SLOW = (
    next(fault for fault in FAULTS if fault.name == name)
    for name in ("stream_cut", "bad_request", "never_read", "slow")
)
ASKING = (
    ("openai-chat-whole", ("sync", "async"), (RETRIED, REFUSED)),
    ("openai-chat-stream", ("sync", "async"), (RETRIED, BROKEN)),
    ("requests-chat-post", ("sync",), (REFUSED,)),
    ("requests-chat-post_stream", ("sync",), (BROKEN,)),
    ("requests-chat-post_raw", ("sync",), (BROKEN,)),
    ("aiohttp-chat-post_stream", ("async",), (SLOW, BROKEN)),
)
SCENARIOS = [
    (row, colour, fault) for row, colours, faults in ASKING for colour in colours for fault in faults
]


def _run(provider: Any, row: str, colour: str, fault: Fault) -> Any:
    """In a context of its own: what we failed to take back must not reach the next test."""
    provider.reset()
    provider.script(*fault.steps)
    work = App(provider, colour, fault).run(ROW[row])
    return copy_context().run(run, colour, work), sent(provider)


_BARE: dict[tuple[str, ...], Any] = {}


def _bare(provider: Any, row: str, colour: str, fault: Fault) -> Any:
    """What the scenario gives without us; found once."""
    key = provider.url, row, colour, fault.name
    if key not in _BARE:
        _BARE[key] = _run(provider, row, colour, fault)
    return _BARE[key]


def _failing(place: Any, when: str, error: Callable[[], BaseException]) -> Callable[..., Any]:
    real = place.function

    def fail(*args: Any, **kwargs: Any) -> Any:
        if when == "after":
            real(*args, **kwargs)
        raise error()

    return fail


def _ways(name: str) -> list[Any]:
    """The scenarios that may come through a place: of a hook, those of its library; else, one library's."""
    hook = name.removeprefix("spanscript._hooks.").partition(".")[0]
    library = hook if hook in ("requests", "aiohttp") else "requests" if hook == "_urllib3" else "openai"
    return [scenario for scenario in SCENARIOS if scenario[0].startswith(library)]


@pytest.mark.parametrize("when", ["instead", "after"])
@pytest.mark.parametrize(
    ("name", "scenario"),
    [
        pytest.param(name, way, id="-".join((name, *way[:2], way[2].name)))
        for name in PLACES
        for way in _ways(name)
    ],
)
def test_an_error_of_ours(
    name: str, when: str, scenario: Any, provider: Any, request: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = _bare(provider, *scenario)
    monkeypatch.setattr(_guard, "strict", False)
    request.getfixturevalue("recording")
    place = _guard.PLACES[name]
    real = place.function
    for error in ERRORS.values():
        monkeypatch.setattr(place, "function", _failing(place, when, error))
        assert _run(provider, *scenario) == bare
        monkeypatch.setattr(place, "function", real)


def _reached(provider: Any, recording: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How often each place is entered by all scenarios together."""
    counts: dict[str, int] = {}
    for name, place in _guard.PLACES.items():

        def count(*args: Any, _name: str = name, _real: Any = place.function, **kwargs: Any) -> Any:
            counts[_name] = counts.get(_name, 0) + 1
            return _real(*args, **kwargs)

        monkeypatch.setattr(place, "function", count)
    for scenario in SCENARIOS:
        _run(provider, *scenario)
    _run(provider, "openai-chat-stream", "sync", DROPPED)
    return counts


NOT_ON_THE_WAY = {
    "spanscript._unread._end_open",  # at exit
    "spanscript.instrumentor.SpanscriptInstrumentor._instrument",
    "spanscript.instrumentor.SpanscriptInstrumentor._uninstrument",
    "spanscript.instrumentor.pre_instrument",
    "spanscript._patch.when_imported.<locals>.imported",
}
"""Places that no request comes through."""

FINALIZERS = {"spanscript._unread.end_unread", "spanscript._hooks.aiohttp._Bodies.came"}
"""Python itself, or the event loop, prints what is raised in one, and goes on."""


def test_every_place_is_reached(provider: Any, recording: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the test above would prove nothing."""
    assert set(PLACES) - set(_reached(provider, recording, monkeypatch)) <= NOT_ON_THE_WAY


ONE_COLOUR = {"requests": "sync", "_urllib3": "sync", "aiohttp": "async"}
"""Hooks of libraries that come in one."""
PASSED = [
    (name, colour)
    for name in PLACES
    if name not in NOT_ON_THE_WAY | FINALIZERS
    for colour in ("sync", "async")
    if ONE_COLOUR.get(name.split(".")[2], colour) == colour
]


@pytest.mark.parametrize("kind", PASSING, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize(("name", "colour"), PASSED)
def test_what_is_no_error_passes(
    name: str, colour: str, kind: type[BaseException], provider: Any, recording: Any, monkeypatch: Any
) -> None:
    """An interrupt that strikes inside our code is the app's."""
    place = _guard.PLACES[name]
    struck: list[bool] = []

    def strike(*args: Any, **kwargs: Any) -> Any:
        if not struck:
            struck.append(True)
            raise kind
        return real(*args, **kwargs)

    real = place.function
    monkeypatch.setattr(place, "function", strike)
    with pytest.raises(kind):
        _go_through(provider, colour)


def _go_through(provider: Any, colour: str) -> None:
    """All scenarios, as far as nothing is raised that is no error."""
    for row, its_colour, fault in SCENARIOS:
        if its_colour == colour:
            provider.reset()
            provider.script(*fault.steps)
            with contextlib.suppress(Exception):
                copy_context().run(run, colour, ROW[row](App(provider, colour, fault)))


def test_failures_are_said_once_without_values(
    provider: Any, recording: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(_guard, "strict", False)
    place = _guard.PLACES["spanscript._attempt.Attempt.chunk"]
    monkeypatch.setattr(place, "reported", False)
    monkeypatch.setattr(place, "function", _failing(place, "instead", lambda: ValueError("secret prompt")))
    with caplog.at_level(logging.DEBUG, "spanscript"):
        _run(provider, "openai-chat-stream", "sync", RETRIED)
        _run(provider, "openai-chat-stream", "sync", RETRIED)
    assert len([r for r in caplog.records if r.name == "spanscript"]) == 1
    assert "ValueError" in caplog.text
    assert "secret prompt" not in caplog.text
    assert shown(caplog.records[0].exc_info) == shown(None)
