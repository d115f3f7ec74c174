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
    # named by the conventions
    "openai.com": "openai",
    "openai.azure.com": "azure.ai.openai",
    "cognitiveservices.azure.com": "azure.ai.openai",
    "services.ai.azure.com": "azure.ai.inference",
    "inference.ai.azure.com": "azure.ai.inference",
    "models.ai.azure.com": "azure.ai.inference",
    "inference.ml.azure.com": "azure.ai.inference",
    "anthropic.com": "anthropic",
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
    # named by themselves
    "ai21.com": "ai21",
    "aliyuncs.com": "alibaba",
    "baseten.co": "baseten",
    "bigmodel.cn": "zhipu",
    "cerebras.ai": "cerebras",
    "cloudflare.com": "cloudflare",
    "databricks.com": "databricks",
    "azuredatabricks.net": "databricks",
    "deepinfra.com": "deepinfra",
    "fireworks.ai": "fireworks",
    "models.github.ai": "github",
    "githubcopilot.com": "github_copilot",
    "huggingface.co": "huggingface",
    "huggingface.cloud": "huggingface",
    "hyperbolic.xyz": "hyperbolic",
    "jina.ai": "jina",
    "lambda.ai": "lambda",
    "minimax.io": "minimax",
    "minimaxi.com": "minimax",
    "nebius.com": "nebius",
    "novita.ai": "novita",
    "api.nvidia.com": "nvidia",
    "ollama.com": "ollama",
    "openrouter.ai": "openrouter",
    "portkey.ai": "portkey",
    "replicate.com": "replicate",
    "sambanova.ai": "sambanova",
    "scaleway.ai": "scaleway",
    "siliconflow.cn": "siliconflow",
    "siliconflow.com": "siliconflow",
    "snowflakecomputing.com": "snowflake",
    "together.xyz": "together",
    "together.ai": "together",
    "ai-gateway.vercel.sh": "vercel",
    "volces.com": "volcengine",
    "voyageai.com": "voyageai",
    "z.ai": "zhipu",
}

_OF_AWS: Final = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")
"""Below these is much else that customers run: only what is called Bedrock is."""

_VERTEX_REGION: Final = "-aiplatform.googleapis.com"

_BY_CLASS: Final[Mapping[str, str]] = {
    "BaseAzureClient": "azure.ai.openai",
    "BaseBedrockClient": "aws.bedrock",
    "BaseVertexClient": "gcp.vertex_ai",
    "BaseFoundryClient": "azure.ai.inference",
}
"""Name of a class in a client's line of ancestors → provider."""

NAMES: Final = frozenset([*_BY_HOST_SUFFIX.values(), *_BY_CLASS.values(), "aws.bedrock", "ollama"])
"""Every provider that has a name of its own, and not its host's."""


@lru_cache(maxsize=256)
def provider_of_host(host: str) -> str | None:
    """
    The provider that owns *host*, or `None`.

    Servers in one's own network or machine have no name but their host's: a port (11434, 8000, 1234) is a
    habit and no proof, and so often has a proxy behind it.
    """
    host = host.lower().removesuffix(".")
    labels = host.split(".")
    if host.endswith(_OF_AWS):
        return "aws.bedrock" if any(label.startswith("bedrock") for label in labels) else None
    if host.endswith(_VERTEX_REGION):
        return "gcp.vertex_ai"
    for start in range(len(labels) - 1):
        name = _BY_HOST_SUFFIX.get(".".join(labels[start:]))
        if name is not None:
            return name
    return None


def provider_of_class(client: type) -> str | None:
    """The provider that a client's class is made for, or `None` if it is its vendor's usual one."""
    return next((_BY_CLASS[base.__name__] for base in client.__mro__ if base.__name__ in _BY_CLASS), None)
