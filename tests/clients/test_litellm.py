"""litellm: what it makes of one call, as the table cannot ask it."""

from __future__ import annotations

from typing import Any

import pytest
from apps import ANSWER, COLOURS, App, now, run
from faults import QUICK
from proof import attempts_are_requests, parity, replay_is_exact
from rows.litellm import ASKED, KEY, ROWS

litellm = pytest.importorskip("litellm")
GPT = {"model": "openai/gpt-5-mini", "api_key": KEY}
CLAUDE = {"model": "anthropic/claude-haiku-4-5", "api_key": KEY}
GEMINI = {"model": "gemini/gemini-2.5-flash", "api_key": KEY}


@pytest.fixture(autouse=True)
def quiet(provider: Any) -> None:
    ROWS[0].create(App(provider, "sync", None))


@pytest.fixture(params=COLOURS)
def colour(request: Any) -> str:
    return str(request.param)


async def _completed(litellm_or_router: Any, colour: str, **asked: Any) -> str | None:
    name = "acompletion" if colour == "async" else "completion"
    answer = await now(getattr(litellm_or_router, name)(messages=ASKED, **asked))
    if not asked.get("stream"):
        return str(answer.choices[0].message.content)
    # Its streams are of both colours, and only one of them works.
    chunks = [chunk async for chunk in answer] if colour == "async" else list(answer)
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


def _told(recording: Any, provider: Any) -> tuple[Any, list[str]]:
    attempts_are_requests(recording, provider)
    parity(recording)
    replay_is_exact(recording, provider.llm_requests)
    (call,) = recording.calls
    assert {a.parent.span_id for a in recording.attempts} <= {call.context.span_id}
    return call, [a.attributes["llm.status"] for a in recording.attempts]


def test_retries_of_its_own_are_of_one_call(colour: str, provider: Any, recording: Any) -> None:
    """Its handlers never try again; it calls itself. How often is not known beforehand."""
    pytest.importorskip("tenacity")
    provider.script(f"429 {QUICK}", "ok")
    asked = {**CLAUDE, "api_base": provider.url, "num_retries": 2}
    assert run(colour, _completed(litellm, colour, **asked)) == ANSWER
    call, statuses = _told(recording, provider)
    assert statuses == ["error", "ok"]
    assert recording.attempts[0].attributes["llm.retryable"] is True
    assert call.attributes["llm.status"] == "ok"


def test_a_router_falls_back_within_one_call(colour: str, provider: Any, recording: Any) -> None:
    """The call tells who answered, of two deployments of different providers."""
    first = {
        "model_name": "main",
        "litellm_params": {**GPT, "api_base": provider.openai_url, "max_retries": 0},
    }
    second = {"model_name": "other", "litellm_params": {**CLAUDE, "api_base": provider.url}}
    router = litellm.Router(
        model_list=[first, second], fallbacks=[{"main": ["other"]}], num_retries=0, disable_cooldowns=True
    )
    provider.script("500", "ok")
    assert run(colour, _completed(router, colour, model="main")) == ANSWER
    call, statuses = _told(recording, provider)
    assert statuses == ["error", "ok"]
    assert [r.path for r in provider.llm_requests] == ["/v1/chat/completions", "/v1/messages"]
    assert call.name == "chat claude-haiku-4-5"
    assert call.attributes["gen_ai.request.model"] == "claude-haiku-4-5"
    assert call.attributes["gen_ai.usage.output_tokens"] > 0


def test_a_stream_that_asks_when_it_is_read(colour: str, provider: Any, recording: Any) -> None:
    """Gemini's: nothing was sent when the function returned, so each request is a call of its own."""
    asked = {**GEMINI, "api_base": f"{provider.url}/v1beta", "stream": True}
    assert run(colour, _completed(litellm, colour, **asked)) == ANSWER
    call, statuses = _told(recording, provider)
    assert statuses == ["ok"]
    assert call.attributes["gen_ai.operation.name"] == "generate_content"


def test_an_answer_that_nobody_was_asked_for(colour: str, provider: Any, recording: Any) -> None:
    assert run(colour, _completed(litellm, colour, **GPT, mock_response="hello")) == "hello"
    call, statuses = _told(recording, provider)
    assert statuses == []
    assert call.attributes["llm.status"] == "ok"
    assert not [name for name in call.attributes if name.startswith("gen_ai.usage")]


def test_a_call_that_failed_before_it_was_sent(colour: str, provider: Any, recording: Any) -> None:
    with pytest.raises(litellm.BadRequestError):
        run(colour, _completed(litellm, colour, model="nobody-has-this"))
    call, statuses = _told(recording, provider)
    assert statuses == []
    assert call.attributes["error.type"] == "litellm.exceptions.BadRequestError"
    assert call.attributes["gen_ai.request.model"] == "nobody-has-this"
