"""
Calls of mistralai, also as a client of Azure and Vertex AI: Speakeasy generates it.

Every method ends in `BaseSDK.do_request` or `do_request_async`, which hold the retry loop. By default they
do not try again; an app may ask for tries without end within a time.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any, Final, Literal

from spanscript import _dialects
from spanscript._call import CallInfo
from spanscript._calls import Calls
from spanscript._hooks._calling import around, around_async
from spanscript._hooks._sending import PORTS
from spanscript._hooks._speakeasy import retries_of
from spanscript._patch import Wrapper
from spanscript._providers import provider_of_host

_PROVIDER: Final = "mistral_ai"
_ERRORS: Final = frozenset({"NetworkError", "TimeoutException"})
_ERRORS_BEFORE_2: Final = frozenset({"ConnectError", "TimeoutException"})
"""What is raised that it tries again after, by httpx's classes."""


def wrappers(module: ModuleType, calls: Calls) -> Mapping[str, Wrapper]:
    """What goes around which function of *module*, the SDK's `basesdk`."""
    describe = _Hook(module).describe
    return {
        "BaseSDK.do_request": around(calls, describe),
        "BaseSDK.do_request_async": around_async(calls, describe),
    }


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
            retry=retries_of(retry, _errors_of(retry)),
            traced=tracing == "current",
            counted=tracing == "beside",
        )


def _errors_of(retry: tuple[Any, Any] | None) -> frozenset[str]:
    home = sys.modules.get(type(retry[0]).__module__) if retry else None
    return _ERRORS if hasattr(home, "_is_transport_error") else _ERRORS_BEFORE_2


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
