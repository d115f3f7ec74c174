"""The attempts of a call and the waits between them, as bars on one scale of time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from spanscript._exchange import Json
from spanscript.cli._screen import STATUS_STYLES, Piece, Screen, status

_WIDEST: Final = 40
_TEXT: Final = 56
"""Columns that are kept for what stands beside the bars."""


def print_timeline(screen: Screen, attempts: Sequence[Mapping[str, Json]]) -> None:
    """Print a line for each attempt's record, and one for each wait. `░` is the time to the first chunk."""
    total = max((_end(attempt) for attempt in attempts), default=0.0)
    width = max(8, min(_WIDEST, screen.width - _TEXT)) if total > 0 else 0
    scale = width / total if total > 0 else 0.0
    number = len(str(attempts[-1]["attempt"])) if attempts else 1
    for attempt in attempts:
        style = STATUS_STYLES.get(attempt["status"], "")
        if "rate_limit_wait_ms" in attempt:
            told = f"waited {attempt['rate_limit_wait_ms']:.0f} ms for its turn under a rate limit"
            screen.line(" " * (number + 4 + width), Piece(f"  {told}", "dim"))
        drawn = Piece(_bar(attempt, scale).ljust(width), style)
        screen.line(f"  {attempt['attempt']:>{number}}  ", drawn, *_about(attempt))
        if "waited_ms" in attempt:
            started = _place(_end(attempt), scale)
            dots = " " * started + "·" * max(1, round(attempt["waited_ms"] * scale))
            screen.line(" " * (number + 4), dots[:width].ljust(width), Piece(f"  {_wait(attempt)}", "dim"))


def _end(attempt: Mapping[str, Json]) -> float:
    """Milliseconds from the call's beginning to the end of an attempt."""
    return float(attempt.get("started_ms", 0) + attempt.get("response_ms", 0))


def _place(at_ms: float, scale: float) -> int:
    return max(0, round(at_ms * scale))


def _bar(attempt: Mapping[str, Json], scale: float) -> str:
    if "response_ms" not in attempt or "started_ms" not in attempt or not scale:
        return ""
    begin = _place(attempt["started_ms"], scale)
    end = max(_place(_end(attempt), scale), begin + 1)
    silent = max(0, min(_place(attempt.get("first_chunk_ms", 0), scale), end - begin - 1))
    return " " * begin + "░" * silent + "█" * (end - begin - silent)


def _about(attempt: Mapping[str, Json]) -> Iterator[str | Piece]:
    yield f"  {attempt.get('http_status', ''):<3}  "
    yield status(attempt["status"])
    if "response_ms" in attempt:
        yield f"  {attempt['response_ms']:.0f} ms"
    if "first_chunk_ms" in attempt:
        yield Piece(f"  first chunk {attempt['first_chunk_ms']:.0f} ms", "dim")
    error = [str(attempt[key]) for key in ("error_type", "error_message") if key in attempt]
    if error:
        yield "  " + ": ".join(error)


def _wait(attempt: Mapping[str, Json]) -> str:
    asked = attempt.get("retry_after_ms")
    return f"waited {attempt['waited_ms']:.0f} ms" + (
        f" (asked to wait {asked:.0f} ms)" if asked is not None else ""
    )
