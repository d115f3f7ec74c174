"""
Which wire API a body is of that Amazon Bedrock hands on to a model: `POST …/model/ID/invoke`.

Most makers have the body of their own API, and what Bedrock adds is read elsewhere (`_eventstream`, the
headers). Paths say nothing of the maker, for a model may be named by an ARN: the body decides, in this order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from spanscript._dialects.chat_completions import CHAT_COMPLETIONS
from spanscript._dialects.cohere_embed import COHERE_EMBED
from spanscript._dialects.cohere_v1 import COHERE_CHAT_V1
from spanscript._dialects.complete import COMPLETE
from spanscript._dialects.converse import CONVERSE
from spanscript._dialects.invoke_embed import INVOKE_EMBED
from spanscript._dialects.invoke_image import INVOKE_IMAGE
from spanscript._dialects.invoke_text import INVOKE_TEXT
from spanscript._dialects.messages import MESSAGES
from spanscript._dialects.rerank import RERANK
from spanscript._exchange import Dialect


def _is_anthropics(body: Mapping[str, bytes]) -> bool:
    return "anthropic_version" in body and MESSAGES.accepts(body)


def _is_coheres(body: Mapping[str, bytes]) -> bool:
    return body.get("message", b"").startswith(b'"')


INVOKED: Final[tuple[Dialect, ...]] = (
    msgspec.structs.replace(MESSAGES, accepts=_is_anthropics),
    CONVERSE,
    INVOKE_EMBED,
    INVOKE_IMAGE,
    RERANK,
    COHERE_EMBED,
    msgspec.structs.replace(COHERE_CHAT_V1, accepts=_is_coheres),
    COMPLETE,
    INVOKE_TEXT,
    CHAT_COMPLETIONS,
)
