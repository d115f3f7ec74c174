"""
Every place where our code is entered is made to fail, as `_guard.PLACES` lists them.

The app must get what it gets without us, and the server one request for each attempt.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
from collections.abc import Callable, Iterator
from contextvars import copy_context
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from apps import App, run, shown
from faults import FAULTS, Fault
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from proof import sent
from recording import Recording
from rows import ROWS
from rows import requests as by_requests
from rows.row import CHAT

from spanscript import _guard
from spanscript._interpretation import interpreter
from spanscript._subscribers import subscribe
from spanscript._usage import usage

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
OFFER = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
ROW["requests-tools-post"] = replace(
    ROW["requests-chat-post"],
    ask=partial(by_requests.post, "/v1/chat/completions", {**CHAT, "tools": [OFFER]}),
)
FINE = Fault("ok", ["ok"], [])
RETRIED = Fault("retried", ["429 retry-after-ms=1", "ok"], [])
BROKEN, REFUSED, DROPPED, SLOW = (
    next(fault for fault in FAULTS if fault.name == name)
    for name in ("stream_cut", "bad_request", "never_read", "slow")
)
ASKING = (
    ("openai-chat-whole", ("sync", "async"), (RETRIED, REFUSED)),
    ("openai-chat-stream", ("sync", "async"), (RETRIED, BROKEN)),
    ("requests-chat-post", ("sync",), (REFUSED,)),
    ("requests-tools-post", ("sync",), (FINE,)),
    ("requests-chat-post_stream", ("sync",), (BROKEN,)),
    ("requests-chat-post_raw", ("sync",), (BROKEN,)),
    ("openai-chat-stream", ("sync",), (DROPPED,)),
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
    return copy_context().run(_counted, colour, work), sent(provider)


def _counted(colour: str, work: Any) -> Any:
    """In a block whose cost is asked for, with an interpreter and a listener: they have places of their own."""
    undo = interpreter(lambda _: None)
    try:
        with usage() as used, subscribe(lambda _: None):
            result = run(colour, work)
            _ = used.cost_usd
            return result
    finally:
        undo()


def _everything(directory: Path) -> Recording:
    """With all that can be switched on: each has places of its own."""
    logger_provider = LoggerProvider(shutdown_on_exit=False)
    logger_provider.add_log_record_processor(SimpleLogRecordProcessor(InMemoryLogRecordExporter()))
    return Recording(directory, logs=True, logger_provider=logger_provider)


Way = tuple[tuple[str, str, Fault], Any]
"""A scenario, and what it gives without us."""


@pytest.fixture(scope="session")
def ways(shared_provider: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Way]]:
    """Place → the scenarios that come through it."""
    found: dict[str, list[Way]] = {}
    for scenario in SCENARIOS:
        bare = _run(shared_provider, *scenario)
        recording = _everything(tmp_path_factory.mktemp("way"))
        for name in _entered(shared_provider, scenario):
            found.setdefault(name, []).append((scenario, bare))
        recording.undo()
    return found


def _entered(provider: Any, scenario: tuple[str, str, Fault]) -> set[str]:
    """The places that a scenario comes through."""
    entered: set[str] = set()
    with pytest.MonkeyPatch.context() as patch:
        for name, place in _guard.PLACES.items():

            def note(*args: Any, _name: str = name, _real: Any = place.function, **kwargs: Any) -> Any:
                entered.add(_name)
                return _real(*args, **kwargs)

            patch.setattr(place, "function", note)
        _run(provider, *scenario)
    return entered


@pytest.fixture
def recording(tmp_path: Path) -> Iterator[Recording]:
    recording = _everything(tmp_path / "run")
    yield recording
    recording.undo()


def _failing(place: Any, when: str, error: Callable[[], BaseException]) -> Callable[..., Any]:
    real = place.function

    def fail(*args: Any, **kwargs: Any) -> Any:
        if when == "after":
            real(*args, **kwargs)
        raise error()

    return fail


NOT_ON_THE_WAY = {
    "spanscript._unread._end_open",  # at exit
    "spanscript.instrumentor.SpanscriptInstrumentor._instrument",
    "spanscript.instrumentor.SpanscriptInstrumentor._uninstrument",
    "spanscript.instrumentor.pre_instrument",
    "spanscript._patch.when_imported.<locals>.imported",
    "spanscript._annotations._annotate",
    "spanscript._retrying._Run._outcome",
    "spanscript._interpretation._installed",  # once for each format, which `interpretation` asks for
}
"""Places that no request comes through."""

FINALIZERS = {"spanscript._unread.end_unread", "spanscript._hooks.aiohttp._Bodies.came"}
"""Python itself, or the event loop, prints what is raised in one, and goes on."""

IN_OUR_THREADS = {
    "spanscript._delivery.Mailbox._tell",
    "spanscript._subscribers.Progress._read",
    "spanscript._subscribers.Progress.finish",
    "spanscript._subscribers.Telling.tell",
}
"""Where nothing that is raised can come to the app."""


@pytest.mark.parametrize("when", ["instead", "after"])
@pytest.mark.parametrize("name", [name for name in PLACES if name not in NOT_ON_THE_WAY])
def test_an_error_of_ours(
    name: str, when: str, ways: Any, provider: Any, recording: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_guard, "strict", False)
    place = _guard.PLACES[name]
    real = place.function
    kinds = [*ERRORS.values()]
    for scenario, bare in ways[name]:
        for error in kinds:
            monkeypatch.setattr(place, "function", _failing(place, when, error))
            assert _run(provider, *scenario) == bare
            monkeypatch.setattr(place, "function", real)
        del kinds[1:]  # the guard is the same everywhere: one scenario tells for all kinds


@pytest.mark.parametrize("kind", PASSING, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize(
    "name", [name for name in PLACES if name not in NOT_ON_THE_WAY | FINALIZERS | IN_OUR_THREADS]
)
def test_what_is_no_error_passes(
    name: str, kind: type[BaseException], ways: Any, provider: Any, recording: Any, monkeypatch: Any
) -> None:
    """An interrupt that strikes inside our code is the app's."""
    place = _guard.PLACES[name]
    real = place.function
    in_each_colour = {scenario[1]: scenario for scenario, _ in reversed(ways[name])}
    for row, colour, fault in in_each_colour.values():
        struck: list[bool] = []

        def strike(*args: Any, _struck: list[bool] = struck, **kwargs: Any) -> Any:
            if not _struck:
                _struck.append(True)
                raise kind
            return real(*args, **kwargs)

        monkeypatch.setattr(place, "function", strike)
        provider.reset()
        provider.script(*fault.steps)
        with pytest.raises(kind), contextlib.suppress(Exception):
            copy_context().run(_counted, colour, ROW[row](App(provider, colour, fault)))
        monkeypatch.setattr(place, "function", real)


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
