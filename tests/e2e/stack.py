"""The real collector and the real Jaeger as processes, and Jaeger's query API as plain values."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, TypeVar

import peers
import pytest
from otlp import Received
from servers import free_port, wait_until_up

T = TypeVar("T")
CONFIGS = Path(__file__).parents[2] / "collector-config"


def program(name: str) -> Path:
    found = peers.find(name)
    if found is None:
        pytest.skip(peers.why_missing(name))
    return found


def until(look: Callable[[], T | None], seconds: float = 60) -> T:
    """What *look* finds, as soon as it finds something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.1)
    pytest.fail(f"not seen in {seconds} s: {look.__qualname__}")


class Server:
    """A process that can be killed and started again on the same ports."""

    def __init__(self, command: list[str], url: str, log: Path, environment: Mapping[str, str]) -> None:
        self.command = command
        self.url = url
        self.log = log
        self.environment = environment
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            environment = os.environ | self.environment
            self.process = subprocess.Popen(self.command, env=environment, stdout=log, stderr=log)
        try:
            wait_until_up(self.url, self.process)
        except BaseException:
            print(self.log.read_text()[-5000:])
            raise

    def kill(self) -> None:
        """As the kernel does it when memory runs out."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self) -> None:
        """As an orchestrator does it."""
        if self.process is not None:
            self.process.terminate()
            assert self.process.wait(60) == 0, self.log.read_text()[-5000:]
            self.process = None

    @property
    def resident_bytes(self) -> int:
        """Memory of the process."""
        assert self.process is not None
        (pages,) = re.findall(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{self.process.pid}/status").read_text())
        return int(pages) * 1024


class Collector(Server):
    """
    A collector with one of the shipped configurations, on ports of its own.

    Args:
        config: The file's name in `collector-config/`.
        directory: Where it runs; its files are there.
        settings: More settings, by path: `{"exporters.file.path": "…"}`.
        environment: Variables that the configuration reads.
    """

    def __init__(
        self,
        config: str,
        directory: Path,
        settings: Mapping[str, str] = {},
        environment: Mapping[str, str] = {},
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.ports = {kind: free_port() for kind in ("grpc", "http", "health")}
        written = (CONFIGS / config).read_text()
        sets = {path: value.format(**self.ports) for path, value in _ports(written)} | settings
        super().__init__(
            [
                *(str(program("collector")), "--config", str(CONFIGS / config)),
                *(f"--set={path}={value}" for path, value in sets.items()),
            ],
            f"http://127.0.0.1:{self.ports['http']}",
            directory / "collector.log",
            {
                "TELEMETRY_FILE": str(directory / "telemetry.jsonl"),
                "QUEUE_DIR": str(directory / "queue"),
                **environment,
            },
        )

    def endpoint(self, protocol: str) -> str:
        """Where an app sends to, by `OTEL_EXPORTER_OTLP_PROTOCOL`."""
        return f"http://127.0.0.1:{self.ports['grpc' if protocol == 'grpc' else 'http']}"

    def lines(self, kind: str) -> list[Any]:
        """What the file exporter wrote: `resourceSpans`, `resourceMetrics` or `resourceLogs`."""
        file = Path(self.environment["TELEMETRY_FILE"])
        written = file.read_text().splitlines() if file.exists() else []
        return [part for line in written if line.endswith("}") for part in json.loads(line).get(kind, ())]


def _ports(config: str) -> Iterator[tuple[str, str]]:
    for receiver in ("otlp", "otlp/apps"):
        if f"\n  {receiver}:\n" in config:
            for protocol in ("grpc", "http"):
                path = f"receivers.{receiver}.protocols.{protocol}.endpoint"
                yield path, f"127.0.0.1:{{{protocol}}}"
    if "health_check:" in config:
        yield "extensions.health_check.endpoint", "127.0.0.1:{health}"


class Query:
    """
    Jaeger's query API.

    Args:
        url: Where Jaeger has its page.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, path: str, **query: str) -> Any:
        """An answer; `None`: there is no such thing (yet)."""
        url = f"{self.url}/api/v3/{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise

    def spans_of(self, service: str) -> Received:
        """All traces with spans of a service, whole."""
        now = datetime.now(timezone.utc)
        wanted = {
            "service_name": service,
            "start_time_min": (now - timedelta(hours=1)).isoformat().replace("+00:00", "Z"),
            "start_time_max": (now + timedelta(hours=1)).isoformat().replace("+00:00", "Z"),
            "num_traces": "100000",
        }
        return _received(self.ask("traces", **dict(_in_both_spellings(wanted))))

    def spans_in(self, trace_id: str) -> Received:
        """All that is there of a trace."""
        return _received(self.ask(f"traces/{trace_id}"))


class Jaeger(Server, Query):
    """Jaeger, all in one, in memory: what it was sent is gone when it is killed."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        ports = {kind: free_port() for kind in ("QUERY", "GRPC", "HTTP")}
        self.grpc = f"127.0.0.1:{ports['GRPC']}"
        self.http = f"http://127.0.0.1:{ports['HTTP']}"
        super().__init__(
            [str(program("jaeger")), "--config", str(Path(__file__).parent / "jaeger.yaml")],
            f"http://127.0.0.1:{ports['QUERY']}",
            directory / "jaeger.log",
            {f"{kind}_PORT": str(port) for kind, port in ports.items()},
        )


def _in_both_spellings(query: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Jaeger changed the names of its parameters from snake to camel case, and knows one of them."""
    for name, value in query.items():
        first, *others = name.split("_")
        yield f"query.{name}", value
        yield "query." + first + "".join(other.title() for other in others), value


def _received(answer: Any) -> Received:
    received = Received()
    for part in (answer or {}).get("result", {}).get("resourceSpans", ()):
        received.resources.append(attributes(part["resource"]))
        for scope in part["scopeSpans"]:
            # Of a batch that came twice, Jaeger tells the scope twice and the spans once.
            spans = scope.get("spans", ())
            received.spans |= {span["spanId"]: _span(span, scope["scope"]["name"]) for span in spans}
    return received


def _span(span: Any, scope: str) -> dict[str, Any]:
    return {
        "scope": scope,
        "name": span["name"],
        "kind": span["kind"],
        "trace_id": span["traceId"],
        "parent": span.get("parentSpanId", ""),
        "start": int(span["startTimeUnixNano"]),
        "end": int(span["endTimeUnixNano"]),
        "error": span["status"].get("code") == 2,
        "description": span["status"].get("message", ""),
        "attributes": attributes(span),
    }


def attributes(holder: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes of a span or a resource in OTLP's JSON, as values of their types."""
    return {pair["key"]: _value(pair["value"]) for pair in holder.get("attributes", ())}


def _value(value: Mapping[str, Any]) -> Any:
    ((kind, held),) = value.items()
    return _READ[kind](held)


_READ: Mapping[str, Callable[[Any], Any]] = {
    "stringValue": str,
    "boolValue": bool,
    "intValue": int,
    "doubleValue": float,
    "arrayValue": lambda held: [_value(value) for value in held.get("values", ())],
    "kvlistValue": lambda held: {pair["key"]: _value(pair["value"]) for pair in held.get("values", ())},
}
