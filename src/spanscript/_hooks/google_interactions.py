"""
Calls of google-genai's `interactions`, a client of its own within it.

Stainless generated it once, Speakeasy does since version 2: then every method ends in `do_request` or
`do_request_async`, which hold the retry loop.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from spanscript import _dialects
from spanscript._call import CallInfo
from spanscript._calls import Calls
from spanscript._hooks import stainless
from spanscript._hooks._calling import around, around_async
from spanscript._hooks._sending import PORTS
from spanscript._hooks._speakeasy import retries_of
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
        # What is raised gets another name before its loop sees it, and is not tried again.
        retry=retries_of(retry, frozenset()),
    )
