"""What Cohere's wire APIs share: how they count, and how they tell of a failure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from spanscript._dialects._bodies import Extras, reply_of
from spanscript._dialects._usage import Paths, first_integer
from spanscript._exchange import Choice, Failure, Json, Reply, Usage
from spanscript._shapes import mapping

PARAMS: Final[Mapping[str, Paths]] = {
    "model": (("model",),),
    "max_tokens": (("max_tokens",),),
    "temperature": (("temperature",),),
    "top_p": (("p",),),
    "top_k": (("k",),),
    "frequency_penalty": (("frequency_penalty",),),
    "presence_penalty": (("presence_penalty",),),
    "seed": (("seed",),),
    "stop_sequences": (("stop_sequences",), ("end_sequences",)),
    "stream": (("stream",),),
    "output_type": (("response_format", "type"),),
    "tool_choice": (("tool_choice",),),
}
"""Neutral name → where it stands in a request for text; see `Dialect.params`."""

_COUNTS: Final[Mapping[str, Paths]] = {
    # What is billed may be less: the provider's own prompt is not. Some answers say nothing else.
    "input_tokens": (("tokens", "input_tokens"), ("billed_units", "input_tokens")),
    "output_tokens": (("tokens", "output_tokens"), ("billed_units", "output_tokens")),
    "cache_read_tokens": (("cached_tokens",),),
}
_FAILED: Final = frozenset({"ERROR", "TIMEOUT"})
"""Finish reasons of an answer that is none."""


def reply_counted_at(key: str, body: Json, choices: Iterable[Choice], extras: Extras | None = None) -> Reply:
    """
    The reply of a body.

    Args:
        key: Where its counts stand.
        body: Any JSON value.
        choices: Its alternatives.
        extras: Where further extras stand.
    """
    found = tuple(choices)
    counts = mapping(body).get(key)
    usage = Usage(**{name: first_integer(counts, paths) for name, paths in _COUNTS.items()})
    failed = next((c.finish_reason for c in found if c.finish_reason in _FAILED), None)
    extras = {**(extras or {}), "billed_units": (key, "billed_units")}
    return reply_of(body, found, extras, usage=usage, failure=Failure(failed) if failed else None)
