"""A key that is used is recorded nowhere, whatever the app puts it into."""

from __future__ import annotations

import json

import httpx
import pytest

from spanscript import _secrets

KEY = "sk-live-0123456789abcdefghijklmnop"
HEADERS = {
    "openai": {"authorization": f"Bearer {KEY}"},
    "anthropic": {"x-api-key": KEY},
    "azure": {"api-key": KEY},
    "google": {"x-goog-api-key": KEY},
}
ASK = {"model": "gpt-5", "messages": [{"role": "user", "content": f"env: OPENAI_API_KEY={KEY}"}]}


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    monkeypatch.setattr(_secrets, "_known", ())


def everything(recording) -> str:
    spans = json.dumps([span.to_json() for span in recording.spans])
    return spans + "".join(file.read_text() for file in recording.directory.iterdir())


@pytest.mark.parametrize("style", HEADERS)
@pytest.mark.parametrize("stream", [False, True])
def test_a_key_in_a_prompt_and_in_the_answer(style, stream, provider, recording):
    provider.script(*[{"answer": {"texts": [f"Your key is {KEY}."]}}] * 2)

    for _ in range(2):
        httpx.post(
            f"{provider.openai_url}/chat/completions", json={**ASK, "stream": stream}, headers=HEADERS[style]
        )

    assert KEY in provider.llm_requests[0].body.decode()  # it was really sent
    assert KEY not in everything(recording)
    request = recording.entries_of("provider_call_request")[0]
    assert request["masked"] is True
    assert "body_sha256" not in request
    assert recording.entries_of("message")[0]["content"] == "env: OPENAI_API_KEY=[secret]"
    assert recording.entries_of("provider_call_response")[0]["text"] == "Your key is [secret]."


@pytest.mark.parametrize("url", ["http://user:{}@127.0.0.1:{}/v1/chat/completions?key={}&alt=sse"])
def test_a_key_in_the_url(url, provider, recording):
    port = provider.url.rpartition(":")[2]

    httpx.post(
        url.format(KEY, port, KEY), json={"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    )

    assert len(provider.llm_requests) == 1
    assert KEY not in everything(recording)
    assert recording.attempts[0].attributes["url.full"] == f"http://127.0.0.1:{port}/v1/chat/completions"


def test_a_key_in_an_exception(provider, recording):
    class Failing(httpx.BaseTransport):
        def handle_request(self, request):
            raise httpx.ConnectError(f"no way to https://u:{KEY}@host/path?key={KEY} with {KEY}")

    with httpx.Client(transport=Failing()) as client, pytest.raises(httpx.ConnectError):
        client.post(
            "http://127.0.0.1/v1/messages", json={**ASK, "max_tokens": 1}, headers=HEADERS["anthropic"]
        )

    assert recording.calls[0].status.description
    assert KEY not in everything(recording)


def test_a_request_without_a_key_in_it_is_untouched(provider, recording):
    httpx.post(
        f"{provider.openai_url}/chat/completions",
        headers=HEADERS["openai"],
        json={"model": "m", "messages": [{"role": "user", "content": "hi"}]},
    )

    request = recording.entries_of("provider_call_request")[0]
    assert "masked" not in request
    assert len(request["body_sha256"]) == 64
