"""Sends the demo's spans on to the OTLP endpoint that the user has set, as the user has set it."""

from __future__ import annotations

import urllib.request
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from spanscript.demo.receiver import Forward

_SECONDS = 10


def forwarder(environment: Mapping[str, str]) -> tuple[Forward, str] | None:
    """What sends an export request on, and the endpoint in words; `None` if none is set."""
    protocol = _setting(environment, "PROTOCOL") or "grpc"
    exact = environment.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    base = environment.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    if not (exact or base):
        return None
    headers = _headers(_setting(environment, "HEADERS") or "")
    if protocol == "grpc":
        return _by_grpc(exact or base or "", headers), f"{exact or base} (gRPC)"
    url = exact or f"{(base or '').rstrip('/')}/v1/traces"
    return _by_http(url, headers), f"{url} (HTTP)"


def _setting(environment: Mapping[str, str], name: str) -> str | None:
    of_traces = environment.get(f"OTEL_EXPORTER_OTLP_TRACES_{name}")
    return of_traces or environment.get(f"OTEL_EXPORTER_OTLP_{name}")


def _headers(text: str) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in text.split(",") if "=" in pair)
    return {unquote(key).strip().lower(): unquote(value).strip() for key, _, value in pairs}


def _by_http(url: str, headers: Mapping[str, str]) -> Forward:
    def send(body: bytes) -> None:
        request = urllib.request.Request(  # noqa: S310 - the user's own endpoint
            url, body, {"content-type": "application/x-protobuf", **headers}
        )
        with urllib.request.urlopen(request, timeout=_SECONDS):  # noqa: S310 - likewise
            pass

    return send


def _by_grpc(endpoint: str, headers: Mapping[str, str]) -> Forward:
    import grpc  # type: ignore[import-untyped]  # noqa: PLC0415 - slow, and seldom needed

    parts = urlsplit(endpoint if "//" in endpoint else f"//{endpoint}")
    secure = parts.scheme == "https"
    channel = (
        grpc.secure_channel(parts.netloc, grpc.ssl_channel_credentials())
        if secure
        else grpc.insecure_channel(parts.netloc)
    )
    export = channel.unary_unary(
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        request_serializer=bytes,
        response_deserializer=bytes,
    )

    def send(body: bytes) -> None:
        try:
            export(body, timeout=_SECONDS, metadata=tuple(headers.items()))
        except grpc.RpcError as error:
            raise ConnectionError(f"{endpoint}: {error.code().name}") from error

    return send
