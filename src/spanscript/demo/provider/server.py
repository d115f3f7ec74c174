"""The loopback provider's server: real sockets, a thread for each connection."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, final
from urllib.parse import urlsplit

from spanscript._exchange import Json
from spanscript._forms import summary_of
from spanscript.demo.provider import replies, routes
from spanscript.demo.provider.log import Log, Received
from spanscript.demo.provider.replies import Response
from spanscript.demo.provider.script import AnyStep, Script, Step

_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: closing resets the connection."""
_REDIRECTED = b'{"model": "redirected", "messages": [], "input": ""}'
"""What a request is taken to ask that lost its body: clients follow a 302 with GET."""


@final
class Provider:
    """
    A provider of LLMs on loopback that does as it is told.

    It listens as soon as it is made; `with` or `close` ends it. All methods may be called from any
    thread.

    Attributes:
        url: `http://127.0.0.1:PORT`; the base URL for the anthropic SDK, and the endpoint for Azure.
        openai_url: The base URL for the openai SDK.
    """

    def __init__(self, port: int = 0) -> None:
        self._server = _Server(self, port)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.openai_url = f"{self.url}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def __enter__(self) -> Provider:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening and close all connections."""
        self._server.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._server.close_connections()

    def script(self, *steps: AnyStep, match: str | None = None, forever: bool = False) -> None:
        """
        Answer the next LLM requests with `steps` in turn (see `Script.replace`), the rest well.

        Raises:
            ValueError: A step cannot be read.
        """
        self._server.script.replace(steps, match=match, forever=forever)

    def release(self) -> None:
        """Let one hanging answer go on."""
        self._server.released.release()

    def reset(self) -> None:
        """Forget the script and the log; ids count from 1 again."""
        self._server.script.clear()
        self._server.log.clear()
        while self._server.released.acquire(blocking=False):
            pass  # a release that nothing waited for

    @property
    def requests(self) -> list[Received]:
        """All that was received, in order."""
        return self._server.log.all()

    @property
    def llm_requests(self) -> list[Received]:
        """The LLM requests among `requests`."""
        return [r for r in self.requests if r.api is not None]

    def wait_for(self, count: int, *, finished: bool = False, seconds: float = 10.0) -> bool:
        """
        Wait until `count` requests have come and, `finished`, all are done with.

        Returns whether that was so within `seconds`.
        """
        return self._server.log.wait(count, finished=finished, seconds=seconds)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, provider: Provider, port: int) -> None:
        self.provider = provider
        self.script = Script()
        self.log = Log()
        self.released = threading.Semaphore(0)
        self.stopping = threading.Event()
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__(("127.0.0.1", port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._open_lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._open_lock:
            self._open.discard(request)
        if request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, len(_RESET)) == _RESET:
            request.close()  # a shutdown would first send an orderly end
        else:
            super().shutdown_request(request)

    def close_connections(self) -> None:
        with self._open_lock:
            still_open = list(self._open)
        for connection in still_open:
            with contextlib.suppress(OSError):  # the client was faster
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that leave; tell of our own mistakes on stderr."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _ClientLeftError(ConnectionError):
    """The client closed the connection, or the server is about to end."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Keep still: the log is `Provider.requests`."""

    def _any_method(self) -> None:
        body = self._read_body()
        if self.path.startswith("/_"):
            self._control(body)
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        record = self.server.log.begin(self.command, self.path, headers, body)
        try:
            self._answer(record)
        except (_ClientLeftError, BrokenPipeError, ConnectionResetError):
            record.client_left = True
            self.close_connection = True
        finally:
            self.server.log.finish(record)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = _any_method  # noqa: N815 - http.server's

    def _read_body(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _answer(self, record: Received) -> None:
        route = routes.find(self.path)
        redirected = self.command == "GET" and self.headers.get("content-length") is None
        if route is None or (self.command != "POST" and not redirected):
            self._send(replies.other(self.command, self.path, record.headers), record)
            return
        record.api = route.api.name
        record.step = self.server.script.next(record.body)
        serial = record.index + 1
        form = summary_of(record.body, record.headers.get("content-type", ""))
        body = (form or record.body) if self.command == "POST" else _REDIRECTED
        response = replies.answer(route, record.step, body, self.path, serial)
        self._send(response, record)

    def _send(self, response: Response, record: Received) -> None:
        step = record.step
        at = replies.place(step, len(response.pieces))
        before_headers = step.fault in ("reset", "hang") and step.after is None
        self._wait(step.delay)
        if before_headers and self._strike(step):
            return
        record.status, record.answer_headers = response.status, response.headers
        self.wfile.write(_head(response))
        for index, piece in enumerate([*response.pieces, b""]):
            if index == at and not before_headers and self._strike(step):
                return
            if not piece:
                break
            self._wait(step.chunk_delay if index else 0.0)
            self.wfile.write(_chunk(piece) if response.chunked else piece)
            record.pieces.append(piece)
        if response.chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _strike(self, step: Step) -> bool:
        """Do the transport's fault, if the step has one. Returns whether the answer ends here."""
        if step.fault == "hang":
            self._wait(None)
            return False
        if step.fault not in ("reset", "cut", "badframe"):
            return False
        if step.fault == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        if step.fault == "badframe":
            self.wfile.write(b"no-size\r\n")
        self.close_connection = True
        return True

    def _wait(self, seconds: float | None) -> None:
        """Wait so long (`None`: until released) while the client stays and the server runs."""
        until = time.monotonic() + (3600.0 if seconds is None else seconds)
        released = self.server.released
        while (left := until - time.monotonic()) > 0:
            if self.server.stopping.is_set() or self._client_left(min(left, 0.02)):
                raise _ClientLeftError
            if seconds is None and released.acquire(blocking=False):
                return

    def _client_left(self, seconds: float) -> bool:
        readable = select.poll()  # `select.select` takes no descriptors beyond 1,024
        readable.register(self.connection, select.POLLIN)
        return bool(readable.poll(1000 * seconds)) and self.connection.recv(1, socket.MSG_PEEK) == b""

    def _control(self, body: bytes) -> None:
        control = _CONTROLS.get((self.command, urlsplit(self.path).path))
        try:
            found = {"error": "unknown"} if control is None else control(self.server.provider, body)
            status = 404 if control is None else 200
        except (KeyError, TypeError, ValueError) as error:
            status, found = 400, {"error": str(error)}
        headers = {"content-type": "application/json"}
        response = Response(status, headers, [json.dumps(found).encode()])
        self.wfile.write(_head(response) + response.pieces[0])


def _head(response: Response) -> bytes:
    framing = (
        {"transfer-encoding": "chunked"}
        if response.chunked
        else {"content-length": str(sum(map(len, response.pieces)))}
    )
    lines = [f"HTTP/1.1 {response.status} Scripted"]
    lines += [f"{name}: {value}" for name, value in (dict(response.headers) | framing).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _chunk(piece: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(piece), piece)


def _take_script(provider: Provider, body: bytes) -> Json:
    given: Mapping[str, Any] = json.loads(body)
    provider.script(*given["steps"], match=given.get("match"), forever=bool(given.get("forever", False)))
    return {}


def _done(action: Callable[[Provider], None]) -> Callable[[Provider, bytes], Json]:
    def control(provider: Provider, _body: bytes) -> Json:
        action(provider)
        return {}

    return control


_CONTROLS: Mapping[tuple[str, str], Callable[[Provider, bytes], Json]] = {
    ("POST", "/_scenario"): _take_script,
    ("POST", "/_release"): _done(Provider.release),
    ("POST", "/_reset"): _done(Provider.reset),
    ("GET", "/_requests"): lambda provider, _body: [r.as_json() for r in provider.requests],
}
