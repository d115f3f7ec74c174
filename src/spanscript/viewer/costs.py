"""What a call cost, by list prices at its time."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final

from spanscript import _prices
from spanscript._exchange import Usage
from spanscript._shapes import mapping, string
from spanscript.transcript.lines import Entry
from spanscript.transcript.reader import Call

_SECOND: Final = 1_000_000_000


def cost_of(call: Call) -> float | None:
    """US dollars of all attempts; `None` if it is known of none."""
    known = [cost for at, outcome in call.outcomes.items() if (cost := _cost(call.requests.get(at), outcome))]
    return round(float(sum(known, Decimal(0))), 9) if known else None


def _cost(request: Entry | None, outcome: Entry) -> Decimal | None:
    told = outcome.get("cost_usd")
    if told is not None:
        return Decimal(str(told))
    usage = Usage(**{name: outcome.get(name) for name in Usage.__struct_fields__})
    if request is None or (usage.input_tokens is None and usage.output_tokens is None):
        return None
    models = (outcome.get("model"), request.get("model"))
    tier = string(mapping(outcome.get("extras")).get("service_tier"))
    return _prices.price(
        _prices.Charge(
            provider=request.get("provider") or "",
            models=tuple(dict.fromkeys(filter(None, models))),
            usage=usage,
            tier=tier and tier.lower(),
            at_ns=_nanoseconds(request.get("timestamp")),
        )
    )


def _nanoseconds(timestamp: str | None) -> int:
    """A line's timestamp since the epoch; 0, which is before all prices, if it has none."""
    try:
        at = datetime.fromisoformat((timestamp or "").replace("Z", "+00:00"))
    except ValueError:
        return 0
    return int(at.timestamp() * _SECOND)
