"""Calls recorded into memory and a transcript."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import spanscript


class Recording:
    """What was recorded: spans in memory, and a transcript in a directory of its own."""

    def __init__(self, directory: Path, **settings: Any) -> None:
        self.directory = directory
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.reader = InMemoryMetricReader()
        self.meters = MeterProvider([self.reader], shutdown_on_exit=False)
        self.undo = spanscript.instrument(self.provider, self.meters, directory=str(directory), **settings)

    @property
    def spans(self) -> list[ReadableSpan]:
        return sorted(self.exporter.get_finished_spans(), key=lambda s: (s.start_time, "attempt" in s.name))

    @property
    def calls(self) -> list[ReadableSpan]:
        return [s for s in self.spans if not s.name.startswith("attempt ")]

    @property
    def attempts(self) -> list[ReadableSpan]:
        return [s for s in self.spans if s.name.startswith("attempt ")]

    @property
    def entries(self) -> list[dict[str, Any]]:
        files = sorted(self.directory.glob("llm_transcript*.jsonl"))
        return [json.loads(line) for file in files for line in file.read_bytes().splitlines() if line]

    def entries_of(self, *types: str) -> list[dict[str, Any]]:
        return [entry for entry in self.entries if entry["type"] in types]
