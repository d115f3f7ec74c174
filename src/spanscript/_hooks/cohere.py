"""
Calls of cohere's SDK: its HTTP client holds the retry loop, as a method that calls itself.

So every try but the first is entered within the call. Streams have a method of their own, which does not
retry: each is the call of its one request.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any, Final
from urllib.parse import urlsplit

from msgspec import Struct

from spanscript import _dialects
from spanscript._calls import CallInfo, Calls
from spanscript._hooks._calling import around, around_async
from spanscript._hooks._sending import PORTS
from spanscript._patch import Wrapper
from spanscript._providers import provider_of_host

_CLIENT: Final = "cohere"
_RETRIES: Final = 2
"""Unless the client or the request says otherwise."""


def wrappers(module: ModuleType, calls: Calls) -> Mapping[str, Wrapper]:
    """What goes around which function of *module*, which is `cohere.core.http_client`."""
    return {
        "HttpClient.request": around(calls, _describe),
        "AsyncHttpClient.request": around_async(calls, _describe),
    }


class Retries(Struct, frozen=True):
    """The retry policy, as `_should_retry` of the SDK has it."""

    limit: int

    def wants(self, status: int | None, headers: Mapping[str, str]) -> bool:
        """
        Whether it tries again after *status* (`None`: no answer came).

        From 7.x on it does after a connection that could not be made, but not after one that broke.
        """
        return status is not None and (status in (408, 409, 429) or status >= 500)


def _describe(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> CallInfo | None:
    path = args[0] if args else kwargs.get("path")
    match = _dialects.find(kwargs["method"].upper(), f"/{(path or '').lstrip('/')}")
    if match is None:
        return None
    base = urlsplit(instance.get_base_url(kwargs.get("base_url")))
    body = kwargs.get("json")
    model = body.get("model") if isinstance(body, Mapping) else None
    options = kwargs.get("request_options") or {}
    return CallInfo(
        client=_CLIENT,
        operation=match.operation,
        provider=provider_of_host(base.hostname or "") or _CLIENT,
        model=model if isinstance(model, str) else None,
        server_address=base.hostname,
        server_port=base.port or PORTS.get(base.scheme),
        retry=Retries(options.get("max_retries", getattr(instance, "base_max_retries", _RETRIES))),
        traced=hasattr(wrapped, "__wrapped__"),
    )
