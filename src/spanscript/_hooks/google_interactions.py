"""
Calls of google-genai's `interactions`, a client of its own within it.

Stainless generated it once, Speakeasy does since version 2: then every method ends in `do_request` or
`do_request_async`, which hold the retry loop.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from msgspec import Struct

from spanscript import _dialects
from spanscript._calls import CallInfo, Calls
from spanscript._hooks import stainless
from spanscript._hooks._calling import around, around_async
from spanscript._hooks._sending import PORTS
from spanscript._hooks.google_genai import CLIENT
from spanscript._patch import Wrapper
from spanscript._providers import provider_of_host


def wrappers(module: ModuleType, calls: Calls) -> Mapping[str, Wrapper]:
    """What goes around which function of *module*: `_gaos.basesdk`, or `_interactions._base_client`."""
    if module.__name__.endswith("_base_client"):
        return stainless.wrappers(module, calls)
    return {
        "BaseSDK.do_request": around(calls, _describe),
        "AsyncBaseSDK.do_request_async": around_async(calls, _describe),
    }


class Retries(Struct, frozen=True):
    """A `RetryConfig` of theirs that counts tries, and statuses such as `429` and `5XX`."""

    limit: int
    statuses: tuple[str, ...]

    def wants(self, status: int | None, headers: Mapping[str, str]) -> bool:
        """
        Whether it tries again after *status*.

        Of what is raised, it tries again after some: which is not known here, so none is promised.
        """
        return status is not None and not {str(status), f"{status // 100}XX"}.isdisjoint(self.statuses)


def _describe(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> CallInfo | None:
    request = kwargs["request"] if "request" in kwargs else args[1]
    url = request.url
    match = _dialects.find(request.method, url.path)
    if match is None:
        return None
    retry = kwargs["retry_config"] if "retry_config" in kwargs else (*args, None, None)[4]
    return CallInfo(
        client=CLIENT,
        operation=match.operation,
        provider=provider_of_host(url.host) or match.dialects[0].provider,
        server_address=url.host,
        server_port=url.port or PORTS.get(url.scheme),
        retry=_retries(*retry) if retry else None,
    )


def _retries(config: Any, statuses: list[str]) -> Retries | None:
    if config.strategy != "attempt-count-backoff":
        return None
    codes = tuple(code.upper() for code in config.status_codes_override or statuses)
    return Retries(config.max_retries or 0, codes)
