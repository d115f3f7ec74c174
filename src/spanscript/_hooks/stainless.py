"""
Calls of the SDKs that Stainless generates (openai, anthropic): they share one base client.

Every method of theirs, whole or streamed, raw or parsed, ends in `SyncAPIClient.request` or
`AsyncAPIClient.request`, which hold the retry loop.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any, Final

from msgspec import Struct

from spanscript import _dialects
from spanscript._call import CallInfo
from spanscript._calls import Calls
from spanscript._failures import is_one_of, retry_after_ms
from spanscript._hooks._calling import around, around_async
from spanscript._patch import Wrapper
from spanscript._providers import provider_of_class, provider_of_host

_SHOULD_RETRY: Final[Mapping[str, bool]] = {"true": True, "false": False}
_ERRORS: Final = frozenset({"RequestError", "SSLError", "EndOfStream"})
"""What `request_exceptions` gives where a release has it."""


def wrappers(module: ModuleType, calls: Calls) -> Mapping[str, Wrapper]:
    """What goes around which function of *module*, an SDK's `_base_client`."""
    describe = _Hook(module).describe
    return {
        "SyncAPIClient.request": around(calls, describe),
        "AsyncAPIClient.request": around_async(calls, describe),
    }


class Retries(Struct, frozen=True):
    """
    The retry policy of these SDKs, as `BaseClient._should_retry` has it.

    `longest_ms`: a wait that the server asks for and that is longer is not waited for: no retry. `errors`:
    the classes of what is raised that it tries again after; `None`: after whatever it is.
    """

    limit: int
    longest_ms: float
    errors: frozenset[str] | None = None

    def wants(self, status: int | None, headers: Mapping[str, str], error: BaseException | None) -> bool:
        """Whether it tries again; see `RetryPolicy`."""
        if status is None:
            return error is not None and (self.errors is None or is_one_of(error, self.errors))
        wait = retry_after_ms(headers)
        if wait is not None and wait > self.longest_ms:
            return False
        told = _SHOULD_RETRY.get(headers.get("x-should-retry", ""))
        return told if told is not None else status in (408, 409, 429) or status >= 500


class _Hook:
    def __init__(self, module: ModuleType) -> None:
        self._client = module.__name__.partition("._")[0]
        self._longest_ms = 1000 * getattr(module, "MAX_RETRY_AFTER_DELAY", float("inf"))
        self._errors = _ERRORS if hasattr(module, "request_exceptions") else None

    def describe(self, wrapped: Any, instance: Any, args: Any, kwargs: Any) -> CallInfo | None:
        options = kwargs["options"] if "options" in kwargs else args[1]
        base = instance.base_url
        path = options.url.partition("?")[0]
        match = _dialects.find(options.method.upper(), path if path.startswith("/") else f"/{path}")
        if match is None:
            return None
        body = options.json_data
        model = body.get("model") if isinstance(body, Mapping) else None
        return CallInfo(
            client=self._client,
            operation=match.operation,
            provider=provider_of_class(type(instance))
            or provider_of_host(base.host)
            or match.dialects[0].provider
            or self._client,
            model=model if isinstance(model, str) else match.model,
            server_address=base.host,
            server_port=base.port or (443 if base.scheme == "https" else 80),
            retry=Retries(options.get_max_retries(instance.max_retries), self._longest_ms, self._errors),
            # Its own tracing, or somebody's wrapper that is inside ours because it was there before.
            traced=getattr(instance, "_tracer", None) is not None or hasattr(wrapped, "__wrapped__"),
        )
