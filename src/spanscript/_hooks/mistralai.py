"""
Calls of mistralai, also as a client of Azure and Vertex AI: Speakeasy generates it.

Every method ends in `BaseSDK.do_request` or `do_request_async`, which hold the retry loop. By default they
do not try again; an app may ask for tries without end within a time.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any, Final, Literal

from spanscript import _dialects
from spanscript._calls import CallInfo, Calls
from spanscript._hooks._calling import around, around_async
from spanscript._hooks._sending import PORTS
from spanscript._patch import Wrapper
from spanscript._providers import provider_of_host

_PROVIDER: Final = "mistral_ai"


def wrappers(module: ModuleType, calls: Calls) -> Mapping[str, Wrapper]:
    """What goes around which function of *module*, the SDK's `basesdk`."""
    describe = _Hook(module).describe
    return {
        "BaseSDK.do_request": around(calls, describe),
        "BaseSDK.do_request_async": around_async(calls, describe),
    }


class Retries:
    """
    A `RetryConfig` of theirs and the statuses that it is for, such as `429` and `5XX`.

    It limits no count but the time; only while that lasts is there another try.
    """

    def __init__(self, config: Any, statuses: Sequence[str]) -> None:
        self._statuses = tuple(getattr(config, "status_codes_override", None) or statuses)
        self._connections = bool(config.retry_connection_errors)
        self._until = time.monotonic() + config.backoff.max_elapsed_time / 1000

    @property
    def limit(self) -> int:
        """As many as there are, until the time is over; then no attempt is followed by another."""
        return sys.maxsize if time.monotonic() <= self._until else -1

    def wants(self, status: int | None, headers: Mapping[str, str]) -> bool:
        """Whether it tries again after *status* (`None`: no answer came)."""
        if status is None:
            return self._connections
        return str(status) in self._statuses or f"{status // 100}XX" in map(str.upper, self._statuses)


class _Hook:
    def __init__(self, module: ModuleType) -> None:
        self._client = module.__name__.partition(".")[0]

    def describe(self, wrapped: Any, instance: Any, args: Any, kwargs: Any) -> CallInfo | None:
        request = kwargs["request"] if "request" in kwargs else args[1]
        retry = kwargs["retry_config"] if "retry_config" in kwargs else (*args, None, None)[4]
        url = request.url
        match = _dialects.find(request.method, url.path)
        if match is None:
            return None
        tracing = _own_tracing(instance.sdk_configuration)
        return CallInfo(
            client=self._client,
            operation=match.operation,
            provider=provider_of_host(url.host) or _PROVIDER,
            model=match.model,
            server_address=url.host,
            server_port=url.port or PORTS.get(url.scheme),
            retry=Retries(*retry) if retry and retry[0].strategy == "backoff" else None,
            traced=tracing == "current",
            counted=tracing == "beside",
        )


def _own_tracing(configuration: Any) -> Literal["current", "beside"] | None:
    """
    How the SDK traces this call itself, into the app's provider.

    Since version 2 only if it is told to: then its span is the current one while a request is sent. Before,
    whenever there is a provider: a span for each attempt that is never current, with the tokens of a whole
    answer. A provider of its own (`dedicated`) sends its spans elsewhere, and they are none of the app's.
    """
    hooks = configuration.__dict__["_hooks"].before_request_hooks
    hook: Any = next((hook for hook in hooks if type(hook).__name__ == "TracingHook"), None)
    if not hasattr(hook, "_telemetry_use_global_provider"):
        return "beside" if _finds_a_provider(type(hook)) else None
    if hook.tracer_provider is not None:
        return "current" if hook.tracer_provider is not hook._auto_telemetry_provider else None  # noqa: SLF001
    told = getattr(configuration, "telemetry", None) or os.environ.get("MISTRAL_SDK_TELEMETRY")
    is_global = hook._telemetry_use_global_provider or told == "global"  # noqa: SLF001
    return "current" if is_global else None


def _finds_a_provider(hook: type) -> bool:
    """Whether its tracing is on; asked of its own function, as the SDK does with every request."""
    find = getattr(sys.modules[hook.__module__], "get_or_create_otel_tracer", None)
    return find is not None and bool(find()[0])
