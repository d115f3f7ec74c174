"""A collector that ships transcripts, and what it has shipped: the rows of a log backend as plain values."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from servers import free_port
from stack import CONFIGS, Server, attributes, program

from spanscript._semconv import ENTRY

BATCH = '{"resourceLogs":'
"""Begins each batch in the exporter's file; within a body the quotes would be escaped."""
OF_THE_CALL = ("call_id", "attempt", "model")
SEVERITIES = {"provider_call_error": ("ERROR", 17), "gap": ("ERROR", 17)}


class Shipper(Server):
    """`transcripts.yaml` at work on the transcript in `directory / "run"`; the rest as for `Collector`."""

    def __init__(
        self, directory: Path, settings: Mapping[str, str] = {}, environment: Mapping[str, str] = {}
    ) -> None:
        self.run = directory / "run"
        self.out = directory / "out"
        address = f"127.0.0.1:{free_port()}"
        sets = {"extensions.health_check.endpoint": address} | settings
        super().__init__(
            [
                *(str(program("collector")), "--config", str(CONFIGS / "transcripts.yaml")),
                "--feature-gates=stanza.synchronousLogEmitter",
                *(f"--set={path}={value}" for path, value in sets.items()),
            ],
            f"http://{address}",
            directory / "collector.log",
            {
                "SPANSCRIPT_DIR": str(self.run),
                "OUT_DIR": str(self.out),
                "STATE_DIR": str(directory / "state"),
                "OTEL_SERVICE_NAME": "shipped",
                **environment,
            },
        )

    def shipped(self) -> list[dict[str, Any]]:
        """One record per shipped line, in the order of their arrival."""
        return [record for file in sorted(self.out.glob("*.jsonl")) for record in _records(file.read_text())]

    def bodies(self) -> list[str]:
        return [record["body"] for record in self.shipped()]


def lines(directory: Path) -> list[str]:
    """What should be shipped of a transcript: all its lines."""
    files = sorted(directory.glob("llm_transcript*.jsonl"))
    return [line for file in files for line in file.read_text().split("\n")[:-1] if line]


def expected(line: str) -> dict[str, Any]:
    """The record of an entry, as documentation and configurations have it."""
    entry = json.loads(line)
    own = OF_THE_CALL if entry["type"] == "message" else ()
    severity, number = SEVERITIES.get(entry["type"], ("INFO", 9))
    at = datetime.fromisoformat(entry["timestamp"].replace("Z", "+00:00"))
    return damaged(line) | {
        "event": f"spanscript.{entry['type']}",
        "time_us": round(at.timestamp() * 1e6),
        "trace_id": entry.get("trace_id", ""),
        "span_id": entry.get("span_id", ""),
        "severity": severity,
        "severity_number": number,
        "attributes": {name: entry[key] for key, name in ENTRY.items() if key in entry and key not in own},
    }


def damaged(line: str) -> dict[str, Any]:
    """The record of a line that is no entry: the line."""
    return {
        "body": line,
        "event": "",
        "time_us": 0,
        "trace_id": "",
        "span_id": "",
        "severity": "WARN",
        "severity_number": 13,
        "attributes": {},
        "resource": {"service.name": "shipped"},
    }


def _records(text: str) -> Iterator[dict[str, Any]]:
    for part in text.split(BATCH)[1:]:
        try:
            batch = json.loads(BATCH + part)
        except ValueError:
            continue  # the collector was killed in it, or is still writing it
        yield from records_of(batch["resourceLogs"])


def records_of(parts: Any) -> Iterator[dict[str, Any]]:
    """Log records in OTLP's JSON as plain values."""
    for resource in parts:
        for scope in resource["scopeLogs"]:
            for record in scope["logRecords"]:
                yield {
                    **{name: read(record) for name, read in _READ.items()},
                    "resource": attributes(resource["resource"]),
                }


_READ: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    "body": lambda record: record["body"]["stringValue"],
    "event": lambda record: record.get("eventName", ""),
    "time_us": lambda record: int(record.get("timeUnixNano", 0)) // 1000,
    "trace_id": lambda record: record.get("traceId", ""),
    "span_id": lambda record: record.get("spanId", ""),
    "severity": lambda record: record["severityText"],
    "severity_number": lambda record: record["severityNumber"],
    "attributes": attributes,
}
