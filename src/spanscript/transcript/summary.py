"""What is said of a call and of its attempts, in flat records. What is not known is left out."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Final

from spanscript._exchange import Json
from spanscript.transcript.lines import Entry

if TYPE_CHECKING:
    from spanscript.transcript.calls import Call

_MOST: Final = 1e15
_OF_CALL: Final = (
    "model",
    "provider",
    "dialect",
    "client",
    "url",
    "stream",
    "trace_id",
    "span_id",
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
_ERROR: Final = ("error_type", "error_message")
_OF_ATTEMPT: Final = (
    "http_status",
    *_ERROR,
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
    found |= {key: None if last is None else sane(last, key) for key in (*_ERROR, *_OF_OUTCOME)}
    found["ms"] = None if last is None else _ms_of_call(call, last)
    return {key: value for key, value in found.items() if value is not None}


def of_attempts(call: Call) -> list[dict[str, Json]]:
    """
    One record per attempt, times in milliseconds.

    `started_ms` is from the call's beginning, `waited_ms` from its end to the next attempt's beginning.
    """
    return [_of_attempt(call, attempt) for attempt in call.attempts]


def _of_attempt(call: Call, attempt: int) -> dict[str, Json]:
    outcome = call.outcomes.get(attempt)
    found: dict[str, Json] = {"attempt": attempt, "status": call.attempt_status(attempt)}
    first, request = call.requests.get(min(call.requests, default=-1)), call.requests.get(attempt)
    if first is not None and request is not None:
        found |= {"span_id": request.get("span_id"), "started_ms": _between(first, request)}
        found["rate_limit_wait_ms"] = sane(request, "rate_limit_wait_ms")
    if outcome is not None:
        found |= {key: sane(outcome, key) for key in _OF_ATTEMPT}
        if found["response_ms"] is None and request is not None:
            found["response_ms"] = _between(request, outcome)
        found["waited_ms"] = _between(outcome, call.requests.get(attempt + 1))
    return {key: value for key, value in found.items() if value is not None}


def _ms_of_call(call: Call, last: Entry) -> float | None:
    first = call.requests.get(min(call.requests, default=-1))
    whole = None if first is None else _between(first, last)
    return sane(last, "response_ms") if whole is None else whole


def sane(entry: Entry, key: str) -> Json:
    """A value; `None` in the place of a number that nothing can have counted or measured."""
    value = entry.get(key)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value if not is_number or abs(value) < _MOST else None


def moment(timestamp: str) -> datetime | None:
    """A timestamp, UTC where it names no zone; `None` if it is none."""
    try:
        found = datetime.fromisoformat(timestamp.replace("Z", "+00:00"))  # Python 3.10 does not read the Z
        return (found if found.tzinfo else found.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        return None


def _between(start: Entry, end: Entry | None) -> float | None:
    """Milliseconds from one line to another; `None` if a timestamp is missing or none."""
    first, second = (moment(_stamp(entry)) for entry in (start, end))
    return None if first is None or second is None else round((second - first).total_seconds() * 1000, 3)


def _stamp(entry: Entry | None) -> str:
    return "" if entry is None else entry.get("timestamp") or ""
