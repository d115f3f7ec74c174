"""A call inside a call, a call that asks later, and a call that does not know whom it asks."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from spanscript import _dialects
from spanscript._attempt import Attempt, Wire
from spanscript._call import Call, CallInfo
from spanscript._calls import Calls

PATH = "/v1/chat/completions"
BODY = b'{"model":"gpt-5-mini","messages":[{"role":"user","content":"hi"}]}'


class Told:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.begun: list[Call] = []
        self.ended: list[Call] = []
        self.attempts: list[Attempt] = []

    def suppressed(self) -> bool:
        return False

    def call_started(self, call: Call) -> None:
        self.begun.append(call)

    def attempt_started(self, attempt: Attempt) -> None:
        self.attempts.append(attempt)

    def attempt_ended(self, attempt: Attempt) -> None:
        pass

    def call_ended(self, call: Call) -> None:
        self.ended.append(call)

    def enter(self, scope: Any) -> None:
        pass

    def leave(self, token: Any) -> None:
        pass

    @property
    def statuses(self) -> list[str]:
        return [attempt.outcome.status for attempt in self.attempts if attempt.outcome]


class Tries:
    """Tries again after every 429, `limit` times."""

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def wants(self, status: int | None, headers: Any, error: BaseException | None) -> bool:
        return status == 429


def described(limit: int | None = None, **more: Any) -> CallInfo:
    return CallInfo("client", "chat", None, retry=None if limit is None else Tries(limit), **more)


def send(calls: Calls, status: int, host: str = "api.openai.com") -> None:
    match = _dialects.find("POST", PATH)
    assert match is not None
    sending = calls.sending(match, Wire("POST", f"https://{host}{PATH}", host, 443, BODY), "httpx")
    assert sending is not None
    with sending as attempt:
        pass
    attempt.respond(status, {"content-type": "application/json"})
    attempt.whole(b'{"choices":[]}')


def inner(calls: Calls, limit: int | None, *statuses: int) -> None:
    joined = calls.calling(described, limit)
    assert (joined is None) == (limit is None)
    with joined or contextlib.nullcontext():
        for status in statuses:
            send(calls, status)


@pytest.mark.parametrize(
    ("runs", "statuses"),
    [
        # (retries of the inner client, what is answered), one after the other within one outer call
        ([(2, [429, 429, 200])], ["retrying", "retrying", "ok"]),
        ([(2, [429, 429, 429])], ["retrying", "retrying", "retries_exhausted"]),
        ([(0, [429]), (0, [429]), (0, [200])], ["error", "error", "ok"]),
        ([(1, [429, 429]), (1, [429, 200])], ["retrying", "retries_exhausted", "retrying", "ok"]),
        # What knows no retries has none, whoever came before it.
        ([(2, [429, 400]), (None, [429]), (2, [200])], ["retrying", "error", "error", "ok"]),
    ],
)
def test_a_joined_call_lends_its_retries(runs: Any, statuses: Any) -> None:
    told = Told()
    calls = Calls(told)
    outer = calls.calling(described)
    assert outer is not None
    with outer:
        for limit, answers in runs:
            inner(calls, limit, *answers)
    assert told.statuses == statuses
    assert len(told.begun) == len(told.ended) == 1
    assert told.ended[0].status == statuses[-1]
    assert [a.request.attempt for a in told.attempts] == list(range(len(statuses)))


def test_a_call_that_knows_its_own_retries_borrows_none() -> None:
    told = Told()
    calls = Calls(told)
    outer = calls.calling(described, 1)
    assert outer is not None
    with outer:
        assert calls.calling(pytest.fail, "not asked") is None
        send(calls, 429)
        send(calls, 200)
    assert told.statuses == ["retrying", "ok"]


@pytest.mark.parametrize("sent", [0, 1])
def test_a_lazy_call_that_sent_nothing_is_forgotten(sent: int) -> None:
    told = Told()
    calls = Calls(told)
    outer = calls.calling(lambda: described(lazy=True))
    assert outer is not None
    with outer:
        for _ in range(sent):
            send(calls, 200)
    send(calls, 200)  # when what it returned is read
    lazy, *later = told.begun
    assert told.ended == ([lazy, *later] if sent else later)
    assert len(later) == 1
    assert [a.call for a in told.attempts] == [lazy] * sent + later


def test_a_lazy_call_that_failed_is_told() -> None:
    told = Told()
    outer = Calls(told).calling(lambda: described(lazy=True))
    assert outer is not None
    with pytest.raises(ValueError, match="no key"), outer:
        raise ValueError("no key")
    assert [call.status for call in told.ended] == ["error"]


def test_requests_tell_whom_they_ask() -> None:
    told = Told()
    calls = Calls(told)
    outer = calls.calling(described)
    assert outer is not None
    with outer:
        send(calls, 500)
        send(calls, 200, "api.groq.com")
        send(calls, 200, "llm.example")
    assert [a.request.provider for a in told.attempts] == ["openai", "groq", "llm.example"]
