"""
Calls of azure-ai-inference: every one runs through a pipeline of azure-core, whose policies try again.

Pipelines carry all of Azure's SDKs; what they send elsewhere is none of ours. Attempts are seen at requests,
or at aiohttp.
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
from spanscript._hooks._calling import around, around_async
from spanscript._hooks._sending import PORTS
from spanscript._json import loads
from spanscript._patch import Wrapper
from spanscript._providers import provider_of_host

_CLIENT: Final = "azure.ai.inference"
_DIALECTS: Final = frozenset({"chat_completions", "embeddings"})
"""Those of its paths. Others' paths are like other dialects': a queue takes `messages`, too."""


def wrappers(module: ModuleType, calls: Calls) -> Mapping[str, Wrapper]:
    """What goes around which function of *module*, which is `azure.core.pipeline`."""
    return {"Pipeline.run": around(calls, _describe), "AsyncPipeline.run": around_async(calls, _describe)}


class Retries(Struct, frozen=True):
    """What azure-core's `RetryPolicy` does with a POST: it is careful, unless the server asks for it."""

    limit: int

    def wants(self, status: int | None, headers: Mapping[str, str], error: BaseException | None) -> bool:
        """Whether it tries again; see `RetryPolicy`. A POST that raised something is not sent again."""
        return status is not None and ("retry-after" in headers or status in (500, 503, 504))


def _describe(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> CallInfo | None:
    request = kwargs["request"] if "request" in kwargs else args[0]
    url = urlsplit(request.url)
    match = _dialects.find(request.method.upper(), url.path)
    if match is None or match.dialects[0].name not in _DIALECTS:
        return None
    host = url.hostname or ""
    return CallInfo(
        client=_CLIENT,
        operation=match.operation,
        provider=provider_of_host(host) or _CLIENT,
        model=_model(request.content) or match.model,
        server_address=host,
        server_port=url.port or PORTS.get(url.scheme),
        retry=_retries(instance, kwargs),
    )


def _model(content: Any) -> str | None:
    """The model that the body names; many deployments have but one, and none is named."""
    try:
        model = loads(content)["model"]
    except (KeyError, TypeError, ValueError):
        return None
    return model if isinstance(model, str) else None


def _retries(pipeline: Any, options: Mapping[str, Any]) -> Retries | None:
    """The policy's limit; what is told with a call goes first."""
    for policy in pipeline._impl_policies:  # noqa: SLF001
        if hasattr(policy, "status_retries"):
            total = options.get("retry_total", policy.total_retries)
            return Retries(min(total, options.get("retry_status", policy.status_retries)))
    return None
