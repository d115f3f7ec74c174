"""
Calls of google-genai: every method of `models` and `chats`, whole or streamed, ends in `_request`.

It runs within the first step of a stream, and not before: a stream that is never read asks nothing. By
default it does not try again.
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

CLIENT: Final = "google.genai"

_ATTEMPTS: Final = 5
_STATUSES: Final = (408, 429, 500, 502, 503, 504)
"""What it takes where its options say nothing; `_RETRY_…` of its own module go first."""

_ERRORS_OF_AIOHTTP: Final = frozenset({"ClientOSError", "ServerDisconnectedError"})
_ERRORS: Final = _ERRORS_OF_AIOHTTP | {"TimeoutException", "ConnectError"}
"""What is raised that it tries again after; the others are httpx's."""


def wrappers(module: ModuleType, calls: Calls) -> Mapping[str, Wrapper]:
    """What goes around which function of *module*, the SDK's `_api_client`."""
    describe = _Hook(module).describe
    return {
        "BaseApiClient._request": around(calls, describe),
        "BaseApiClient._async_request": around_async(calls, describe),
    }


class Retries(Struct, frozen=True):
    """Its `HttpRetryOptions`, as `retry_args` reads them. It looks at no headers."""

    limit: int
    statuses: tuple[int, ...]
    errors: frozenset[str]

    def wants(self, status: int | None, headers: Mapping[str, str], error: BaseException | None) -> bool:
        """Whether it tries again; see `RetryPolicy`."""
        return status in self.statuses if error is None else is_one_of(error, self.errors)


_UNASKED: Final = Retries(1, (), _ERRORS_OF_AIOHTTP)
"""Without options it does not try again, but once after what aiohttp raises where a connection is lost."""


class _Hook:
    def __init__(self, module: ModuleType) -> None:
        self._attempts = getattr(module, "_RETRY_ATTEMPTS", _ATTEMPTS)
        self._statuses = getattr(module, "_RETRY_HTTP_STATUS_CODES", _STATUSES)

    def describe(self, wrapped: Any, instance: Any, args: Any, kwargs: Any) -> CallInfo | None:
        request = kwargs["http_request"] if "http_request" in kwargs else args[0]
        options = kwargs["http_options"] if "http_options" in kwargs else (*args, None, None)[1]
        url = urlsplit(request.url)
        match = _dialects.find(request.method.upper(), url.path)
        if match is None:
            return None
        host = url.hostname or ""
        made_for = "gcp.vertex_ai" if instance.vertexai else "gcp.gemini"
        return CallInfo(
            client=CLIENT,
            operation=match.operation,
            provider=provider_of_host(host) or made_for,
            model=match.model,
            server_address=host,
            server_port=url.port or PORTS.get(url.scheme),
            retry=self._retries(_said(options) or _said(instance._http_options)),  # noqa: SLF001
            traced=hasattr(wrapped, "__wrapped__"),  # somebody's wrapper that is inside ours
        )

    def _retries(self, options: Any) -> Retries:
        if options is None:
            return _UNASKED
        attempts = self._attempts if options.attempts is None else options.attempts
        statuses = options.http_status_codes or self._statuses
        return Retries(max(0, attempts - 1), tuple(statuses), _ERRORS)


def _said(options: Any) -> Any:
    """The retry options of HTTP options, which may be a mapping; `None` if they have none."""
    said = (
        options.get("retry_options") if isinstance(options, dict) else getattr(options, "retry_options", None)
    )
    return _Options(said) if isinstance(said, dict) else said


class _Options:
    """Retry options that the app gave as a mapping."""

    def __init__(self, said: dict[str, Any]) -> None:
        self.attempts = said.get("attempts")
        self.http_status_codes = said.get("http_status_codes")
