"""An OTLP/HTTP receiver on loopback: what the demo shows is what a collector would get."""

from __future__ import annotations

import gzip
import threading
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, TypeAlias, final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue


@dataclass(frozen=True)
class Span:
    """One span as it was exported. Ids in hexadecimal, times in nanoseconds since the epoch."""

    span_id: str
    parent_id: str | None
    trace_id: str
    name: str
    scope: str
    started_ns: int
    ended_ns: int
    attributes: Mapping[str, Any]
    failed: bool
    description: str


Forward: TypeAlias = Callable[[bytes], None]
"""Sends a serialised `ExportTraceServiceRequest` on."""


@final
class Receiver:
    """
    Receives spans until it is closed.

    Attributes:
        endpoint: For `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`.
        trouble: What went wrong in forwarding, in words.
    """

    def __init__(self, forward: Forward | None = None) -> None:
        self.trouble: list[str] = []
        self._forward = forward
        self._spans: list[Span] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}/v1/traces"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self) -> Receiver:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def spans(self) -> list[Span]:
        """All that came, by start."""
        return sorted(self._spans, key=lambda span: span.started_ns)

    def take(self, body: bytes) -> None:
        """
        Take one export request.

        Raises:
            google.protobuf.message.DecodeError: It is none.
        """
        self._spans.extend(read(body))
        if self._forward is None:
            return
        try:
            self._forward(body)
        except OSError as error:
            self.trouble.append(str(error))


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            encoding = self.headers.get("content-encoding", "identity")
            receiver.take(_DECODE[encoding](body))
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            """Keep still."""

    return Handler


_DECODE: Mapping[str, Callable[[bytes], bytes]] = {
    "identity": bytes,
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
}


def read(body: bytes) -> Iterator[Span]:
    """
    The spans of a serialised export request.

    Raises:
        google.protobuf.message.DecodeError: It is none.
    """
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        for scoped in resource.scope_spans:
            for span in scoped.spans:
                yield Span(
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex() or None,
                    trace_id=span.trace_id.hex(),
                    name=span.name,
                    scope=scoped.scope.name,
                    started_ns=span.start_time_unix_nano,
                    ended_ns=span.end_time_unix_nano,
                    attributes={a.key: _value(a.value) for a in span.attributes},
                    failed=span.status.code == span.status.STATUS_CODE_ERROR,
                    description=span.status.message,
                )


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [_value(v) for v in value.array_value.values]
    if kind == "kvlist_value":
        return {pair.key: _value(pair.value) for pair in value.kvlist_value.values}
    found = getattr(value, kind)
    return b64encode(found).decode() if isinstance(found, bytes) else found
