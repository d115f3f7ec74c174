"""What is no call for a model's answer is not recorded; what is asked to be left alone neither."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anthropic
import httpx
import openai
import pytest
from opentelemetry import context as otel_context
from rows import CHAT, KEY, MESSAGES
from twice import calls_of, proven, twice


def _openai(provider: Any) -> Any:
    return openai.OpenAI(base_url=provider.openai_url, api_key=KEY, max_retries=0)


def _anthropic(provider: Any) -> Any:
    return anthropic.Anthropic(base_url=provider.url, api_key=KEY, max_retries=0)


def _http(method: str, path: str, **options: Any) -> Callable[[Any], Any]:
    return lambda p: httpx.request(method, p.url + path, **options).text


OTHER: dict[str, Callable[[Any], Any]] = {
    "models": lambda p: [m.id for m in _openai(p).models.list()],
    "model": lambda p: _openai(p).models.retrieve("gpt-5").id,
    "models-anthropic": lambda p: [m.id for m in _anthropic(p).models.list()],
    "count_tokens": lambda p: _anthropic(p).messages.count_tokens(model="m", messages=MESSAGES["messages"]),
    "response-by-id": lambda p: _openai(p).responses.retrieve("resp_1"),
    "get": _http("GET", "/index.html"),
    "post": _http("POST", "/api/orders", json=CHAT),
    "get-of-a-dialect": _http("GET", "/v1/chat/completions?x=1"),
    "put-of-a-dialect": _http("PUT", "/v1/messages", json=MESSAGES),
    "chat-app-messages": _http("POST", "/rooms/7/messages", json={"text": "hello", "messages": 3}),
    "chat-app-list": _http("POST", "/rooms/7/messages", json={"messages": [{"text": "hello"}]}),
    "form": _http("POST", "/v1/responses", data={"model": "m", "input": "x"}),
    "survey-responses": _http("POST", "/survey/3/responses", json={"answers": [1, 2]}),
    "array": _http("POST", "/v1/embeddings", json=[{"model": "m", "input": "x"}]),
    "no-body": _http("POST", "/v1/chat/completions"),
    "no-json": _http("POST", "/v1/chat/completions", content=b"\xff\x00{"),
    "upload": _http(
        "POST",
        "/v1/files",
        files={"file": b"{}"},
        headers={"content-type": "multipart/form-data; boundary=x"},
    ),
    "upload-produced": lambda p: httpx.post(p.url + "/v1/chat/completions", content=iter([b"{}"])).text,
}


@pytest.mark.parametrize("work", OTHER.values(), ids=OTHER.keys())
def test_other_traffic(work: Callable[[Any], Any], provider: Any, request: Any) -> None:
    recording = twice(provider, request, work)
    assert calls_of(recording) == []
    assert recording.attempts == []
    assert not recording.directory.exists()


@pytest.mark.parametrize("sdk", ["openai", "anthropic", "httpx"])
def test_suppressed(sdk: str, provider: Any, request: Any) -> None:
    """Whoever says `suppress_instrumentation` is left alone."""

    def work(p: Any) -> Any:
        token = otel_context.attach(otel_context.set_value(otel_context._SUPPRESS_INSTRUMENTATION_KEY, True))
        try:
            return CALLS[sdk](p)
        finally:
            otel_context.detach(token)

    recording = twice(provider, request, work)
    assert calls_of(recording) == []
    assert recording.attempts == []
    assert not recording.directory.exists()
    CALLS[sdk](provider)
    assert len(recording.attempts) == 1


CALLS: dict[str, Callable[[Any], Any]] = {
    "openai": lambda p: _openai(p).chat.completions.create(**CHAT).id,
    "anthropic": lambda p: _anthropic(p).messages.create(**MESSAGES).id,
    "httpx": _http("POST", "/v1/chat/completions", json=CHAT),
}


@pytest.mark.parametrize("status", [302, 307])
@pytest.mark.parametrize("sdk", ["openai", "anthropic", "httpx"])
def test_redirect(sdk: str, status: int, provider: Any, request: Any) -> None:
    """One send, two requests below it: one attempt, which names both statuses."""
    recording = twice(provider, request, CALLS[sdk], [str(status), "ok"])
    followed = sdk != "httpx"
    (attempt,) = recording.attempts
    assert attempt.attributes["http.response.status_code"] == (200 if followed else status)
    assert attempt.attributes.get("llm.http_statuses") == ((status, 200) if followed else None)
    assert attempt.attributes["llm.status"] == ("ok" if followed else "error")
    assert len(calls_of(recording)) == 1
    assert len(provider.llm_requests) == 1 + followed


def test_both_kinds_in_one_client(provider: Any, request: Any) -> None:
    """Among other traffic of one client, exactly the calls are recorded."""

    def work(p: Any) -> Any:
        client = _openai(p)
        client.models.list()
        seen = [client.chat.completions.create(**CHAT).id for _ in range(2)]
        return [*seen, client.models.retrieve("gpt-5").id]

    recording = proven(twice(provider, request, work), provider)
    assert len(calls_of(recording)) == len(recording.attempts) == 2
