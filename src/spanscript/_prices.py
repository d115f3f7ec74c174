"""
What tokens cost, by the package `genai-prices` (extra `prices`): the one file that knows it.

Prices are list prices by kind of token; images and sound count as text. Searches, storage, discounts and
taxes are not in them. A price is told only if the package knows this model of this provider.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from importlib import import_module
from typing import Any, Final

from msgspec import Struct

from spanscript._exchange import Outcome, Request, Usage
from spanscript._guard import guarded

_LOG = logging.getLogger("spanscript")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)

_IDS: Final[Mapping[str, str]] = {
    "aws.bedrock": "aws",
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "gcp.gemini": "google",
    "gcp.vertex_ai": "google",
    "github_copilot": "github-copilot",
    "mistral_ai": "mistral",
    "moonshot_ai": "moonshotai",
    "x_ai": "x-ai",
}
"""`gen_ai.provider.name` → the package's name of a provider, where the two differ."""

_PRICED: Final = (("input_tokens", "input_mtok"), ("output_tokens", "output_mtok"))
"""Tokens that are counted → their price. Other kinds are parts of these."""

_USUAL_TIERS: Final = frozenset({None, "auto", "default", "on_demand", "standard"})
"""Service tiers at the usual price."""


class Charge(Struct, frozen=True):
    """
    What the price of an attempt depends on, without its content.

    `models`: as the answer names it, then as the request does (on Azure that is a deployment's name).
    """

    provider: str
    models: tuple[str, ...]
    usage: Usage
    tier: str | None
    at_ns: int


class Cost:
    """The cost of a call, looked up once when somebody asks, however many blocks count it."""

    def __init__(self) -> None:
        self.charges: list[Charge] = []

    @functools.cached_property
    def usd(self) -> Decimal | None:
        """US dollars; `None` if no price is known for any attempt."""
        known = [found for charge in self.charges if (found := price(charge)) is not None]
        return sum(known, Decimal(0)) if known else None


def charge_of(request: Request, outcome: Outcome) -> Charge | None:
    """What an attempt is charged for; `None` if the wire told no tokens."""
    reply = outcome.reply
    if reply is None or (reply.usage.input_tokens is None and reply.usage.output_tokens is None):
        return None
    tier = reply.extras.get("service_tier")
    return Charge(
        provider=request.provider,
        models=tuple(dict.fromkeys(model for model in (reply.model, request.model) if model)),
        usage=reply.usage,
        tier=tier.lower() if isinstance(tier, str) else None,
        at_ns=outcome.started_ns,
    )


@guarded
def price(charge: Charge) -> Decimal | None:
    """US dollars; `None` if it is not known, also where the package is missing."""
    package = _package()
    if package is None:
        return None
    prices = (_price(package, charge, model) for model in charge.models)
    return next((found for found in prices if found is not None), None)


@functools.cache
def say_if_missing() -> None:
    """Say once that no cost can be told."""
    if _package() is None:
        _LOG.warning("No cost is known without prices: pip install 'spanscript[prices]'")


@functools.cache
def _package() -> Any:
    """Importing it takes half a second: not before somebody asks."""
    try:
        return import_module("genai_prices")
    except ImportError:
        return None


def _price(package: Any, charge: Charge, model: str) -> Decimal | None:
    provider = _IDS.get(charge.provider, charge.provider)
    usage = charge.usage
    try:
        found = package.calc_price(
            package.Usage(
                input_tokens=usage.input_tokens,
                output_tokens=usage.output_tokens,
                cache_read_tokens=usage.cache_read_tokens,
                cache_write_tokens=usage.cache_write_tokens,
            ),
            model,
            provider_id=provider,
            genai_request_timestamp=_EPOCH + timedelta(microseconds=charge.at_ns // 1000),
            price_context={"service_tier": charge.tier} if charge.tier else None,
        )
    except (LookupError, ValueError):  # not known; numbers that cannot be, as more cached tokens than tokens
        return None
    # It also takes a host with `openai` in its name for OpenAI: whose prices those are, nobody knows.
    if found.provider.id != provider or not _covers(found.model_price, usage):
        return None
    if charge.tier not in _USUAL_TIERS and not _has_tier(found, charge.tier):
        return None
    total: Decimal = found.total_price
    return total


def _covers(prices: Any, usage: Usage) -> bool:
    """
    Whether *prices* are for what was counted.

    Where a model is paid by the second or by the character, tokens would seem to cost nothing; where it is
    also paid by the request, they would seem to be all.
    """
    if getattr(prices, "requests_kcount", None):
        return False
    for kind, name in _PRICED:
        tokens, per_token = getattr(usage, kind), getattr(prices, name)
        if (tokens and per_token is None) or (tokens is None and per_token):
            return False
    return True


def _has_tier(found: Any, tier: str | None) -> bool:
    """Whether this provider's prices of the model know the tier; if not, *found* is the usual price."""
    own = any(found.model is model for model in found.provider.models)
    return own and any(
        variant.when.get("service_tier") == tier for variant in found.model.price_variants or ()
    )
