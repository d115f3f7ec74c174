"""Token counts, by tables of where each wire API says them."""

from __future__ import annotations

from collections.abc import Mapping

from spanscript._exchange import Json, Usage
from spanscript._shapes import dig, integer

Paths = tuple[tuple[str, ...], ...]

_COUNTS: Mapping[str, Paths] = {
    "input_tokens": (("prompt_tokens",), ("input_tokens",)),
    "output_tokens": (("completion_tokens",), ("output_tokens",)),
    "cache_read_tokens": (
        ("prompt_tokens_details", "cached_tokens"),
        ("input_tokens_details", "cached_tokens"),
        ("prompt_cache_hit_tokens",),  # DeepSeek
        ("cached_tokens",),  # Moonshot
        ("num_cached_tokens",),  # Mistral
    ),
    "cache_write_tokens": (
        ("prompt_tokens_details", "cache_write_tokens"),
        ("input_tokens_details", "cache_write_tokens"),
    ),
    "reasoning_tokens": (
        ("completion_tokens_details", "reasoning_tokens"),
        ("output_tokens_details", "reasoning_tokens"),
        ("output_tokens_details", "thinking_tokens"),
    ),
}


def first_integer(value: Json, paths: Paths) -> int | None:
    """The first whole number that stands at one of the paths."""
    for path in paths:
        found = integer(dig(value, path))
        if found is not None:
            return found
    return None


def usage_beside_cache(counts: Json, table: Mapping[str, Paths]) -> Usage:
    """
    The counts of a wire API whose input leaves out what the cache gave or took; ours has it.

    Args:
        counts: Any JSON value.
        table: Field of `Usage` → where it stands.
    """
    said = {name: first_integer(counts, paths) for name, paths in table.items()}
    fresh = said["input_tokens"]
    if fresh is not None:
        cached = (said["cache_read_tokens"] or 0) + (said["cache_write_tokens"] or 0)
        said["input_tokens"] = fresh + cached
    return Usage(**said)


def usage_in(body: Json) -> Usage:
    """The counts of a body whose `usage` speaks OpenAI's words (also Groq's `x_groq.usage`)."""
    counts = dig(body, ("usage",)) or dig(body, ("x_groq", "usage"))
    usage = Usage(**{name: first_integer(counts, paths) for name, paths in _COUNTS.items()})
    return _with_reasoning(usage, integer(dig(counts, ("total_tokens",))))


def _with_reasoning(usage: Usage, total: int | None) -> Usage:
    """Reasoning within the output: xAI counts it beside, as its total tells."""
    if usage.input_tokens is None or usage.output_tokens is None or not usage.reasoning_tokens:
        return usage
    output = usage.output_tokens + usage.reasoning_tokens
    if total != usage.input_tokens + output:
        return usage
    return Usage(
        usage.input_tokens,
        output,
        usage.cache_read_tokens,
        usage.cache_write_tokens,
        usage.reasoning_tokens,
    )
