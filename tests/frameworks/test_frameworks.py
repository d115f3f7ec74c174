"""
Frameworks need nothing of ours: a real program on each, under `opentelemetry-instrument`, alone and
beside what else instruments it.

What is not installed is skipped; `nox -s frameworks` installs each in a venv of its own.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("grpc")

from frameworks import ANYONE, BROKEN, FRAMEWORKS, UNCOUNTED
from otlp import Received, over_http
from proof import tokens

from spanscript.transcript.check import Check

HERE = Path(__file__).parent
INFERENCE = {"chat", "text_completion", "generate_content", "embeddings"}
ROWS = [
    pytest.param(name, beside, id=f"{name}-{beside}")
    for name, framework in FRAMEWORKS.items()
    for beside in ANYONE | framework.beside
    if beside not in BROKEN.get(name, ())
]


@pytest.mark.parametrize(("name", "beside"), ROWS)
def test_framework(name: str, beside: str, provider: Any, tmp_path: Path) -> None:
    framework = FRAMEWORKS[name]
    code = (ANYONE | framework.beside)[beside]
    for module in (*framework.modules, code.partition(":")[0] if "\n" not in code else "sys"):
        if module and not is_installed(module):
            pytest.skip(f"{module} is not installed")
    with over_http() as received:
        shown = run(name, switch_on(code), provider, received.endpoint, tmp_path)

    assert re.search(framework.shows, shown), shown
    assert provider.wait_for(len(provider.requests), finished=True)
    requests = provider.llm_requests
    assert sum(brings_result(r.json) for r in requests) == framework.results
    assert {bool(r.json.get("stream")) for r in requests} == {False, True}
    transcript_is_whole(tmp_path / "run", requests)
    attempts_are_requests(received, requests)
    is_counted = counted(received.spans.values()) == told(requests)
    assert is_counted != ((name, beside) in UNCOUNTED), UNCOUNTED.get((name, beside))


def is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def switch_on(code: str) -> str:
    """The code that an app has at its beginning."""
    if "\n" in code or not code:
        return code
    module, _, name = code.partition(":")
    return f"from {module} import {name}\n{name}().instrument()\n"


def run(name: str, code: str, provider: Any, endpoint: str, tmp_path: Path) -> str:
    """Run the program as a user would; returns what it prints."""
    others = {entry.name for entry in entry_points(group="opentelemetry_instrumentor")} - {"spanscript"}
    program = tmp_path / "main.py"
    program.write_text(
        f"{code}\nimport runpy\nrunpy.run_path({str(HERE / f'{name}_app.py')!r}, None, '__main__')\n"
    )
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "SPANSCRIPT_"))}
    done = subprocess.run(
        [str(Path(sys.executable).parent / "opentelemetry-instrument"), sys.executable, str(program)],
        check=False,
        cwd=tmp_path,
        env={
            **clean,
            "OPENAI_BASE_URL": provider.openai_url,
            "OPENAI_API_BASE": provider.openai_url,
            "OPENAI_API_KEY": "unused",
            "ANTHROPIC_BASE_URL": provider.url,
            "ANTHROPIC_API_KEY": "unused",
            "SPANSCRIPT_DIR": str(tmp_path / "run"),
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": ",".join(sorted(others)),
            # What frameworks tell their makers stays here.
            "OPENAI_AGENTS_DISABLE_TRACING": "true",
            "CREWAI_DISABLE_TELEMETRY": "true",
            "CREWAI_TRACING_ENABLED": "false",
            "TRACELOOP_TELEMETRY": "false",
            "LITELLM_LOCAL_MODEL_COST_MAP": "true",
        },
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def brings_result(body: Any) -> bool:
    """Whether the last message of a request is a tool's result."""
    *_, last = body.get("messages") or body.get("input")
    if not isinstance(last, dict):
        return False
    named = last.get("role") == "tool" or last.get("type") == "function_call_output"
    return named or '"tool_result"' in json.dumps(last)


def transcript_is_whole(directory: Path, requests: list[Any]) -> None:
    """It has no problems, and rebuilds every body that the server received to the byte."""
    checked = Check(directory)
    assert list(checked) == []
    transcript = checked.transcript
    calls = list(transcript.calls())
    rebuilt = [transcript.rebuild(transcript.whole(e)) for c in calls for e in c.requests.values()]
    assert sorted(r.content for r in rebuilt) == sorted(r.body for r in requests)
    assert {r.proof for r in rebuilt} == {"exact"}
    assert [status for c in calls for status in map(c.attempt_status, c.attempts)] == ["ok"] * len(requests)


def attempts_are_requests(received: Received, requests: list[Any]) -> None:
    """Each request of the server's log is one attempt span, each under a span that stands for its call."""
    attempts = list(received.attempts.values())
    assert len(attempts) == len(requests)
    assert sorted(a["attributes"]["url.full"].rpartition("/v1")[2] for a in attempts) == sorted(
        r.path.partition("?")[0].rpartition("/v1")[2] for r in requests
    )
    calls = [received.spans[attempt["parent"]] for attempt in attempts]
    assert len({id(call) for call in calls}) == len(requests)
    for call, attempt in zip(calls, attempts, strict=True):
        assert call["attributes"]["llm.call_id"] == attempt["attributes"]["llm.call_id"]
        assert call["trace_id"] == attempt["trace_id"]


COUNTS = {
    "in": ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt"),
    "out": ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion"),
}


def counted(spans: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """The tokens that a backend would add up: those of spans of inferences, whosever, each span once."""
    told = [span["attributes"] for span in spans if is_inference(span["attributes"])]
    return {
        kind: sum(next((int(a[name]) for name in names if name in a), 0) for a in told)
        for kind, names in COUNTS.items()
    }


def is_inference(attributes: Mapping[str, Any]) -> bool:
    return (
        attributes.get("gen_ai.operation.name") in INFERENCE
        or attributes.get("llm.request.type") in ("chat", "completion")
        or attributes.get("openinference.span.kind") in ("LLM", "EMBEDDING")
    )


def told(requests: list[Any]) -> dict[str, int]:
    """The tokens that stand on the wire: the last that each answer says."""
    pairs = [tokens(r.answer, r.answer_headers) for r in requests]
    return {"in": sum(asked or 0 for asked, _ in pairs), "out": sum(out or 0 for _, out in pairs)}
