"""
Calls of boto3's `bedrock-runtime` client, and of aiobotocore's: all methods of all services are one.

Its retry loop is far below it, driven by events; what it does is told by the client's configuration.
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
from spanscript._json import members
from spanscript._patch import Wrapper
from spanscript._providers import provider_of_host
from spanscript._wire import ERROR_TYPE

_SERVICE: Final = "bedrock-runtime"
_PATHS: Final[Mapping[str, str]] = {
    "Converse": "/model/_/converse",
    "ConverseStream": "/model/_/converse-stream",
    "InvokeModel": "/model/_/invoke",
    "InvokeModelWithResponseStream": "/model/_/invoke-with-response-stream",
}
"""Operation → its path, whatever the model."""
_TRIES: Final[Mapping[str, int]] = {"legacy": 5}
_STATUSES: Final = frozenset({429, 500, 502, 503, 504})
_THROTTLED: Final = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestThrottledException",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
    }
)
"""Names of errors that are tried again with any status."""


def wrappers(module: ModuleType, calls: Calls) -> Mapping[str, Wrapper]:
    """What goes around which function of *module*, which is `botocore.client` or `aiobotocore.client`."""
    client = module.__name__.partition(".")[0]

    def describe(_wrapped: Any, instance: Any, args: Any, kwargs: Any) -> CallInfo | None:
        return _describe(client, instance, *args, **kwargs)

    if client == "aiobotocore":
        return {"AioBaseClient._make_api_call": around_async(calls, describe)}
    return {"BaseClient._make_api_call": around(calls, describe)}


class Retries(Struct, frozen=True):
    """The retry policy, of all modes: they differ by their number and waits."""

    limit: int

    def wants(self, status: int | None, headers: Mapping[str, str], error: BaseException | None) -> bool:
        """Whether it tries again; see `RetryPolicy`. It does after all that can be raised while it sends."""
        named = headers.get(ERROR_TYPE, "").partition(":")[0]
        return status is None or status in _STATUSES or named in _THROTTLED


def _describe(client: str, instance: Any, operation_name: str, api_params: Any) -> CallInfo | None:
    meta = instance.meta
    path = _PATHS.get(operation_name)
    if path is None or meta.service_model.service_name != _SERVICE:
        return None
    match = _dialects.find(_dialects.METHOD, path)
    if match is None:
        return None
    url = urlsplit(meta.endpoint_url)
    model = api_params.get("modelId")
    return CallInfo(
        client=client,
        operation=_operation(match, api_params.get("body")),
        provider=provider_of_host(url.hostname or "") or "aws.bedrock",
        model=model if isinstance(model, str) else None,
        server_address=url.hostname,
        server_port=url.port or PORTS.get(url.scheme),
        retry=Retries(_limit(meta.config.retries or {})),
    )


def _operation(match: _dialects.Match, body: Any) -> str:
    """Of a body that is handed on to a model, as it says itself."""
    content = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    if not isinstance(content, bytes | bytearray):
        return match.operation
    try:
        fields = members(bytes(content))
    except ValueError:
        return match.operation
    return next((d.operation for d in match.dialects if d.accepts(fields)), match.operation)


def _limit(retries: Mapping[str, Any]) -> int:
    """How many tries follow the first: what is configured is the number of all."""
    total = retries.get("total_max_attempts")
    return (total if isinstance(total, int) else _TRIES.get(retries.get("mode", "legacy"), 3)) - 1
