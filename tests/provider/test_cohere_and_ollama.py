"""The loopback provider against the real SDKs of Cohere and Ollama, uninstrumented: they must take what it sends."""

from __future__ import annotations

import json
import urllib.request

import pytest

SAID = "Grüße aus Zürich 😀, please"
ANSWER = f"You said: {SAID}"
ASKED = [{"role": "user", "content": SAID}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOLS = [
    {"type": "function", "function": {"name": n, "description": n, "parameters": SCHEMA}}
    for n in ("weather", "clock")
]
OLD_TOOLS = [
    {
        "name": "weather",
        "description": "w",
        "parameter_definitions": {"city": {"type": "str", "required": True}},
    }
]


@pytest.fixture
def v2(provider):
    cohere = pytest.importorskip("cohere")
    return cohere.ClientV2(api_key="unused", base_url=provider.url)


@pytest.fixture
def v1(provider):
    cohere = pytest.importorskip("cohere")
    return cohere.Client(api_key="unused", base_url=provider.url)


@pytest.fixture
def ollama(provider):
    return pytest.importorskip("ollama").Client(host=provider.url)


def said_by(events):
    """Text and thinking of the second version's events."""
    contents = [e.delta.message.content for e in events if e.type == "content-delta"]
    return tuple("".join(getattr(c, kind) or "" for c in contents) for kind in ("text", "thinking"))


def test_cohere_says_the_same_whole_and_streamed(v2):
    thinking = {"type": "enabled", "token_budget": 99}
    whole = v2.chat(model="m", messages=ASKED, thinking=thinking)
    events = list(v2.chat_stream(model="m", messages=ASKED, thinking=thinking))
    thought, text = whole.message.content

    assert (text.text, thought.thinking) == said_by(events)
    assert text.text == ANSWER
    assert events[-1].delta.usage == whole.usage
    assert whole.usage.tokens.input_tokens > whole.usage.billed_units.input_tokens
    assert events[-1].delta.finish_reason == whole.finish_reason == "COMPLETE"


def test_cohere_plans_calls_tools_and_tells_their_results(v2):
    asked = v2.chat(model="m", messages=ASKED, tools=TOOLS)
    events = list(v2.chat_stream(model="m", messages=ASKED, tools=TOOLS))
    plan = "".join(e.delta.message.tool_plan for e in events if e.type == "tool-plan-delta")
    calls = asked.message.tool_calls

    assert (asked.finish_reason, asked.message.tool_plan) == ("TOOL_CALL", plan)
    assert [c.function.name for c in calls] == ["weather", "clock"]
    assert json.loads(calls[0].function.arguments) == {"city": "Zürich"}
    results = [{"role": "tool", "tool_call_id": c.id, "content": c.function.name} for c in calls]
    final = v2.chat(model="m", messages=[*ASKED, asked.message, *results], tools=TOOLS)
    assert final.message.content[0].text == "The tool says: weather; clock"


def test_cohere_older_api(v1):
    events = list(v1.chat_stream(message=SAID))
    asked = v1.chat(message=SAID, tools=OLD_TOOLS)

    assert "".join(e.text for e in events if e.event_type == "text-generation") == ANSWER
    assert events[-1].response.text == v1.chat(message=SAID).text == ANSWER
    assert asked.tool_calls[0].parameters == {"city": "Zürich"}
    results = [{"call": asked.tool_calls[0], "outputs": [{"degrees": 21}]}]
    assert "21" in v1.chat(message="", tools=OLD_TOOLS, tool_results=results).text
    assert v1.generate(prompt=SAID).generations[0].text == ANSWER
    assert list(v1.generate_stream(prompt=SAID))[-1].response.generations[0].text == ANSWER


def test_cohere_embeds_and_reranks(v1, v2):
    asked = {"texts": ["a", "b"], "model": "e", "input_type": "classification"}
    typed = v2.embed(**asked, embedding_types=["float", "int8"], output_dimension=4).embeddings

    assert len(v1.embed(**asked).embeddings) == 2
    assert len(typed.float_[0]) == len(typed.int8[1]) == 4
    assert [r.index for r in v2.rerank(model="r", query="q", documents=["a", "b"], top_n=1).results] == [0]


@pytest.mark.parametrize("status", [400, 429, 503])
def test_cohere_error_statuses(v2, provider, status):
    errors = pytest.importorskip("cohere.core.api_error")
    provider.script(str(status))
    with pytest.raises(errors.ApiError) as caught:
        v2.chat(model="m", messages=ASKED, request_options={"max_retries": 0})
    assert caught.value.status_code == status
    assert caught.value.body["message"]


def test_cohere_failures_in_a_stream_are_events(v2, v1, provider):
    provider.script("error after=3", "error after=3")
    assert list(v2.chat_stream(model="m", messages=ASKED))[-1].delta.finish_reason == "ERROR"
    assert list(v1.chat_stream(message=SAID))[-1].finish_reason == "ERROR"


def test_ollama_says_the_same_whole_and_streamed(ollama):
    asked = {"model": "m", "messages": ASKED, "think": True}
    whole, chunks = ollama.chat(**asked), list(ollama.chat(**asked, stream=True))

    assert "".join(c.message.content for c in chunks) == whole.message.content == ANSWER
    assert "".join(c.message.thinking or "" for c in chunks) == whole.message.thinking
    assert [c.done for c in chunks] == [False] * (len(chunks) - 1) + [True]
    assert (chunks[-1].prompt_eval_count, chunks[-1].eval_count) == (
        whole.prompt_eval_count,
        whole.eval_count,
    )
    generated = ollama.generate(model="m", prompt=SAID, stream=True)
    assert (
        "".join(c.response for c in generated) == ollama.generate(model="m", prompt=SAID).response == ANSWER
    )


def test_ollama_calls_tools_and_tells_their_results(ollama):
    asked = ollama.chat(model="m", messages=ASKED, tools=TOOLS)
    calls = asked.message.tool_calls

    assert [c.function.name for c in calls] == ["weather", "clock"]
    assert calls[0].function.arguments == {"city": "Zürich"}
    result = {"role": "tool", "tool_name": "weather", "content": "21"}
    assert "21" in ollama.chat(model="m", messages=[*ASKED, asked.message, result]).message.content


def test_ollama_embeds(ollama):
    both = ollama.embed(model="m", input=["a", "b"]).embeddings

    assert both[0] == ollama.embeddings(model="m", prompt="a").embedding != both[1]


def test_ollama_streams_unless_told(provider):
    body = json.dumps({"model": "m", "messages": ASKED}).encode()
    with urllib.request.urlopen(f"{provider.url}/api/chat", data=body) as answer:
        lines = [json.loads(line) for line in answer]

    assert answer.headers["content-type"] == "application/x-ndjson"
    assert [line["done"] for line in lines][-2:] == [False, True]


def test_ollama_errors(ollama, provider):
    errors = pytest.importorskip("ollama")
    provider.script("404", "error after=3")
    with pytest.raises(errors.ResponseError) as caught:
        ollama.chat(model="m", messages=ASKED)
    assert caught.value.status_code == 404
    with pytest.raises(errors.ResponseError, match="server had an error"):
        list(ollama.chat(model="m", messages=ASKED, stream=True))
