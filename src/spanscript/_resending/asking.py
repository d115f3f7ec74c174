"""Sends a request and reads the answer as its dialect has it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any, Final

import msgspec
from msgspec import Struct

from spanscript import _wire, config
from spanscript._exchange import Dialect, Failure, Reply
from spanscript._failures import INCOMPLETE_STREAM, MALFORMED_ANSWER
from spanscript._resending.targets import Target
from spanscript._secrets import mask, mask_text, remember
from spanscript.transcript.lines import TranscriptError

_KEPT: Final = (_wire.ERROR_TYPE, *_wire.COUNT_HEADERS.values())


class Answer(Struct, frozen=True):
    """
    What came back.

    Attributes:
        reply: As far as it came; its `failure` says what went wrong.
        http_status: `None` if no answer came.
        response_ms: From the sending to the last byte.
        first_chunk_ms: To the first one of a streamed answer.
    """

    reply: Reply
    http_status: int | None
    response_ms: float
    first_chunk_ms: float | None = None


def ask(target: Target, body: bytes, dialect: Dialect, *, seconds: float, stream: bool) -> Answer:
    """
    Send *body* once: nothing is tried again, no redirect is followed.

    Args:
        target: Where to.
        body: To the byte.
        dialect: How the answer is to be read.
        seconds: How long each wait for bytes may take.
        stream: Whether the answer is asked for as a stream.

    Raises:
        TranscriptError: There is no HTTP library.
    """
    httpx = _httpx()
    remember((name.encode(), value.encode()) for name, value in target.headers.items())
    started = time.perf_counter()

    def passed() -> float:
        return round((time.perf_counter() - started) * 1000, 3)

    status = first = None
    try:
        with (
            httpx.Client(timeout=seconds, follow_redirects=False, trust_env=not target.is_local) as client,
            client.stream("POST", target.url, content=body, headers=dict(target.headers)) as response,
        ):
            status = response.status_code
            chunks = _bounded(response.iter_bytes())
            data = next(chunks, b"")
            first = passed() if stream else None
            data = b"".join((data, *chunks))
            return Answer(_read(dialect, response, data, stream=stream), status, passed(), first)
    except httpx.HTTPError as error:
        failure = Failure(type(error).__qualname__, mask_text(str(error)) or None)
        return Answer(Reply(failure=failure, complete=False), status, passed(), first)


def _httpx() -> Any:
    try:
        return import_module("httpx2")
    except ImportError as error:
        hint = "to send a request httpx2 is needed: pip install 'spanscript[send]'"
        raise TranscriptError(hint) from error


def _bounded(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """As much of an answer as is kept of any."""
    left = config.MAX_ANSWER_BYTES
    for chunk in chunks:
        yield chunk[:left]
        left -= len(chunk)
        if left <= 0:
            return


def _read(dialect: Dialect, response: Any, data: bytes, *, stream: bool) -> Reply:
    status, kind = response.status_code, response.headers.get("content-type", "")
    reply = _wire.read(dialect, kind, mask(data), status)
    kept = {name: response.headers[name] for name in _KEPT if name in response.headers}
    reply = _wire.with_headers(reply, kept)
    failure = reply.failure
    if 300 <= status < 400:
        failure = Failure(str(status), "a redirect, which is not followed")
    elif failure is None and not reply.complete:
        failure = Failure(INCOMPLETE_STREAM if stream else MALFORMED_ANSWER, "the answer is not whole")
    return msgspec.structs.replace(reply, failure=failure)
