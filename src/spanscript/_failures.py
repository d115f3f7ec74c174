"""
What a failure means: may it be tried again, and after how long. Pure tables; texts never decide.

Retryable are (as `docs/format.md` says): 408, 409, 425, 429, every 5xx (529 among them), connection and
read timeouts, lost connections and broken streams, and error events whose code says overload.
"""

from __future__ import annotations

import re
import time
from collections.abc import Container, Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final

from spanscript._exchange import Failure
from spanscript._guard import text_of
from spanscript._secrets import mask_text
from spanscript._wire import MALFORMED_STREAM

INCOMPLETE_STREAM: Final = "incomplete_stream"
"""The body ended before its dialect's terminal marker, though no client raises anything."""

MALFORMED_ANSWER: Final = "malformed_answer"
"""A whole answer that is no JSON, with a status that says that all went well."""

# Both start at a literal and are bounded: linear on any text.
_CREDENTIALS: Final = re.compile(r"//[^\s/@?#]{1,512}@")
_QUERY: Final = re.compile(r"\?[^\s'\"<>]{1,4096}=[^\s'\"<>]{0,4096}")
_RETRYABLE_STATUS: Final = frozenset({408, 409, 425, 429})
_RETRYABLE_CODES: Final = frozenset(
    {
        INCOMPLETE_STREAM,
        MALFORMED_STREAM,
        "api_error",
        "engine_overloaded",
        "internal_server_error",
        "overloaded_error",
        "rate_limit_error",
        "rate_limit_exceeded",
        "server_error",
        "service_unavailable",
        "timeout_error",
        # Google's
        "ABORTED",
        "DEADLINE_EXCEEDED",
        "INTERNAL",
        "RESOURCE_EXHAUSTED",
        "UNAVAILABLE",
        # Bedrock's exception frames
        "internalServerException",
        "modelStreamErrorException",
        "modelTimeoutException",
        "serviceUnavailableException",
        "throttlingException",
    }
)
"""Error codes of providers that stand inside an answer with status 200."""

_RETRYABLE_EXCEPTIONS: Final = frozenset(
    {
        # of SDKs, where they do not say what was raised below them
        "APIConnectionError",
        "ServiceRequestError",
        "ServiceResponseError",
        # httpx, httpx2
        "TimeoutException",
        "NetworkError",
        "RemoteProtocolError",
        "ProxyError",
        # requests and urllib3
        "Timeout",
        "ChunkedEncodingError",
        "ProtocolError",
        # aiohttp
        "ClientConnectionError",
        "ClientPayloadError",
        # builtin
        "ConnectionError",
        "TimeoutError",
    }
)
"""Names of exception classes; an exception counts by any class in its line of ancestors."""


def is_retryable_status(status: int) -> bool:
    """Whether an answer with this status is worth another try."""
    return status in _RETRYABLE_STATUS or status >= 500


def is_retryable_exception(error: BaseException) -> bool:
    """Whether what was raised while sending or reading is worth another try."""
    return is_one_of(error, _RETRYABLE_EXCEPTIONS)


def is_worth_another_try(error: BaseException) -> bool:
    """
    Whether what a client raised is worth another try: by HTTP status, by class, by the provider's code.

    The first of an exception and of those that it was raised from that tells, decides.
    """
    for cause in _causes(error):
        status = next((found for path in _STATUSES if (found := _status(_dig(cause, path)))), None)
        if status is not None:
            return is_retryable_status(status)
        codes = {code for name in ("code", "type") if isinstance(code := getattr(cause, name, None), str)}
        if is_retryable_exception(cause) or codes & _RETRYABLE_CODES:
            return True
    return False


def retry_after_ms_of(error: BaseException) -> int | None:
    """What the server asked to wait, by the headers of the answer that a client made *error* of."""
    for cause in _causes(error):
        for path in _HEADERS:
            headers = _dig(cause, path)
            if isinstance(headers, Mapping):
                return retry_after_ms({str(name).lower(): str(value) for name, value in headers.items()})
    return None


_STATUSES: Final = (
    ("status_code",),
    ("status",),
    ("code",),
    ("response", "status_code"),
    ("response", "ResponseMetadata", "HTTPStatusCode"),
)
"""Where the exceptions of clients have the HTTP status; in the end those of botocore."""

_HEADERS: Final = (
    ("response", "headers"),
    ("headers",),
    ("response", "ResponseMetadata", "HTTPHeaders"),
)
"""Likewise the headers of the answer."""

_MOST_CAUSES: Final = 10


def _causes(error: BaseException) -> Iterator[BaseException]:
    """*error*, and what it was raised from or while."""
    cause: BaseException | None = error
    for _ in range(_MOST_CAUSES):
        if cause is None:
            return
        yield cause
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)


def _dig(value: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
    return value


def _status(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 100 <= value < 600 else None


def is_one_of(error: BaseException, names: Container[str]) -> bool:
    """Whether *error* is of one of the classes *names*: no library need be imported to ask."""
    return any(base.__name__ in names for base in type(error).__mro__)


def is_retryable(status: int | None, failure: Failure) -> bool:
    """Whether a failure that an answer tells is worth another try: by status, else by its code."""
    if status is not None and status >= 400:
        return is_retryable_status(status)
    return failure.type in _RETRYABLE_CODES


def failure_of(error: BaseException) -> Failure:
    """Name what was raised, as OpenTelemetry's `error.type` wants it: the class's qualified name."""
    kind = type(error)
    home = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    text = text_of(error)
    return Failure(type=home + kind.__qualname__, message=text and without_secrets(text))


def without_secrets(text: str) -> str:
    """Take credentials and query values out of the URLs in *text*, and keys that are known out of it."""
    return mask_text(_QUERY.sub("?…", _CREDENTIALS.sub("//", text)))


def retry_after_ms(headers: Mapping[str, str]) -> int | None:
    """
    What the server asked to wait: `retry-after-ms` (AWS: `x-amz-retry-after`), else `retry-after` in
    seconds or as an HTTP date.

    A date in the past is 0; what is neither is `None`.
    """
    milliseconds = _number(headers.get("retry-after-ms") or headers.get("x-amz-retry-after"))
    if milliseconds is not None:
        return round(milliseconds)
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is not None:
        return round(seconds * 1000)
    if not value:
        return None
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0, round((date.timestamp() - time.time()) * 1000))


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None
