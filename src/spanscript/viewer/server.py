"""
The page on loopback, made anew each time it is asked for.

Other users of the machine can reach the port too, and so can any page that a browser has open, so there is
one address that nobody can guess. Requests that name another host (DNS rebinding) get nothing.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from spanscript._text import clean
from spanscript.transcript.lines import TranscriptError
from spanscript.viewer import page
from spanscript.viewer.payload import Payload

_HOST: Final = "127.0.0.1"
_NAMES: Final = (_HOST, "localhost")


class Server(ThreadingHTTPServer):
    """
    Serves one page.

    Args:
        port: 0 for one that is free.
        payload: Reads the transcript, for one page.

    Attributes:
        path: The only path there is.
        hosts: What a browser that was given our address says that it asks.

    Raises:
        OSError: The port is taken.
    """

    daemon_threads = True

    def __init__(self, port: int, payload: Callable[[], Payload]) -> None:
        self.payload = payload
        self.path = f"/{secrets.token_urlsafe(18)}/"
        super().__init__((_HOST, port), _Handler)
        self.hosts = {f"{name}:{self.server_port}" for name in _NAMES}

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{_HOST}:{self.server_port}{self.path}"


def _headers() -> Mapping[str, str]:
    return {
        "Content-Security-Policy": f"{page.policy()}; frame-ancestors 'none'",
        "Content-Type": "text/html; charset=utf-8",
        "Cache-Control": "no-store",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }


class _Handler(BaseHTTPRequestHandler):
    server: Server
    server_version = "spanscript"
    sys_version = ""
    timeout = 30

    def do_GET(self) -> None:
        """Give the page. (Other methods get 501 from the base class.)"""
        if self.headers.get("Host") not in self.server.hosts:
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
        elif not secrets.compare_digest(self.path.encode(), self.server.path.encode()):
            self.send_error(HTTPStatus.NOT_FOUND)
        else:
            self._send()

    def _send(self) -> None:
        try:
            payload = self.server.payload()
        except TranscriptError as error:
            self.send_error(HTTPStatus.INTERNAL_SERVER_ERROR, explain=clean(str(error)))
            return
        self.send_response(HTTPStatus.OK)
        for name, value in _headers().items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # the browser went away
            page.write(payload, self.wfile.write)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing: the address is a secret."""
