"""The loopback provider against the real boto3, uninstrumented: it must take what the provider sends."""

from __future__ import annotations

import json
from typing import Any

import pytest

boto3 = pytest.importorskip("boto3")
botocore_config = pytest.importorskip("botocore.config")
exceptions = pytest.importorskip("botocore.exceptions")

MODEL = "us.amazon.nova-lite-v1:0"
SAID = "Grüße aus Zürich 😀, please"
ANSWER = f"You said: {SAID}"
ASKED: Any = {"modelId": MODEL, "messages": [{"role": "user", "content": [{"text": SAID}]}]}
SCHEMA = {"json": {"type": "object", "properties": {"city": {"type": "string"}}}}
TOOLS: Any = {"tools": [{"toolSpec": {"name": n, "inputSchema": SCHEMA}} for n in ("weather", "clock")]}


def client(provider: Any, **options: Any) -> Any:
    config = botocore_config.Config(retries={"max_attempts": 0}, **options)
    keys = {"aws_access_key_id": "AKIAUNUSED", "aws_secret_access_key": "unused"}
    session = boto3.Session(region_name="us-east-1", **keys)
    return session.client("bedrock-runtime", endpoint_url=provider.url, config=config)


def streamed(provider: Any, **more: Any) -> list[Any]:
    return list(client(provider).converse_stream(**ASKED, **more)["stream"])


def test_converse(provider: Any) -> None:
    answer = client(provider).converse(**ASKED)
    usage = answer["usage"]

    assert answer["output"]["message"]["content"] == [{"text": ANSWER}]
    assert answer["stopReason"] == "end_turn"
    assert usage["totalTokens"] == usage["inputTokens"] + usage["outputTokens"]
    assert provider.llm_requests[0].api == "converse"


def test_converse_stream_says_the_same(provider: Any) -> None:
    whole = client(provider).converse(**ASKED)
    events = streamed(provider)
    deltas = [e["contentBlockDelta"]["delta"]["text"] for e in events if "contentBlockDelta" in e]

    assert "".join(deltas) == ANSWER
    assert events[-1]["metadata"]["usage"] == whole["usage"]


def test_tools(provider: Any) -> None:
    content = client(provider).converse(**ASKED, toolConfig=TOOLS)["output"]["message"]["content"]
    calls = [block["toolUse"] for block in content if "toolUse" in block]
    results = [
        {"toolResult": {"toolUseId": call["toolUseId"], "content": [{"text": "mild"}]}} for call in calls
    ]
    messages = [*ASKED["messages"], {"role": "assistant", "content": content}]
    messages.append({"role": "user", "content": results})
    after = client(provider).converse(modelId=MODEL, messages=messages, toolConfig=TOOLS)
    events = streamed(provider, toolConfig=TOOLS)
    pieces = [e["contentBlockDelta"]["delta"].get("toolUse", {}) for e in events if "contentBlockDelta" in e]

    assert [(call["name"], call["input"]) for call in calls] == [
        (n, {"city": "Zürich"}) for n in ("weather", "clock")
    ]
    assert after["output"]["message"]["content"] == [{"text": "The tool says: mild; mild"}]
    assert "".join(p.get("input", "") for p in pieces) == 2 * json.dumps(
        {"city": "Zürich"}, ensure_ascii=False
    )


def test_reasoning(provider: Any) -> None:
    thinking = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
    content = client(provider).converse(**ASKED, additionalModelRequestFields=thinking)["output"]["message"][
        "content"
    ]
    events = streamed(provider, additionalModelRequestFields=thinking)
    deltas = [
        e["contentBlockDelta"]["delta"].get("reasoningContent", {})
        for e in events
        if "contentBlockDelta" in e
    ]
    reasoning = content[0]["reasoningContent"]["reasoningText"]

    assert reasoning["text"] == "".join(d.get("text", "") for d in deltas)
    assert content[1] == {"text": ANSWER}


BODIES: dict[str, tuple[Any, Any]] = {
    "nova": ({"messages": ASKED["messages"]}, lambda b: b["output"]["message"]["content"][0]["text"]),
    "llama": ({"prompt": SAID, "max_gen_len": 99}, lambda b: b["generation"]),
    "mistral": ({"prompt": SAID}, lambda b: b["outputs"][0]["text"]),
    "titan": ({"inputText": SAID, "textGenerationConfig": {}}, lambda b: b["results"][0]["outputText"]),
    "openai": (
        {"messages": [{"role": "user", "content": SAID}]},
        lambda b: b["choices"][0]["message"]["content"],
    ),
}


@pytest.mark.parametrize("name", BODIES)
def test_bodies_of_models(provider: Any, name: str) -> None:
    body, text = BODIES[name]
    answer = client(provider).invoke_model(modelId=MODEL, body=json.dumps(body))
    counts = {
        k: v for k, v in answer["ResponseMetadata"]["HTTPHeaders"].items() if k.endswith("-token-count")
    }
    events = client(provider).invoke_model_with_response_stream(modelId=MODEL, body=json.dumps(body))["body"]
    last = [json.loads(event["chunk"]["bytes"]) for event in events][-1]
    metrics = last["amazon-bedrock-invocationMetrics"]

    assert text(json.loads(answer["body"].read())) == ANSWER
    assert counts == {
        "x-amzn-bedrock-input-token-count": str(metrics["inputTokenCount"]),
        "x-amzn-bedrock-output-token-count": str(metrics["outputTokenCount"]),
    }


@pytest.mark.parametrize(
    ("body", "vector"),
    [
        ({"inputText": SAID, "dimensions": 4}, lambda b: b["embedding"]),
        (
            {"singleEmbeddingParams": {"embeddingDimension": 4, "text": {"value": SAID}}},
            lambda b: b["embeddings"][0]["embedding"],
        ),
    ],
)
def test_embeddings(provider: Any, body: Any, vector: Any) -> None:
    answer = client(provider).invoke_model(modelId=MODEL, body=json.dumps(body))

    assert len(vector(json.loads(answer["body"].read()))) == 4


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (400, "ValidationException"),
        (404, "ResourceNotFoundException"),
        (429, "ThrottlingException"),
        (500, "InternalServerException"),
        (503, "ServiceUnavailableException"),
    ],
)
def test_errors_have_their_names(provider: Any, status: int, name: str) -> None:
    provider.script(str(status))
    with pytest.raises(exceptions.ClientError) as caught:
        client(provider).converse(**ASKED)
    assert caught.value.response["Error"]["Code"] == name
    assert type(caught.value).__name__ == name


def test_error_in_a_stream(provider: Any) -> None:
    provider.script("error after=3")
    with pytest.raises(exceptions.EventStreamError, match="modelStreamErrorException"):
        streamed(provider)
