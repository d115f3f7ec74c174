"""A receiver of OTLP traces and logs, over gRPC and over HTTP, made of the protocol's own generated code."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as log_service
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2_grpc as log_service_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as service
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as service_grpc


@dataclass
class Received:
    """What arrived, as plain values: spans by id, log records in their order."""

    endpoint: str = ""
    spans: dict[str, dict[str, Any]] = field(default_factory=dict)
    records: list[dict[str, Any]] = field(default_factory=list)
    resources: list[dict[str, Any]] = field(default_factory=list)

    def take(self, request: service.ExportTraceServiceRequest) -> None:
        for resource in request.resource_spans:
            self.resources.append(_attributes(resource.resource.attributes))
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self.spans[span.span_id.hex()] = {
                        "scope": scope.scope.name,
                        "name": span.name,
                        "kind": span.kind,
                        "trace_id": span.trace_id.hex(),
                        "parent": span.parent_span_id.hex(),
                        "start": span.start_time_unix_nano,
                        "end": span.end_time_unix_nano,
                        "error": span.status.code == 2,
                        "attributes": _attributes(span.attributes),
                    }

    def take_logs(self, request: log_service.ExportLogsServiceRequest) -> None:
        for resource in request.resource_logs:
            self.resources.append(_attributes(resource.resource.attributes))
            for scope in resource.scope_logs:
                for record in scope.log_records:
                    self.records.append(
                        {
                            "scope": scope.scope.name,
                            "event": record.event_name,
                            "time": record.time_unix_nano,
                            "severity": (record.severity_number, record.severity_text),
                            "trace_id": record.trace_id.hex(),
                            "span_id": record.span_id.hex(),
                            "attributes": _attributes(record.attributes),
                            "body": _value(record.body),
                        }
                    )

    @property
    def calls(self) -> dict[str, dict[str, Any]]:
        return {i: s for i, s in self.spans.items() if "gen_ai.operation.name" in s["attributes"]}

    @property
    def attempts(self) -> dict[str, dict[str, Any]]:
        return {i: s for i, s in self.spans.items() if s["name"].startswith("attempt ")}


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    return getattr(value, kind) if kind else None


@contextmanager
def over_grpc() -> Iterator[Received]:
    received = Received()

    class Servicer(service_grpc.TraceServiceServicer):
        def Export(self, request, context):  # noqa: N802
            received.take(request)
            return service.ExportTraceServiceResponse()

    class LogServicer(log_service_grpc.LogsServiceServicer):
        def Export(self, request, context):  # noqa: N802
            received.take_logs(request)
            return log_service.ExportLogsServiceResponse()

    server = grpc.server(ThreadPoolExecutor(2))
    service_grpc.add_TraceServiceServicer_to_server(Servicer(), server)
    log_service_grpc.add_LogsServiceServicer_to_server(LogServicer(), server)
    received.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield received
    finally:
        server.stop(0).wait()


@contextmanager
def over_http() -> Iterator[Received]:
    received = Received()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.path == "/v1/traces":
                received.take(service.ExportTraceServiceRequest.FromString(body))
            elif self.path == "/v1/logs":
                received.take_logs(log_service.ExportLogsServiceRequest.FromString(body))
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    received.endpoint = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield received
    finally:
        server.shutdown()
        server.server_close()


RECEIVERS = {"grpc": over_grpc, "http/protobuf": over_http}
