"""
The wire APIs: a table of (path → dialect), one pure module per wire API.

A path alone does not make a call: `Dialect.accepts` has the last word, by the body.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import unquote

from msgspec import Struct

from spanscript._dialects.chat_completions import CHAT_COMPLETIONS
from spanscript._dialects.completions import COMPLETIONS
from spanscript._dialects.embeddings import EMBEDDINGS
from spanscript._dialects.messages import MESSAGES
from spanscript._dialects.responses import RESPONSES
from spanscript._exchange import Dialect, Json
from spanscript._json import loads, members

DIALECTS: Final[Mapping[str, Dialect]] = {
    dialect.name: dialect for dialect in (CHAT_COMPLETIONS, RESPONSES, COMPLETIONS, EMBEDDINGS, MESSAGES)
}
"""Every dialect by its name."""


METHOD: Final = "POST"
"""Of every request for a model's answer."""


class Match(Struct, frozen=True):
    """
    What a path says of a request.

    Attributes:
        dialect: The wire API that has such paths.
        model: The model, if the path names it (on Azure, the deployment); the body's own word goes first.
        stream: Whether a stream is asked for, if the path tells.
    """

    dialect: Dialect
    model: str | None = None
    stream: bool | None = None


def find(method: str, path: str) -> Match | None:
    """
    Find the dialect of a request by its URL.

    Args:
        method: The HTTP method, in upper case.
        path: The URL's path as it stands there, without query.

    Returns:
        `None` for what is no request for a model's answer. Costs well under a microsecond then.
    """
    if method != METHOD:
        return None
    if path.endswith("/"):
        path = path.rstrip("/")
    head, _, last = path.rpartition("/")
    rule = _LAST_SEGMENTS.get(last)
    if rule is not None:
        return rule(head)
    return _vertex(path) if last.endswith("awPredict") else None


def read_params(dialect: Dialect, body: Mapping[str, bytes]) -> dict[str, Json]:
    """
    Read the parameters of a request under their neutral names, and decode nothing else of it.

    Args:
        dialect: Says where they stand.
        body: The body's keys and raw values.

    Returns:
        Those that are there and not null.
    """
    found: dict[str, Json] = {}
    for name, paths in dialect.params.items():
        for path in paths:
            value = _value_at(body, path)
            if value is not None:
                found[name] = value
                break
    return found


def _value_at(body: Mapping[str, bytes], path: tuple[str, ...]) -> Json:
    raw = body.get(path[0])
    for key in path[1:]:
        raw = members(raw).get(key) if raw is not None and raw.startswith(b"{") else None
    return None if raw is None else loads(raw)


_DEPLOYMENT: Final = re.compile(r"/openai/deployments/([^/]+)(?:/chat)?$")
_BEDROCK: Final = re.compile(r"/model/([^/]+)$")
_VERTEX: Final = re.compile(r"/publishers/anthropic/models/([^/]+):(streamRawPredict|rawPredict)$")


def _completions(head: str) -> Match:
    dialect = CHAT_COMPLETIONS if head.endswith("/chat") else COMPLETIONS
    return _maybe_deployed(dialect, head)


def _maybe_deployed(dialect: Dialect, head: str) -> Match:
    found = _DEPLOYMENT.search(head)
    return Match(dialect, unquote(found[1]) if found else None)


def _bedrock(head: str, *, stream: bool) -> Match | None:
    found = _BEDROCK.search(head)
    return Match(MESSAGES, unquote(found[1]), stream) if found else None


def _vertex(path: str) -> Match | None:
    found = _VERTEX.search(path)
    return Match(MESSAGES, unquote(found[1]), found[2] == "streamRawPredict") if found else None


_LAST_SEGMENTS: Final[Mapping[str, Callable[[str], Match | None]]] = {
    "completions": _completions,
    "responses": lambda head: _maybe_deployed(RESPONSES, head),
    "embeddings": lambda head: _maybe_deployed(EMBEDDINGS, head),
    "messages": lambda _: Match(MESSAGES),
    "invoke": lambda head: _bedrock(head, stream=False),
    "invoke-with-response-stream": lambda head: _bedrock(head, stream=True),
}
