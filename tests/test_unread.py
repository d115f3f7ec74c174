"""Streams that nobody reads to the end: dropped at a bad moment, or open when the process ends."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

httpx = pytest.importorskip("httpx")

ASK = {"model": "gpt-5", "stream": True, "messages": [{"role": "user", "content": "hi"}]}


class Dropper:
    """Drops what it holds inside a lock of `threading`, where our finalizer must not work."""

    def __init__(self, held):
        self.held = held

    def __call__(self):
        self.held = None
        gc.collect()
        return True


def open_stream(client, provider):
    request = client.build_request("POST", f"{provider.openai_url}/chat/completions", json=ASK)
    return client.send(request, stream=True)


def test_dropped_in_plain_code_it_ends_at_once(provider, recording):
    with httpx.Client() as client:
        response = open_stream(client, provider)
        del response
        gc.collect()

        assert [s.attributes["llm.status"] for s in recording.calls] == ["abandoned"]


def test_dropped_in_a_thread_below_a_framework_it_ends_at_once(provider, recording, tmp_path: Path):
    def work():
        response = open_stream(client, provider)
        del response
        gc.collect()

    middleware = tmp_path / "opentelemetry/instrumentation/asgi/__init__.py"
    frame = compile("work()", str(middleware), "exec")
    with httpx.Client() as client:
        thread = threading.Thread(target=exec, args=(frame, {"work": work}))
        thread.start()
        thread.join()

        assert [s.attributes["llm.status"] for s in recording.calls] == ["abandoned"]


def test_dropped_inside_a_lock_it_waits_for_the_next_stream(provider, recording):
    with httpx.Client() as client:
        drop = Dropper(open_stream(client, provider))
        condition = threading.Condition()
        with condition:
            condition.wait_for(drop)  # runs `drop` below a frame of threading
        assert recording.calls == []

        open_stream(client, provider).read()

    assert [s.attributes["llm.status"] for s in recording.calls] == ["abandoned", "ok"]


@pytest.mark.parametrize("keep", ["kept = send()", "import builtins; builtins.kept = send()"])
def test_open_at_the_end_of_the_process(keep, provider, tmp_path: Path):
    code = f"""
import spanscript, httpx
spanscript.instrument(directory={str(tmp_path)!r})
client = httpx.Client()
def send():
    response = client.send(client.build_request("POST", {provider.openai_url + "/chat/completions"!r}, json={ASK}), stream=True)
    chunks = response.iter_raw()
    return next(chunks), response, chunks
{keep}
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )

    *_, last = map(json.loads, (tmp_path / "llm_transcript.jsonl").read_text().splitlines())
    assert (last["type"], last["status"]) == ("provider_call_error", "abandoned")
    assert done.stderr == ""
