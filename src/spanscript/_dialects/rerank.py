"""Reranking: `POST …/rerank`, documents in the order of a query. Cohere's, and spoken by most others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from spanscript._dialects._bodies import reply_of
from spanscript._dialects._parts import prompt
from spanscript._dialects._splitting import Splitter
from spanscript._dialects._usage import Paths, first_integer
from spanscript._dialects.embeddings import assemble
from spanscript._exchange import Dialect, Json, Reply, Usage

_INPUT_TOKENS: Final[Paths] = (
    ("usage", "prompt_tokens"),
    ("usage", "total_tokens"),  # Jina, Voyage, vLLM: nothing is written
    ("meta", "tokens", "input_tokens"),
)
_BILLED: Final = {"billed_units": ("meta", "billed_units")}
"""Cohere counts searches, not tokens."""


def accepts(body: Mapping[str, bytes]) -> bool:
    """Whether there are a query and documents."""
    return "query" in body and body.get("documents", b"").startswith(b"[")


def decode(body: Json) -> Reply:
    """The reply of a whole answer; it has no choices."""
    return reply_of(body, (), _BILLED, usage=Usage(input_tokens=first_integer(body, _INPUT_TOKENS)))


RERANK: Final = Dialect(
    name="rerank",
    operation="rerank",
    list_key="documents",
    accepts=accepts,
    split=Splitter("documents"),
    params={"model": (("model",),), "top_n": (("top_n",), ("top_k",))},
    decode=decode,
    assemble=assemble,
    message=prompt,
)
