"""What is said of a call and of its attempts, in flat records. What is not known is left out."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from spanscript._exchange import Json
from spanscript.transcript.lines import Entry
from spanscript.transcript.reader import Call

_OF_CALL: Final = (
    "model",
    "provider",
    "dialect",
    "client",
    "url",
    "stream",
    "trace_id",
    "iteration",
    "stage",
)
_OF_OUTCOME: Final = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "cost_usd",
)
_OF_ATTEMPT: Final = (
    "http_status",
    "error_type",
    "error_message",
    "retryable",
    "retry_after_ms",
    "first_chunk_ms",
    "response_ms",
    *_OF_OUTCOME,
)


def of_call(call: Call) -> dict[str, Json]:
    """A call as a flat record; `ms` is from its first line to its last, waits included."""
    attempts = call.attempts
    last = call.outcomes.get(max(attempts, default=0))
    found: dict[str, Json] = {"call_id": call.call_id, "timestamp": call.timestamp or None}
    found |= {key: call.first(key) for key in _OF_CALL}
    found |= {"attempts": len(attempts), "status": call.status}
    found |= {key: None if last is None else last.get(key) for key in _OF_OUTCOME}
    found["ms"] = None if last is None else _ms_of_call(call, last)
    return {key: value for key, value in found.items() if value is not None}


def of_attempts(call: Call) -> list[dict[str, Json]]:
    """One record per attempt; `waited_ms` is the time from its end to the next attempt's beginning."""
    return [_of_attempt(call, attempt) for attempt in call.attempts]


def _of_attempt(call: Call, attempt: int) -> dict[str, Json]:
    outcome = call.outcomes.get(attempt)
    found: dict[str, Json] = {"attempt": attempt, "status": call.attempt_status(attempt)}
    if outcome is not None:
        found |= {key: outcome.get(key) for key in _OF_ATTEMPT}
        found["waited_ms"] = _between(outcome, call.requests.get(attempt + 1))
    return {key: value for key, value in found.items() if value is not None}


def _ms_of_call(call: Call, last: Entry) -> float | None:
    first = call.requests.get(min(call.requests, default=-1))
    whole = None if first is None else _between(first, last)
    return last.get("response_ms") if whole is None else whole


def _between(start: Entry, end: Entry | None) -> float | None:
    """Milliseconds from one line to another; `None` if a timestamp is missing or none."""
    try:
        first, second = (datetime.fromisoformat(_stamp(entry)) for entry in (start, end))
        return round((second - first).total_seconds() * 1000, 3)
    except (ValueError, TypeError):  # no timestamp, or one with a zone and one without
        return None


def _stamp(entry: Entry | None) -> str:
    # Python 3.10 does not read the Z.
    return "" if entry is None else (entry.get("timestamp") or "").replace("Z", "+00:00")
