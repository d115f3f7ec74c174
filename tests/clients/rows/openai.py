"""openai: also as a client of Azure."""

from __future__ import annotations

from functools import partial
from typing import Any

from apps import MODEL, SAID

from rows import openai_media, stainless
from rows.row import CHAT, KEY
from rows.stainless import (
    Api,
    City,
    counted,
    helper,
    lazy,
    lazy_stream,
    parse,
    raw,
    raw_stream,
    stream,
    whole,
)


def _openai(provider: Any) -> dict[str, Any]:
    return {"base_url": provider.openai_url, "api_key": KEY}


def _azure(provider: Any) -> dict[str, Any]:
    return {"azure_endpoint": provider.url, "api_key": KEY, "api_version": "2024-10-21"}


_EMBEDDED = {"model": "embed-3", "input": [SAID, "two"], "dimensions": 4}
_RESPOND = {"model": MODEL, "input": SAID}
_COMPLETE = {"model": MODEL, "prompt": SAID}
_api = partial(Api, "openai", "OpenAI", _openai, provider="openai")
_azure_api = partial(Api, "openai", "AzureOpenAI", _azure, provider="azure.ai.openai")
_rows = partial(stainless.rows, thorough=True)

_chat = _api("chat.completions", CHAT, "chat_completions", parse={"response_format": City})
_responses = _api("responses", _RESPOND, "responses", parse={"text_format": City})
_completions = _api("completions", _COMPLETE, "completions", operation="text_completion")
_embeddings = _api("embeddings", _EMBEDDED, "embeddings", operation="embeddings")
_on_azure = _azure_api("chat.completions", CHAT, "chat_completions")

ROWS = (
    *_rows("openai-chat", _chat, whole, parse, raw, lazy, stream, counted, helper, raw_stream, lazy_stream),
    *_rows("openai-responses", _responses, whole, parse, raw, lazy, stream, helper, raw_stream, lazy_stream),
    *_rows("openai-completions", _completions, whole, stream, counted),
    *_rows("openai-embeddings", _embeddings, whole, raw),
    *_rows("azure-chat", _on_azure, whole, stream),
    *_rows("azure-responses", _azure_api("responses", _RESPOND, "responses"), whole),
    *openai_media.ROWS,
)
