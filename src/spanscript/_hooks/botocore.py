"""
Attempts of botocore, which boto3 is made of.

`URLLib3Session.send` sends every request once. What the app reads itself (event streams, the bodies of
`invoke_model`) it reads from urllib3's response.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from spanscript._attempt import Attempt
from spanscript._calls import Calls, Sending
from spanscript._guard import guarded
from spanscript._hooks._sending import Headers, around, kept, sending, text_headers
from spanscript._hooks._urllib3 import tee
from spanscript._patch import Wrapper


def wrappers(module: ModuleType, calls: Calls) -> Mapping[str, Wrapper]:  # it is the same for all
    """What goes around which function of *module*, which is `botocore.httpsession`."""
    hook = _Hook(calls)
    return {"URLLib3Session.send": around(hook.begin, hook.take)}


class _Hook:
    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    @guarded
    def begin(self, request: Any) -> Sending | None:
        return sending(self._calls, "botocore", request.method, request.url, lambda: _content(request))

    @guarded
    def take(self, attempt: Attempt, response: Any) -> None:
        headers = kept(text_headers(response.headers.items()))
        if response._content is None:  # noqa: SLF001  # asking for `content` would read it
            tee(response.raw, attempt, response.status_code, headers)
        else:
            attempt.respond(response.status_code, headers)
            attempt.whole(response._content)  # noqa: SLF001


def _content(request: Any) -> tuple[Headers, bytes | None]:
    """Headers and body; what is read while it is sent, such as a file, is left alone."""
    body, headers = request.body, [(name, _text(value)) for name, value in request.headers.items()]
    return text_headers(headers), bytes(body) if isinstance(body, bytes | bytearray) else None


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
