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
from spanscript._call import CallInfo
from spanscript._calls import Calls
from spanscript._failures import is_one_of
from spanscript._hooks._calling import around, around_async
from spanscript._hooks._sending import PORTS
from spanscript._patch import Wrapper
from spanscript._providers import provider_of_host

_CLIENT: Final = "cohere"
_RETRIES: Final = 2
"""Unless the client or the request says otherwise."""
_PROTOCOL_ERRORS: Final = "retry_remote_protocol_errors"
_UNMADE: Final = frozenset({"ConnectError"})
_BROKEN: Final = _UNMADE | {"RemoteProtocolError"}
"""
What is raised that it tries again after. Before version 6 that is nothing; then a connection that could not
be made or that ended early; since an option of requests tells of the latter, that one only if asked to.
"""


def wrappers(module: ModuleType, calls: Calls) -> Mapping[str, Wrapper]:
    """What goes around which function of *module*, which is `cohere.core.http_client`."""
    describe = _Hook(module).describe
    return {
        "HttpClient.request": around(calls, describe),
        "AsyncHttpClient.request": around_async(calls, describe),
    }


class Retries(Struct, frozen=True):
    """The retry policy, as `request` of the SDK has it; `errors`: the classes of what is raised."""

    limit: int
    errors: frozenset[str]

    def wants(self, status: int | None, headers: Mapping[str, str], error: BaseException | None) -> bool:
        """Whether it tries again; see `RetryPolicy`."""
        if error is not None:
            return is_one_of(error, self.errors)
        return status is not None and (status in (408, 409, 429) or status >= 500)


class _Hook:
    def __init__(self, module: ModuleType) -> None:
        self._heeds_errors = hasattr(module, "_retry_timeout_from_retries")
        options = getattr(module, "RequestOptions", None)
        self._asks_first = _PROTOCOL_ERRORS in getattr(options, "__annotations__", ())

    def describe(self, wrapped: Any, instance: Any, args: Any, kwargs: Any) -> CallInfo | None:
        path = args[0] if args else kwargs.get("path")
        match = _dialects.find(kwargs["method"].upper(), f"/{(path or '').lstrip('/')}")
        if match is None:
            return None
        base = urlsplit(instance.get_base_url(kwargs.get("base_url")))
        body = kwargs.get("json")
        model = body.get("model") if isinstance(body, Mapping) else None
        return CallInfo(
            client=_CLIENT,
            operation=match.operation,
            provider=provider_of_host(base.hostname or "") or _CLIENT,
            model=model if isinstance(model, str) else None,
            server_address=base.hostname,
            server_port=base.port or PORTS.get(base.scheme),
            retry=self._retries(instance, kwargs.get("request_options") or {}),
            traced=hasattr(wrapped, "__wrapped__"),
        )

    def _retries(self, instance: Any, options: Mapping[str, Any]) -> Retries:
        limit = options.get("max_retries", getattr(instance, "base_max_retries", _RETRIES))
        if not self._heeds_errors:
            return Retries(limit, frozenset())
        return Retries(limit, _BROKEN if options.get(_PROTOCOL_ERRORS, not self._asks_first) else _UNMADE)
