"""The guard: errors of ours stay ours, everything else passes."""

from __future__ import annotations

import asyncio
import logging
import signal

import pytest

from spanscript import _guard
from spanscript._guard import guarded


@pytest.fixture(autouse=True)
def as_in_production(monkeypatch):
    monkeypatch.setattr(_guard, "strict", False)
    before = dict(_guard.PLACES)
    yield
    _guard.PLACES.clear()
    _guard.PLACES.update(before)


class Nasty(Exception):
    def __str__(self):
        raise ValueError


@pytest.mark.parametrize(
    "error", [ValueError("x"), MemoryError(), RecursionError(), Nasty(), AttributeError("a"), TypeError()]
)
def test_errors_become_none_and_are_logged_once_without_their_text(error, caplog):
    @guarded
    def fails():
        raise error

    with caplog.at_level(logging.WARNING):
        assert fails() is None
        assert fails() is None

    assert len(caplog.records) == 1
    text = caplog.records[0].getMessage()
    assert type(error).__name__ in text
    assert __file__ in text
    assert "fails" in text


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), SystemExit(3), asyncio.CancelledError(), GeneratorExit()]
)
def test_what_is_no_error_passes(error):
    @guarded
    def stops():
        raise error

    with pytest.raises(type(error)) as caught:
        stops()

    assert caught.value is error


def test_what_a_signal_handler_raises_passes():
    class TooLong(Exception):
        pass

    def too_long(number, frame):
        raise TooLong

    @guarded
    def works_long():
        signal.raise_signal(signal.SIGUSR1)
        return sum(range(100_000))

    before = signal.signal(signal.SIGUSR1, too_long)
    try:
        with pytest.raises(TooLong):
            works_long()
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_strict_raises(monkeypatch):
    monkeypatch.setattr(_guard, "strict", True)

    @guarded
    def fails():
        raise ValueError

    with pytest.raises(ValueError):
        fails()


def test_every_guarded_function_is_listed():
    @guarded
    def anything():
        return 1

    assert any(name.endswith("anything") for name in _guard.PLACES)
    assert anything() == 1
