"""
Who answers: `gen_ai.provider.name` from the host, else from the client's class, else from
the dialect if it has one maker, else the host's own name.

Source of the names: open-telemetry/semantic-conventions-genai, read in November 2026. Hosts that have no
name there carry their own (`openrouter`, `together`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

_BY_HOST_SUFFIX: Final[Mapping[str, str]] = {
    "openai.com": "openai",
    "openai.azure.com": "azure.ai.openai",
    "services.ai.azure.com": "azure.ai.inference",
    "inference.ai.azure.com": "azure.ai.inference",
    "cognitiveservices.azure.com": "azure.ai.openai",
    "anthropic.com": "anthropic",
    "amazonaws.com": "aws.bedrock",
    "api.aws": "aws.bedrock",
    "aiplatform.googleapis.com": "gcp.vertex_ai",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "groq.com": "groq",
    "mistral.ai": "mistral_ai",
    "cohere.com": "cohere",
    "cohere.ai": "cohere",
    "deepseek.com": "deepseek",
    "perplexity.ai": "perplexity",
    "x.ai": "x_ai",
    "moonshot.ai": "moonshot_ai",
    "moonshot.cn": "moonshot_ai",
    "ml.cloud.ibm.com": "ibm.watsonx.ai",
    "openrouter.ai": "openrouter",
    "together.xyz": "together",
    "together.ai": "together",
    "fireworks.ai": "fireworks",
    "cerebras.ai": "cerebras",
    "huggingface.co": "huggingface",
    "ollama.com": "ollama",
    "voyageai.com": "voyageai",
    "jina.ai": "jina",
}

_BY_CLASS: Final[Mapping[str, str]] = {
    "BaseAzureClient": "azure.ai.openai",
    "BaseBedrockClient": "aws.bedrock",
    "BaseVertexClient": "gcp.vertex_ai",
    "BaseFoundryClient": "azure.ai.inference",
}
"""Name of a class in a client's line of ancestors → provider."""


@lru_cache(maxsize=256)
def provider_of_host(host: str) -> str | None:
    """The provider that owns *host*, or `None`."""
    labels = host.lower().split(".")
    for start in range(len(labels) - 1):
        name = _BY_HOST_SUFFIX.get(".".join(labels[start:]))
        if name is not None:
            return name
    return None


def provider_of_class(client: type) -> str | None:
    """The provider that a client's class is made for, or `None` if it is its vendor's usual one."""
    return next((_BY_CLASS[base.__name__] for base in client.__mro__ if base.__name__ in _BY_CLASS), None)
