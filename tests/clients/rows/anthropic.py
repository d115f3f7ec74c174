"""anthropic: also as a client of Bedrock and Vertex AI."""

from __future__ import annotations

from functools import partial
from typing import Any

from rows import stainless
from rows.row import ASKED, KEY
from rows.stainless import (
    Api,
    City,
    helper,
    lazy,
    lazy_stream,
    parse,
    raw,
    raw_stream,
    stream,
    text_helper,
    whole,
)

MESSAGES = {"model": "claude-haiku-4-5", "max_tokens": 500, "system": "Be brief.", "messages": ASKED[1:]}


def _anthropic(provider: Any) -> dict[str, Any]:
    return {"base_url": provider.url, "api_key": KEY}


def _bedrock(provider: Any) -> dict[str, Any]:
    keys = {"aws_access_key": "AKIAUNUSED", "aws_secret_key": "unused", "aws_region": "us-east-1"}
    return {"base_url": provider.url, **keys}


def _vertex(provider: Any) -> dict[str, Any]:
    return {"base_url": f"{provider.url}/v1", "access_token": KEY, "project_id": "p", "region": "us-east1"}


def _api(client: str, options: Any, provider: str, **more: Any) -> Api:
    return Api("anthropic", client, options, "messages", MESSAGES, "messages", provider, **more)


_rows = partial(stainless.rows, thorough=True)
_own = _api("Anthropic", _anthropic, "anthropic", parse={"output_format": City})

ROWS = (
    *_rows(
        "anthropic-messages", _own,
        whole, parse, raw, lazy, stream, helper, text_helper, raw_stream, lazy_stream,
    ),
    *_rows(
        "bedrock-messages", _api("AnthropicBedrock", _bedrock, "aws.bedrock", needs=("boto3",)), whole, stream,
        # Here the provider answers on AWS paths with what AWS does not send.
        skips=frozenset({"whole_error"}),
    ),
    *_rows("vertex-messages", _api("AnthropicVertex", _vertex, "gcp.vertex_ai"), whole, stream),
)  # fmt: skip
