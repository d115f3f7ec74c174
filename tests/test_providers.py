"""Who answers, and in which wire API: real base URLs of the providers, with the paths that clients make of them."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import pytest

from spanscript._asked import AskedReader
from spanscript._dialects import find
from spanscript._providers import provider_of_host

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
TEXT = {"model": "m", "prompt": "hi"}
EMBED = {"model": "m", "input": "hi"}
RESPOND = {"model": "m", "input": "hi"}

CHATS = [
    ("https://api.openai.com/v1", "openai"),
    ("https://eu.api.openai.com/v1", "openai"),
    ("https://r.openai.azure.com/openai/v1", "azure.ai.openai"),
    ("https://r.openai.azure.com/openai/deployments/gpt-5", "azure.ai.openai"),
    ("https://r.cognitiveservices.azure.com/openai/deployments/gpt-5", "azure.ai.openai"),
    ("https://r.services.ai.azure.com/models", "azure.ai.inference"),
    ("https://r.eastus2.models.ai.azure.com", "azure.ai.inference"),
    ("https://r.eastus2.inference.ml.azure.com/v1", "azure.ai.inference"),
    ("https://models.inference.ai.azure.com", "azure.ai.inference"),
    ("https://models.github.ai/inference", "github"),
    ("https://models.github.ai/orgs/o/inference", "github"),
    ("https://api.githubcopilot.com", "github_copilot"),
    ("https://api.deepseek.com", "deepseek"),
    ("https://api.deepseek.com/beta", "deepseek"),
    ("https://openrouter.ai/api/v1", "openrouter"),
    ("https://api.fireworks.ai/inference/v1", "fireworks"),
    ("https://api.perplexity.ai", "perplexity"),
    ("https://api.x.ai/v1", "x_ai"),
    ("https://api.cerebras.ai/v1", "cerebras"),
    ("https://integrate.api.nvidia.com/v1", "nvidia"),
    ("https://api.together.xyz/v1", "together"),
    ("https://api.together.ai/v1", "together"),
    ("https://api.groq.com/openai/v1", "groq"),
    ("https://api.mistral.ai/v1", "mistral_ai"),
    ("https://codestral.mistral.ai/v1", "mistral_ai"),
    ("https://router.huggingface.co/v1", "huggingface"),
    ("https://router.huggingface.co/hf-inference/models/a/b/v1", "huggingface"),
    ("https://x.us-east-1.aws.endpoints.huggingface.cloud/v1", "huggingface"),
    ("https://w.cloud.databricks.com/serving-endpoints", "databricks"),
    ("https://adb-1.2.azuredatabricks.net/serving-endpoints", "databricks"),
    ("https://api.cloudflare.com/client/v4/accounts/a/ai/v1", "cloudflare"),
    ("https://gateway.ai.cloudflare.com/v1/a/g/compat", "cloudflare"),
    ("https://gateway.ai.cloudflare.com/v1/a/g/openai", "cloudflare"),
    ("https://generativelanguage.googleapis.com/v1beta/openai", "gcp.gemini"),
    (
        "https://us-east5-aiplatform.googleapis.com/v1/projects/p/locations/l/endpoints/openapi",
        "gcp.vertex_ai",
    ),
    ("https://aiplatform.googleapis.com/v1/projects/p/locations/global/endpoints/openapi", "gcp.vertex_ai"),
    ("https://bedrock-runtime.us-west-2.amazonaws.com/openai/v1", "aws.bedrock"),
    ("https://bedrock-mantle.us-east-1.api.aws/v1", "aws.bedrock"),
    ("https://vpce-1.bedrock-runtime.us-east-1.vpce.amazonaws.com/openai/v1", "aws.bedrock"),
    ("https://api.cohere.ai/compatibility/v1", "cohere"),
    ("https://api.moonshot.ai/v1", "moonshot_ai"),
    ("https://api.z.ai/api/paas/v4", "zhipu"),
    ("https://api.deepinfra.com/v1/openai", "deepinfra"),
    ("https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "alibaba"),
    ("https://ark.cn-beijing.volces.com/api/v3", "volcengine"),
    ("https://api.sambanova.ai/v1", "sambanova"),
    ("https://inference.baseten.co/v1", "baseten"),
    ("https://api.studio.nebius.com/v1", "nebius"),
    ("https://a-b.snowflakecomputing.com/api/v2/cortex/v1", "snowflake"),
    ("https://ai-gateway.vercel.sh/v1", "vercel"),
    ("https://api.portkey.ai/v1", "portkey"),
    # In one's own network: the host itself.
    ("http://localhost:11434/v1", None),
    ("http://localhost:8000/v1", None),
    ("http://localhost:1234/v1", None),
    ("http://127.0.0.1:8080/v1", None),
    ("http://[::1]:30000/v1", None),
    ("http://vllm.models.svc.cluster.local:8000/v1", None),
    ("https://llm-1.elb.us-east-1.amazonaws.com/v1", None),
    ("https://x.execute-api.us-east-1.amazonaws.com/prod/v1", None),
    ("https://openai.com.example/v1", None),
    ("https://notopenai.com/v1", None),
]
OTHERS = [
    ("https://api.deepseek.com/beta/completions", TEXT, "completions", "deepseek"),
    ("https://api.fireworks.ai/inference/v1/completions", TEXT, "completions", "fireworks"),
    ("http://localhost:8000/v1/completions", TEXT, "completions", None),
    ("https://codestral.mistral.ai/v1/fim/completions", TEXT, "fim_completions", "mistral_ai"),
    ("https://api.mistral.ai/v1/agents/completions", CHAT, "chat_completions", "mistral_ai"),
    ("https://openrouter.ai/api/v1/embeddings", EMBED, "embeddings", "openrouter"),
    ("https://api.together.xyz/v1/embeddings", EMBED, "embeddings", "together"),
    ("https://openrouter.ai/api/v1/responses", RESPOND, "responses", "openrouter"),
    ("https://api.groq.com/openai/v1/responses", RESPOND, "responses", "groq"),
    ("https://router.huggingface.co/v1/responses", RESPOND, "responses", "huggingface"),
    ("https://api.x.ai/v1/responses", RESPOND, "responses", "x_ai"),
    ("https://api.deepseek.com/anthropic/v1/messages", {**CHAT, "max_tokens": 5}, "messages", "deepseek"),
    ("https://openrouter.ai/api/v1/messages", {**CHAT, "max_tokens": 5}, "messages", "openrouter"),
    (
        "https://w.cloud.databricks.com/serving-endpoints/e/invocations",
        CHAT,
        "chat_completions",
        "databricks",
    ),
    ("https://w.cloud.databricks.com/serving-endpoints/e/invocations", TEXT, "completions", "databricks"),
    ("https://w.cloud.databricks.com/serving-endpoints/e/invocations", EMBED, "embeddings", "databricks"),
    (
        "https://europe-west4-aiplatform.googleapis.com/v1/projects/p/locations/l/publishers/mistralai/models/m:rawPredict",
        CHAT,
        "chat_completions",
        "gcp.vertex_ai",
    ),
]
NO_CALLS = [
    ("https://w.cloud.databricks.com/serving-endpoints/e/invocations", {"dataframe_records": [{"a": 1}]}),
    ("https://runtime.sagemaker.us-east-1.amazonaws.com/endpoints/e/invocations", CHAT),
    ("https://api.perplexity.ai/search", {"query": "hi"}),
    ("http://localhost:8000/tokenize", CHAT),
    ("https://shop.example/v1/completions", {"messages": 3}),
]


def _dialect(url: str, body: object) -> str | None:
    match = find("POST", urlsplit(url).path)
    asked = AskedReader().read(match, json.dumps(body).encode()) if match else None
    return asked.dialect.name if asked else None


def _provider(url: str) -> str | None:
    return provider_of_host(urlsplit(url).hostname or "")


@pytest.mark.parametrize(("base", "provider"), CHATS)
def test_chats(base: str, provider: str | None) -> None:
    assert _dialect(f"{base}/chat/completions", CHAT) == "chat_completions"
    assert _provider(base) == provider


@pytest.mark.parametrize(("url", "body", "dialect", "provider"), OTHERS)
def test_others(url: str, body: object, dialect: str, provider: str | None) -> None:
    assert _dialect(url, body) == dialect
    assert _provider(url) == provider


@pytest.mark.parametrize(("url", "body"), NO_CALLS)
def test_no_calls(url: str, body: object) -> None:
    assert _dialect(url, body) is None


def test_a_host_in_its_other_spellings() -> None:
    assert provider_of_host("API.OpenAI.com.") == "openai"
