"""
A picture of a trace, as Jaeger's query API tells it: `python tests/e2e/picture.py docs/trace.png`.

Jaeger as it is built here has no page of its own (its front end is no Go module); so this draws what a trace view shows:
spans below their parents, bars by time, names, errors with their words. A headless Chromium makes the picture.
"""

from __future__ import annotations

import html
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1])]

from otlp import Received  # noqa: E402
from stack import Collector, Jaeger, until  # noqa: E402

from spanscript.demo import loopback  # noqa: E402

AGENT = """
from opentelemetry import trace
from spanscript.demo import agent

with trace.get_tracer("agent").start_as_current_span("plan a trip"):
    agent.main(["tools", "stream", "retry", "messages"])
"""
SPANS = 15
STYLE = """
body { font: 14px/1.3 system-ui, sans-serif; margin: 0; padding: 16px; width: 1168px; color: #1c2733; background: #fff; }
table { border-collapse: collapse; width: 100%; } td { padding: 3px 8px; white-space: nowrap; vertical-align: middle; }
tr:nth-child(odd) { background: #f5f7f9; } .bar { position: relative; height: 14px; }
.bar i { position: absolute; top: 0; bottom: 0; border-radius: 2px; background: #17b8be; min-width: 2px; }
.error .bar i { background: #db2828; } .told { color: #5a6673; } .error .told { color: #b01f1f; }
.app .bar i { background: #829ab1; } h1 { font-size: 16px; margin: 0 0 10px; font-weight: 600; }
"""


def _rows(seen: Received, parent: str = "", depth: int = 0) -> Iterator[tuple[int, dict[str, Any]]]:
    """Spans below their parents, by start, with their depth."""
    below = [(i, span) for i, span in seen.spans.items() if span["parent"] == parent]
    for span_id, span in sorted(below, key=lambda each: each[1]["start"]):
        yield depth, span
        yield from _rows(seen, span_id, depth + 1)


def _told(span: dict[str, Any]) -> str:
    """What a reader looks for first, from the span's own tags."""
    tags = span["attributes"]
    tokens = [
        str(tags[f"gen_ai.usage.{way}_tokens"])
        for way in ("input", "output")
        if f"gen_ai.usage.{way}_tokens" in tags
    ]
    parts = [
        str(tags.get("http.response.status_code", "")),
        f"{' → '.join(tokens)} tokens" if tokens else "",
        ", ".join(tags.get("gen_ai.response.finish_reasons", [])),
        span["description"],
    ]
    return " · ".join(part for part in parts if part)


def page(seen: Received) -> str:
    """A trace as an HTML page."""
    first = min(span["start"] for span in seen.spans.values())
    whole = max(span["end"] for span in seen.spans.values()) - first
    lines = []
    for depth, span in _rows(seen):
        kind = "error" if span["error"] else "" if span["scope"] == "spanscript" else "app"
        left, width = ((span[a] - b) / whole * 100 for a, b in (("start", first), ("end", span["start"])))
        lines.append(
            f'<tr class="{kind}"><td style="padding-left:{8 + 22 * depth}px">{html.escape(span["name"])}</td>'
            f'<td width="45%"><div class="bar"><i style="left:{left:.2f}%;width:{width:.2f}%"></i></div></td>'
            f"<td align=right>{(span['end'] - span['start']) / 1e6:.0f} ms</td>"
            f'<td class="told">{html.escape(_told(span))}</td></tr>'
        )
    (service,) = {resource["service.name"] for resource in seen.resources}
    title = f"{service}: {next(_rows(seen))[1]['name']} · {whole / 1e9:.2f} s · {len(lines)} spans"
    return (
        f"<!doctype html><meta charset=utf-8><style>{STYLE}</style><h1>{html.escape(title)}</h1>"
        f"<table>{''.join(lines)}</table>"
    )


def _trace(directory: Path) -> Received:
    """The demo's agent under a span of its own, by way of the collector and Jaeger."""
    jaeger = Jaeger(directory / "jaeger")
    collector = Collector("local.yaml", directory / "collector", environment={"JAEGER_URL": jaeger.http})
    try:
        jaeger.start()
        collector.start()
        with loopback.start() as provider:
            subprocess.run(
                [Path(sys.executable).parent / "opentelemetry-instrument", sys.executable, "-c", AGENT],
                env=os.environ
                | loopback.environment(provider.openai_url, provider.url)
                | {
                    "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint("grpc"),
                    "OTEL_SERVICE_NAME": "travel-agent",
                },
                check=True,
            )
        return until(lambda: len((seen := jaeger.spans_of("travel-agent")).spans) == SPANS and seen)
    finally:
        collector.kill()
        jaeger.kill()


def _shoot(page_file: Path, picture: Path, height: int) -> None:
    chromium = shutil.which("chromium") or shutil.which("chrome") or sys.exit("no Chromium on PATH")
    subprocess.run(
        [
            *(chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            *("--force-device-scale-factor=1.5", f"--window-size=1200,{height}"),
            *(f"--screenshot={picture.absolute()}", page_file.as_uri()),
        ],
        check=True,
        capture_output=True,
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        found = _trace(Path(scratch))
        file = Path(scratch) / "trace.html"
        file.write_text(page(found))
        _shoot(file, Path(sys.argv[1]), 64 + 24 * SPANS)
