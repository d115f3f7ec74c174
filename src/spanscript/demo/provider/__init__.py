"""
A provider of LLMs on loopback, for the demo and for tests: real sockets, faults on demand.

    with Provider() as provider:
        provider.script("429 retry-after-ms=20", "ok")
        client = openai.OpenAI(base_url=provider.openai_url, api_key="unused")

It speaks OpenAI chat completions, responses, completions and embeddings (Azure's paths too) and
Anthropic messages (Bedrock's and Vertex AI's paths too), whole and streamed. Other processes script it
by `POST /_scenario` with `{"steps": […], "match": …, "forever": …}` and read its log with
`GET /_requests`.
"""

from __future__ import annotations

from spanscript.demo.provider.log import Received
from spanscript.demo.provider.script import AnyStep, Fault, Step
from spanscript.demo.provider.server import Provider

__all__ = ["AnyStep", "Fault", "Provider", "Received", "Step"]
