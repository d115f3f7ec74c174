"""The loopback provider against the real google-genai, uninstrumented: it must take what it sends."""

from __future__ import annotations

import asyncio
import json
import urllib.request

import pytest

from spanscript.demo.provider import Step

genai = pytest.importorskip("google.genai")

SAID = "Grüße aus Zürich 😀, please"
ANSWER = f"You said: {SAID}"
MODEL = "gemini-2.5-flash"


@pytest.fixture
def client(provider):
    return genai.Client(api_key="unused", http_options={"base_url": provider.url})


def ask(client, contents=SAID, **config):
    return client.models.generate_content(model=MODEL, contents=contents, config=config)


def streamed(client, **config):
    return list(client.models.generate_content_stream(model=MODEL, contents=SAID, config=config))


@pytest.mark.parametrize("step", ["ok", "gzip", "chunk_size=1"])
def test_streamed_and_whole_say_the_same(provider, client, step):
    provider.script(step, forever=True)
    whole, chunks = ask(client), streamed(client)

    assert whole.text == "".join(c.text for c in chunks) == ANSWER
    assert chunks[-1].candidates[0].finish_reason == whole.candidates[0].finish_reason == "STOP"
    assert chunks[-1].usage_metadata == whole.usage_metadata
    assert whole.model_version == MODEL


def test_vertex(provider):
    client = genai.Client(vertexai=True, api_key="unused", http_options={"base_url": provider.url})

    assert ask(client).text == ANSWER
    assert provider.requests[0].path.endswith(f"/publishers/google/models/{MODEL}:generateContent")


def test_asynchronous(client):
    async def both():
        whole = await client.aio.models.generate_content(model=MODEL, contents=SAID)
        stream = await client.aio.models.generate_content_stream(model=MODEL, contents=SAID)
        return whole.text, "".join([chunk.text async for chunk in stream])

    assert asyncio.run(both()) == (ANSWER, ANSWER)


def weather(city: str) -> str:
    """The weather of a city."""
    return f"sunny in {city}"


def test_tools_are_called_and_their_results_told(provider, client):
    assert ask(client, "Weather in Paris", tools=[weather]).text == "The tool says: sunny in Paris"
    assert len(provider.llm_requests) == 2


def test_thoughts_are_counted_beside(client):
    reply = ask(client, thinking_config={"include_thoughts": True})
    thought, text = reply.candidates[0].content.parts
    counts = reply.usage_metadata

    assert (thought.thought, text.text) == (True, ANSWER)
    assert counts.thoughts_token_count > 0
    assert counts.total_token_count == (
        counts.prompt_token_count + counts.candidates_token_count + counts.thoughts_token_count
    )


def test_choices_limits_and_schemas(client):
    reply = ask(client, candidate_count=2, max_output_tokens=4)
    schema = {"type": "OBJECT", "properties": {"city": {"type": "STRING"}, "days": {"type": "INTEGER"}}}

    assert [c.finish_reason for c in reply.candidates] == ["MAX_TOKENS"] * 2
    assert json.loads(ask(client, response_schema=schema).text) == {"city": "Zürich", "days": 1}


def test_prompts_that_are_blocked(provider, client):
    provider.script(Step(answer={"refusal": "Not this."}))
    reply = ask(client)

    assert reply.candidates is None
    assert reply.prompt_feedback.block_reason_message == "Not this."


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
@pytest.mark.parametrize("how", [ask, streamed])
def test_error_statuses(provider, client, status, how):
    provider.script(str(status))
    with pytest.raises(genai.errors.APIError) as caught:
        how(client)
    assert caught.value.code == status
    assert caught.value.status


def test_an_error_within_a_stream(provider, client):
    provider.script("error after=2")
    with pytest.raises(genai.errors.APIError, match="UNAVAILABLE"):
        streamed(client)


def test_an_array_unless_events_are_asked_for(provider):
    url = f"{provider.url}/v1beta/models/{MODEL}:streamGenerateContent"
    body = json.dumps({"contents": [{"role": "user", "parts": [{"text": SAID}]}]}).encode()
    with urllib.request.urlopen(urllib.request.Request(url, body)) as answer:
        chunks = json.load(answer)

    texts = [c["candidates"][0]["content"]["parts"][0]["text"] for c in chunks]
    assert "".join(texts) == ANSWER
    assert len(chunks) > 2


@pytest.mark.parametrize("vertexai", [False, True])
def test_embeddings(provider, vertexai):
    client = genai.Client(vertexai=vertexai, api_key="unused", http_options={"base_url": provider.url})
    reply = client.models.embed_content(
        model="gemini-embedding-001", contents=[SAID, "two"], config={"output_dimensionality": 4}
    )

    assert [len(e.values) for e in reply.embeddings] == [4, 4]
    assert reply.embeddings[0].values != reply.embeddings[1].values


def test_predictions_as_vertex_had_them(provider):
    url = f"{provider.url}/v1/projects/p/locations/l/publishers/google/models/text-embedding-005:predict"
    body = {"instances": [{"content": "a"}, {"content": "b"}], "parameters": {"outputDimensionality": 3}}
    request = urllib.request.Request(url, json.dumps(body).encode())
    with urllib.request.urlopen(request) as answer:
        predictions = json.load(answer)["predictions"]

    assert [len(p["embeddings"]["values"]) for p in predictions] == [3, 3]
    assert predictions[0]["embeddings"]["statistics"]["token_count"] > 0


def test_interactions(provider, client):
    tool = {
        "type": "function",
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    }
    thinking = {"thinking_level": "low"}
    asked = {"model": MODEL, "input": "Weather in Paris", "tools": [tool], "generation_config": thinking}
    whole = client.interactions.create(**asked)
    events = list(client.interactions.create(**asked, stream=True))
    result = {"type": "function_result", "call_id": "c", "result": [{"type": "text", "text": "sunny"}]}
    last = client.interactions.create(**{**asked, "input": [result], "previous_interaction_id": whole.id})

    assert whole.status == "requires_action"
    assert [s.type for s in whole.steps] == ["thought", "function_call"]
    assert whole.steps[1].arguments == {"city": "Paris"}
    assert events[-1].interaction.usage.total_tokens == whole.usage.total_tokens > 0
    assert last.steps[-1].content[0].text == "The tool says: sunny"
