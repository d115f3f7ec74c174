"""From a request and a step of the script to the HTTP response: pure, no sockets, no time."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from spanscript._exchange import Json
from spanscript.demo.provider import policy
from spanscript.demo.provider.chat_completions import EPOCH
from spanscript.demo.provider.route import Manner, Raw, Route
from spanscript.demo.provider.routes import ANTHROPIC, OPENAI
from spanscript.demo.provider.script import Fault, Step


@dataclass(frozen=True)
class Response:
    """
    What is to be sent.

    `pieces` are sent one by one: events of a stream or, where a fault will strike inside it, halves of a
    whole body. `chunked`: by chunked transfer coding, each piece a chunk; else with a length.
    """

    status: int
    headers: Mapping[str, str]
    pieces: Sequence[bytes]
    chunked: bool = False


def answer(route: Route, step: Step, raw_body: bytes, target: str, serial: int) -> Response:
    """
    The response to an LLM request.

    Args:
        route: Of its path.
        step: What the script says.
        raw_body: The request's body; of a form with files, what tells of it.
        target: The request's path and query.
        serial: The request's number.
    """
    response = _plain(route, step, raw_body, serial)
    headers = {"date": "Thu, 01 Jan 2026 00:00:00 GMT", "server": "loopback", **response.headers}
    if 300 <= response.status < 400:
        headers["location"] = target
    headers |= {name.lower(): value for name, value in step.headers.items()}
    return _shaped(replace(response, headers=headers), step)


def _plain(route: Route, step: Step, raw_body: bytes, serial: int) -> Response:
    manner = route.manner
    headers = {name: value.format(serial=serial) for name, value in manner.headers.items()}
    if step.raw is not None:
        return Response(step.status, headers, step.raw, chunked=len(step.raw) > 1)
    if step.status != 200:
        return _failure(manner, step.status, headers, _REASONS.get(step.status, "Scripted."))
    try:
        body = json.loads(raw_body or b"null")
        ask = route.api.read(({"model": route.model} if route.model else {}) | body)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return _failure(manner, 400, headers, f"This request cannot be read: {error!r}")
    reply = policy.decide(ask, serial, step.answer)
    if route.asks_stream(body) and route.api.events is not None:
        headers["content-type"] = manner.stream_type
        pieces = [manner.encode(event) for event in route.api.events(reply, body)]
        return Response(200, headers, _faulty(pieces, step, manner), chunked=True)
    if step.fault in ("error", "failed"):
        return _json(200, headers, manner.error(500, _IN_BAND))
    found = route.api.whole(reply, body)
    if isinstance(found, Raw):
        headers |= {"content-type": found.content_type, **found.headers}
    data = found.data if isinstance(found, Raw) else _encode(found)
    return Response(200, headers, _broken(data, step.fault))


def _failure(manner: Manner, status: int, headers: Mapping[str, str], message: str) -> Response:
    return _json(status, {**headers, **manner.error_headers(status)}, manner.error(status, message))


def _json(status: int, headers: Mapping[str, str], body: Json) -> Response:
    return Response(status, headers, [_encode(body)])


def _encode(body: Json) -> bytes:
    return json.dumps(body, ensure_ascii=False, indent=2).encode("utf-8", "surrogatepass")


_IN_BAND = "The server had an error while processing your request."
_REASONS = {
    400: "This request is not valid.",
    401: "Incorrect API key provided.",
    404: "The model does not exist.",
    429: "Rate limit reached. Please try again later.",
    500: "The server had an error while processing your request.",
    503: "The service is unavailable.",
    529: "Overloaded",
}


def place(step: Step, count: int) -> int:
    """Before which of `count` pieces the step's fault strikes."""
    if step.after is None:
        return count // 2
    return min(max(step.after + (count if step.after < 0 else 0), 0), count)


def _faulty(pieces: list[bytes], step: Step, manner: Manner) -> list[bytes]:
    at = place(step, len(pieces))
    if step.fault == "truncate":
        return pieces[:at]
    if step.fault == "unended":
        return pieces[:-1]
    if step.fault == "malformed":
        broken = pieces[at][:-6] if at < len(pieces) else b"data: {"
        return [*pieces[:at], broken + b"\n\n", *pieces[at + 1 :]]
    if step.fault in ("error", "failed"):
        return [*pieces[:at], manner.encode(manner.error_event(_IN_BAND, step.fault == "failed"))]
    return pieces


def _broken(body: bytes, fault: Fault | None) -> list[bytes]:
    return [body[: len(body) // 2]] if fault in ("truncate", "malformed") else [body]


def _shaped(response: Response, step: Step) -> Response:
    pieces, chunked, headers = response.pieces, response.chunked, dict(response.headers)
    if step.gzip:
        pieces = _compressed(pieces)
        headers["content-encoding"] = "gzip"
    if step.chunk_size:
        body = b"".join(pieces)
        pieces = [body[at : at + step.chunk_size] for at in range(0, len(body), step.chunk_size)]
        chunked = True
    elif not chunked and step.fault is not None:
        body = b"".join(pieces)
        pieces = [body[: len(body) // 2], body[len(body) // 2 :]]
    return Response(response.status, headers, pieces, chunked)


def _compressed(pieces: Sequence[bytes]) -> list[bytes]:
    if len(pieces) == 1:
        return [gzip.compress(pieces[0], mtime=0)]
    squeeze = zlib.compressobj(wbits=31)
    found = [squeeze.compress(piece) + squeeze.flush(zlib.Z_SYNC_FLUSH) for piece in pieces]
    return [*found, squeeze.flush()]


def other(method: str, target: str, headers: Mapping[str, str]) -> Response:
    """The response to what is no LLM request: lists of models, counting of tokens, unknown paths."""
    path = urlsplit(target).path
    manner = ANTHROPIC if "anthropic-version" in headers else OPENAI
    if method == "GET" and "/models" in path:
        return _json(200, manner.headers, _models(path, manner))
    if path.endswith("/messages/count_tokens"):
        return _json(200, manner.headers, {"input_tokens": 12})
    return _json(404, manner.headers, manner.error(404, f"Unknown request URL: {method} {path}"))


def _models(path: str, manner: Manner) -> Json:
    shown: Json
    page: Json
    if manner is ANTHROPIC:
        shown = {
            "type": "model",
            "id": "claude-sonnet-4-5",
            "display_name": "Claude",
            "created_at": _DAY,
        }
        page = {"data": [shown], "has_more": False, "first_id": shown["id"], "last_id": shown["id"]}
    else:
        model = {"id": "gpt-5", "object": "model", "created": EPOCH, "owned_by": "loopback"}
        shown, page = model, {"object": "list", "data": [model]}
    return page if path.endswith("/models") else shown


_DAY = "2026-01-01T00:00:00Z"
