"""An app that asks as long as it is told to, under `opentelemetry-instrument`; driven over its standard input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CODE = """
import os, sys, openai

client = openai.OpenAI(base_url=os.environ["PROVIDER"] + "/v1", api_key="unused")
for order in sys.stdin:
    for _ in range(int(order)):
        client.chat.completions.create(
            model="gpt-5", messages=[{"role": "user", "content": "word " * int(os.environ["WORDS"])}]
        )
    print("asked", flush=True)
"""


class Asking:
    """The app, running."""

    def __init__(self, process: subprocess.Popen[str], directory: Path) -> None:
        self.process = process
        self.directory = directory

    def ask(self, times: int) -> None:
        """Have it ask; comes back when it has all its answers."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{times}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline().startswith("asked"), "the app failed"

    def end(self) -> None:
        """Let it come to its own end, at which the SDK sends what it still holds."""
        self.process.communicate(timeout=120)
        assert self.process.returncode == 0

    @property
    def attempts(self) -> set[str]:
        """Span ids of what it asked, by its transcript."""
        lines = (self.directory / "llm_transcript.jsonl").read_text().splitlines()
        entries: list[dict[str, Any]] = [json.loads(line) for line in lines]
        return {entry["span_id"] for entry in entries if entry["type"] == "provider_call_request"}


@contextmanager
def asking(provider: Any, directory: Path, *, words: int = 4, **environment: str) -> Iterator[Asking]:
    """Start the app; it is killed if the test leaves it running."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "SPANSCRIPT_"))}
    with subprocess.Popen(
        [Path(sys.executable).parent / "opentelemetry-instrument", sys.executable, "-c", CODE],
        env={
            **kept,
            "PROVIDER": provider.url,
            "WORDS": str(words),
            "SPANSCRIPT_DIR": str(directory),
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            **environment,
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Asking(process, directory)
        finally:
            process.kill()
