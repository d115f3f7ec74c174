"""
Attempts of requests.

`Session.send` sees every request once; redirects go through it again, and count to the first. What urllib3
tries again by itself is below it, and is told by the statuses of its tries.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

from spanscript._attempt import Attempt
from spanscript._calls import Calls, Sending
from spanscript._guard import guarded
from spanscript._hooks._legs import legs
from spanscript._hooks._sending import Headers, around, kept, sending, text_headers
from spanscript._hooks._urllib3 import tee
from spanscript._patch import Wrapper


def wrappers(module: ModuleType, calls: Calls) -> Mapping[str, Wrapper]:
    """What goes around which function of *module*, which is requests."""
    leg, _ = legs(lambda response: (_statuses(response), text_headers(response.headers.items())))
    hook = _Hook(calls)
    return {"Session.send": around(hook.begin, hook.take), "adapters.HTTPAdapter.send": leg}


class _Hook:
    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    @guarded
    def begin(self, request: Any, **_: Any) -> Sending | None:
        if request.method != "POST":
            return None
        return sending(self._calls, "requests", request.method, request.url, lambda: _content(request))

    @guarded
    def take(self, attempt: Attempt, response: Any) -> None:
        headers = kept(text_headers(response.headers.items()))
        if response._content_consumed:  # noqa: SLF001  # asking for `content` would read it
            attempt.respond(response.status_code, headers)
            attempt.whole(response.content or b"")
        else:
            tee(response.raw, attempt, response.status_code, headers)


def _content(request: Any) -> tuple[Headers, bytes | None]:
    """Headers and body; what is read while it is sent, such as a file, is left alone."""
    body = request.body
    if isinstance(body, str):
        body = body.encode(_encoding_of_text(), "replace")
    return text_headers(request.headers.items()), bytes(body) if isinstance(body, bytes | bytearray) else None


def _encoding_of_text() -> str:
    """How urllib3 sends a body that is text; the older one leaves it to Python."""
    version: str = sys.modules["urllib3"].__version__
    return "latin-1" if version.startswith("1.") else "utf-8"


def _statuses(response: Any) -> Iterator[int]:
    """Of an answer, after those of the tries that urllib3 made before."""
    retries = getattr(response.raw, "retries", None)
    for tried in retries.history if retries else ():
        if tried.status is not None:
            yield tried.status
    yield response.status_code
