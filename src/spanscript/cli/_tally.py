"""Numbers of many calls: how many, how they ended, what they took. Pure but for the price list."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timezone
from decimal import Decimal
from math import ceil
from typing import Final

from spanscript._exchange import Json, Usage
from spanscript._prices import Charge, price
from spanscript.transcript import summary
from spanscript.transcript.lines import Entry
from spanscript.transcript.reader import Call

KINDS: Final = Usage.__struct_fields__
"""Kinds of tokens, as the fields of entries are called."""

PERCENTILES: Final = (50, 90, 99)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)

GROUPS: Final[Mapping[str, Callable[[Call], Json]]] = {
    "model": lambda call: call.first("model"),
    "provider": lambda call: call.first("provider"),
    "stage": lambda call: call.first("stage"),
    "day": lambda call: call.timestamp[:10] or None,
    "client": lambda call: call.first("client"),
    "dialect": lambda call: call.first("dialect"),
}
"""What calls can be grouped by → the value of a call; `None` if it has none."""


class Tally:
    """The numbers of the calls that were added. Tokens and cost are those of all their attempts."""

    def __init__(self) -> None:
        self.calls = self.attempts = self.failed = self.retried = self.unpriced = 0
        self.tokens: dict[str, int] = {}
        self.cost: Decimal | None = None
        self._of_cache = 0
        self._ms = array("d")
        self._first_chunk_ms = array("d")

    def add(self, call: Call) -> None:
        """Count a call."""
        told = summary.of_call(call)
        self.calls += 1
        self.attempts += told["attempts"]
        self.retried += told["attempts"] > 1
        self.failed += told["status"] != "ok"
        for attempt, outcome in call.outcomes.items():
            self._add_tokens(outcome)
            self._add_cost(call.requests.get(attempt), outcome)
        if told["status"] == "ok":
            _append(self._ms, told.get("ms"))
            _append(self._first_chunk_ms, summary.sane(call.outcomes[max(call.outcomes)], "first_chunk_ms"))

    def merge(self, other: Tally) -> None:
        """Count all that another one counted."""
        for name in ("calls", "attempts", "failed", "retried", "unpriced", "_of_cache"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for kind, number in other.tokens.items():
            self.tokens[kind] = self.tokens.get(kind, 0) + number
        if other.cost is not None:
            self.cost = other.cost + (self.cost or 0)
        self._ms.extend(other._ms)
        self._first_chunk_ms.extend(other._first_chunk_ms)

    def record(self) -> dict[str, Json]:
        """All numbers; those that nothing was told of are left out. Latencies are of calls that ended ok."""
        of_cache = self.tokens.get("cache_read_tokens", 0)
        found: dict[str, Json] = {
            "calls": self.calls,
            "attempts": self.attempts,
            "failed": self.failed,
            "retried": self.retried,
            "error_rate": _share(self.failed, self.calls),
            "retry_rate": _share(self.retried, self.calls),
            **{kind: self.tokens.get(kind) for kind in KINDS},
            "cache_hit_rate": _share(of_cache, self._of_cache),
            "cost_usd": None if self.cost is None else float(self.cost),
            "unpriced": self.unpriced,
            "ms": percentiles(self._ms),
            "first_chunk_ms": percentiles(self._first_chunk_ms),
        }
        return {key: value for key, value in found.items() if value is not None}

    def _add_tokens(self, outcome: Entry) -> None:
        for kind in KINDS:
            number = summary.sane(outcome, kind)
            if number is not None:
                self.tokens[kind] = self.tokens.get(kind, 0) + number
        if summary.sane(outcome, "cache_read_tokens") is not None:
            self._of_cache += summary.sane(outcome, "input_tokens") or 0

    def _add_cost(self, request: Entry | None, outcome: Entry) -> None:
        if all(summary.sane(outcome, kind) is None for kind in ("input_tokens", "output_tokens")):
            return
        told = summary.sane(outcome, "cost_usd")
        cost = price(_charge(request, outcome)) if told is None else Decimal(str(told))
        if cost is None:
            self.unpriced += 1
        else:
            self.cost = cost + (self.cost or 0)


def tally(calls: Iterable[Call], by: str) -> tuple[dict[Json, Tally], Tally]:
    """The numbers of each group, in the order in which the groups are met, and of all."""
    groups: dict[Json, Tally] = {}
    for call in calls:
        groups.setdefault(GROUPS[by](call), Tally()).add(call)
    total = Tally()
    for group in groups.values():
        total.merge(group)
    return groups, total


def percentiles(values: Iterable[float]) -> dict[str, float] | None:
    """By nearest rank: each is a value that was measured. `None` if there are no values."""
    ordered = sorted(values)
    if not ordered:
        return None
    return {f"p{percent}": ordered[ceil(len(ordered) * percent / 100) - 1] for percent in PERCENTILES}


def _append(values: array[float], value: float | None) -> None:
    if value is not None:
        values.append(value)


def _share(part: int, of: int) -> float | None:
    return round(part / of, 4) if of else None


def _charge(request: Entry | None, outcome: Entry) -> Charge:
    extras = outcome.get("extras")
    tier = extras.get("service_tier") if isinstance(extras, dict) else None
    entries = (outcome,) if request is None else (outcome, request)
    began = summary.moment(entries[-1].get("timestamp") or "") or datetime.now(timezone.utc)
    return Charge(
        provider=next((name for entry in entries if (name := entry.get("provider"))), ""),
        models=tuple(dict.fromkeys(name for entry in entries if (name := entry.get("model")))),
        usage=Usage(**{kind: summary.sane(outcome, kind) for kind in KINDS}),
        tier=tier.lower() if isinstance(tier, str) else None,
        at_ns=int((began - _EPOCH).total_seconds() * 1e9),
    )
