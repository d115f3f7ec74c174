"""A thousand calls a second for a minute: memory is bounded, in the app and in the collector."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from stack import until

CALLS = 60_000
APP = """
import json, re, time
import httpx

answer = {
    "id": "chatcmpl-1", "object": "chat.completion", "model": "gpt-5",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
}
client = httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(200, json=answer)))

def resident():
    return int(re.search(r"VmRSS:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024

sizes, began = [], time.monotonic()
for number in range(CALLS):
    ahead = began + number / 1000 - time.monotonic()
    if ahead > 0:
        time.sleep(ahead)
    messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": f"Hello {number}"}]
    client.post("http://api.openai.test/v1/chat/completions", json={"model": "gpt-5", "messages": messages})
    if number % (CALLS // 60) == 0:
        sizes.append(resident())
print(json.dumps({"seconds": time.monotonic() - began, "sizes": sizes}))
"""
ROOM = 48 * 1024 * 1024
"""
Bytes by which the app may grow from its sixth second on: the SDK's queue of 2,048 spans, and what the writer
remembers of what it wrote, which is bounded too.
"""


@pytest.mark.slow
def test_a_thousand_calls_a_second(local, tmp_path):
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "SPANSCRIPT_"))}
    done = subprocess.run(
        [
            *(Path(sys.executable).parent / "opentelemetry-instrument", sys.executable),
            *("-c", APP.replace("CALLS", str(CALLS))),
        ],
        env={
            **kept,
            "SPANSCRIPT_DIR": str(tmp_path / "run"),
            "OTEL_SERVICE_NAME": "busy",
            "OTEL_EXPORTER_OTLP_ENDPOINT": local.endpoint("grpc"),
        },
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=300,
    )
    told = json.loads(done.stdout)
    print(
        f"{CALLS / told['seconds']:.0f} calls/s; the app's MiB:", [size >> 20 for size in told["sizes"][::10]]
    )
    print(f"the collector's MiB: {local.resident_bytes >> 20}")

    assert max(told["sizes"]) - told["sizes"][5] < ROOM
    assert local.resident_bytes < 512 * 1024 * 1024
    written = Counter(json.loads(line)["type"] for line in (tmp_path / "run" / "llm_transcript.jsonl").open())
    assert written["provider_call_request"] == written["provider_call_response"] == CALLS
    until(lambda: _spans(local) == 2 * CALLS)


def _spans(collector) -> int:
    spans = sum(
        len(scope["spans"]) for part in collector.lines("resourceSpans") for scope in part["scopeSpans"]
    )
    print(f"{spans} spans arrived")
    return spans
