"""One example app per client, run as a user runs it: spans and a transcript that `check` accepts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from spanscript.transcript.check import check

EXAMPLES = sorted((Path(__file__).parent.parent / "examples" / "clients").glob("ask_*.py"))
BIN = Path(sys.executable).parent
KEYS = "OPENAI ANTHROPIC GEMINI MISTRAL CO GROQ TOGETHER"

pytestmark = pytest.mark.skipif(
    not (BIN / "opentelemetry-instrument").exists(), reason="no opentelemetry-distro"
)


def environment(url: str, directory: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "SPANSCRIPT_"))}
    aims = {
        "LLM_URL": url,
        "OPENAI_BASE_URL": f"{url}/v1",
        "ANTHROPIC_BASE_URL": url,
        "GROQ_BASE_URL": f"{url}/groq",
        "TOGETHER_BASE_URL": f"{url}/v1",
        "OLLAMA_HOST": url,
        "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": url,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "AKIAUNUSED",
        "AWS_SECRET_ACCESS_KEY": "unused",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "HF_TOKEN": "unused",
        **{f"{name}_API_KEY": "sk-unused" for name in KEYS.split()},
    }
    ours = {
        "SPANSCRIPT_DIR": str(directory),
        "OTEL_TRACES_EXPORTER": "console",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
    }
    return {**kept, **aims, **ours}


def spans_in(printed: str) -> list[dict]:
    """What the console exporter printed among the app's own words."""
    found, decoder, at = [], json.JSONDecoder(), 0
    while (at := printed.find('{\n    "name"', at)) >= 0:
        span, at = decoder.raw_decode(printed, at)
        found.append(span)
    return found


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example(example, tmp_path, provider):
    package = example.stem.removeprefix("ask_").replace("_", "-")
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        pytest.skip(f"{package} is not installed")
    run = tmp_path / "run"

    done = subprocess.run(
        [BIN / "opentelemetry-instrument", sys.executable, example],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment(provider.url, run),
        timeout=120,
    )

    assert done.returncode == 0, done.stderr
    sent = [r for r in provider.llm_requests if r.method == "POST"]
    ours = [s for s in spans_in(done.stdout) if "llm.call_id" in s["attributes"]]
    attempts = {s["parent_id"] for s in ours if s["name"].startswith("attempt ")}
    calls = {s["context"]["span_id"] for s in ours if not s["name"].startswith("attempt ")}
    assert len(sent) >= 2
    assert len(attempts) == len(sent)
    assert attempts == calls
    assert all(s["attributes"]["llm.status"] == "ok" for s in ours)
    assert any("gen_ai.usage.input_tokens" in s["attributes"] for s in ours)  # streams may not say
    assert list(check(run)) == []
