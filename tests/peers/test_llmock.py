"""Faults as a provider written by others makes them: what the spans and the transcript tell of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

openai = pytest.importorskip("openai")
anthropic = pytest.importorskip("anthropic")

ASK = [{"role": "user", "content": "Say something long."}]


def chat(url: str, **more: Any) -> Any:
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="k")
    return client.chat.completions.create(model="gpt-5", messages=ASK, **more)


def messages(url: str, **more: Any) -> Any:
    client = anthropic.Anthropic(base_url=f"{url}/anthropic", api_key="k")
    return client.messages.create(model="claude-5", max_tokens=64, messages=ASK, **more)


def whole(send: Callable[..., Any]) -> Callable[[str], Any]:
    return send


def stream(send: Callable[..., Any]) -> Callable[[str], Any]:
    return lambda url: list(send(url, stream=True))


APIS = {"chat": chat, "messages": messages}
FAULT = {"type": "stream_fault", "after_chunks": 5}
CASES = {
    # name: behaviour, how it is asked, does the app see an error, attempts' statuses, error type of the last
    "ok": (None, whole, False, ["ok"], None),
    "stream": (None, stream, False, ["ok"], None),
    "429 then ok": ({"type": "fail", "status": 429, "retry_after": 1}, whole, False, ["retrying", "ok"], None),
    "503 always": ({"type": "fail", "status": 503, "times": 3}, whole, True,
                   ["retrying", "retrying", "retries_exhausted"], ...),
    "400": ({"type": "fail", "status": 400}, whole, True, ["error"], ...),
    "truncate": ({**FAULT, "kind": "truncate"}, stream, False, ["error"], "incomplete_stream"),
    "disconnect": ({**FAULT, "kind": "disconnect"}, stream, True, ["error"], ...),
    "malformed": ({**FAULT, "kind": "malformed"}, stream, True, ["error"], "malformed_stream"),
}  # fmt: skip


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("case", CASES)
def test_faults(case, api, llmock, recording):
    behaviour, asked, raises, statuses, error_type = CASES[case]
    if behaviour:
        llmock.behave(behaviour)

    try:
        asked(APIS[api])(llmock.url)
        raised = False
    except Exception:
        raised = True

    assert raised == raises
    assert len(llmock.requests) == len(recording.attempts)
    assert [s.attributes["llm.status"] for s in recording.attempts] == statuses
    (call,) = recording.calls
    assert call.attributes["llm.status"] == statuses[-1]
    if error_type is not ...:
        assert call.attributes.get("error.type") == error_type
    (*_, outcome) = recording.entries
    assert outcome.get("status", "ok") == statuses[-1]
    if asked is stream:
        assert outcome["text"]


def test_retry_after_is_told(llmock, recording):
    llmock.behave({"type": "fail", "status": 429, "retry_after": 1})

    chat(llmock.url)

    assert recording.attempts[0].attributes["llm.retry_after_ms"] == 1000
    waited = recording.attempts[1].start_time - recording.attempts[0].end_time
    assert waited > 0.7e9  # the client takes the server's word; a span that lies about time would not show it
