"""
The table: client by wire API by way of reading by colour by fault.

Each case runs twice with the same script, bare and recorded. The app must see no difference, the server
neither, and what is recorded must be what the server knows.
"""

from __future__ import annotations

from typing import Any

import pytest
from apps import ANSWER, App, Unavailable, run
from faults import FAULTS, Fault
from opentelemetry import trace
from proof import (
    attempts_are_requests,
    nothing_leaks,
    one_call,
    parity,
    replay_is_exact,
    sent,
    tokens_are_counted,
)
from rows import ROWS, Row


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    every = metafunc.config.getoption("--every-fault", default=False)
    client = metafunc.config.getoption("--client", default=None)
    if "row" in metafunc.fixturenames:
        metafunc.parametrize(("row", "colour", "fault"), _cases(client, every=every))


def _cases(client: str | None, *, every: bool) -> list[Any]:
    return [
        pytest.param(row, colour, fault, id=f"{row.name}-{colour}-{fault.name}")
        for row in ROWS
        if client in (None, row.client)
        for fault in FAULTS
        if fault.applies_to(row) and (every or row.thorough or fault.typical)
        for colour in (row.colours if not fault.cancels else {"async"}.intersection(row.colours))
    ]


def test_table(row: Row, colour: str, fault: Fault, provider: Any, request: Any) -> None:
    bare, bare_sent = _bare(row, colour, fault, provider)
    recording = request.getfixturevalue("recording")
    provider.reset()
    provider.script(*fault.steps)
    with recording.provider.get_tracer("app").start_as_current_span("app") as outer:
        seen = run(colour, _checked(App(provider, colour, fault), row, outer))
        nothing_leaks(outer)
    assert seen == bare
    assert sent(provider) == bare_sent
    provider.wait_for(1, finished=True)
    statuses = fault.statuses_of(row)
    call = one_call(recording, row, statuses, outer)
    attempts_are_requests(recording, provider)
    if statuses[-1] == "ok":
        tokens_are_counted(call, recording, provider)
    else:
        _broken_is_told(row, fault, call, recording)
    replay_is_exact(recording, provider.llm_requests)
    parity(recording)


def _bare(row: Row, colour: str, fault: Fault, provider: Any) -> tuple[Any, Any]:
    provider.script(*fault.steps)
    try:
        seen = run(colour, App(provider, colour, fault).run(row))
    except Unavailable as missing:
        pytest.skip(str(missing))
    return seen, sent(provider)


async def _checked(app: App, row: Row, outer: Any) -> Any:
    seen = await app.run(row)
    nothing_leaks(trace.get_current_span())
    assert trace.get_current_span() is outer
    return seen


_TEXTLESS = ("embeddings", "images", "speech")


def _broken_is_told(row: Row, fault: Fault, call: Any, recording: Any) -> None:
    last = recording.attempts[-1].attributes
    if fault.error is not None:
        assert last["error.type"] == call.attributes["error.type"] == fault.error
    error = recording.entries_of("provider_call_error")[-1]
    if fault.arrived and row.api.dialect not in _TEXTLESS:
        assert len(error["text"]) > len(ANSWER) / 4
        assert ANSWER.startswith(error["text"])
