"""What is put on can be taken off, in any order; before and after the SDK is imported."""

from __future__ import annotations

import subprocess
import sys
import threading
from itertools import permutations
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import wrapt
from opentelemetry.sdk.trace import TracerProvider
from rows import CHAT, KEY

import spanscript
from spanscript import _hooks, _patch
from spanscript.instrumentor import SpanscriptInstrumentor


def _functions() -> list[Any]:
    """Whatever the table of hooks wraps, of the libraries that are installed."""
    found = []
    for hook in _hooks.TABLE:
        module = _hooks._first_there(hook.modules)
        for path in _hooks._wrappers(hook, module, None) if module else ():
            if _patch.is_there(module, path):
                owner, name, _ = wrapt.resolve_path(module, path)
                found.append(vars(owner)[name])
    return found


def _same(left: list[Any], right: list[Any]) -> bool:
    return all(a is b for a, b in zip(left, right, strict=True))


def _ask(provider: Any) -> Any:
    client = openai.OpenAI(base_url=provider.openai_url, api_key=KEY)
    return client.chat.completions.create(**CHAT).id


def test_undo_gives_the_originals_back(tmp_path: Path) -> None:
    before = _functions()
    undo = spanscript.instrument(directory=str(tmp_path))
    try:
        now = _functions()
    finally:
        undo()
    assert not any(a is b for a, b in zip(before, now, strict=True))
    assert _same(before, _functions())
    undo()
    assert _same(before, _functions())


@pytest.mark.parametrize("order", permutations(range(3)))
def test_several_in_any_order(order: tuple[int, ...], provider: Any) -> None:
    """The first that is there records; nothing is recorded twice; after all undos nothing is left."""
    before = _functions()
    undos = [spanscript.instrument(TracerProvider()) for _ in range(3)]
    for index in order:
        _ask(provider)
        undos[index]()
    assert _same(before, _functions())
    assert _ask(provider)


def test_twice_is_once(provider: Any, recording: Any) -> None:
    undo = spanscript.instrument(recording.provider)
    _ask(provider)
    undo()
    assert len(recording.attempts) == 1
    assert len(recording.calls) == 1
    _ask(provider)
    assert len(recording.attempts) == 2


@pytest.mark.parametrize("ours", ["inside", "outside"])
def test_with_wrappers_of_others(ours: str, provider: Any, request: Any) -> None:
    """Somebody wraps before or after us: both work; when we are gone, theirs still does."""
    seen: list[str] = []
    original = vars(httpx.Client)["send"]
    recording = request.getfixturevalue("recording") if ours == "inside" else None

    def theirs(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        seen.append("theirs")
        return wrapped(*args, **kwargs)

    def post() -> Any:
        return httpx.post(f"{provider.openai_url}/chat/completions", json=CHAT).status_code

    wrapt.wrap_function_wrapper(httpx, "Client.send", theirs)
    try:
        recording = recording or request.getfixturevalue("recording")
        post()
        assert (seen, len(recording.attempts)) == (["theirs"], 1)
        recording.undo()
        post()
        assert (seen, len(recording.attempts)) == (["theirs"] * 2, 1)
    finally:
        recording.undo()
        httpx.Client.send = original


def test_instrumentor(provider: Any, recording: Any) -> None:
    recording.undo()
    before = _functions()
    instrumentor = SpanscriptInstrumentor()
    instrumentor.instrument(tracer_provider=recording.provider)
    instrumentor.instrument(tracer_provider=recording.provider)
    _ask(provider)
    instrumentor.uninstrument()
    instrumentor.uninstrument()
    _ask(provider)
    assert len(recording.attempts) == 1
    assert _same(before, _functions())


def test_undo_while_a_call_runs(provider: Any, recording: Any) -> None:
    """What has begun is recorded to its end."""
    provider.script("hang")
    thread = threading.Thread(target=_ask, args=(provider,))
    thread.start()
    provider.wait_for(1)
    recording.undo()
    provider.release()
    thread.join()
    (call,) = recording.calls
    assert call.attributes["llm.status"] == "ok"


def test_wrapped_functions_look_the_same(recording: Any) -> None:
    for ours in _functions():
        original = ours.__wrapped__
        assert isinstance(original, type(test_instrumentor))
        for name in ("__name__", "__qualname__", "__module__", "__doc__", "__defaults__"):
            assert getattr(ours, name) == getattr(original, name)


def test_missing_name_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """A library without a name we hook: logged with it, and the rest goes on."""
    undo = _patch.patch(httpx, "Client.sendd", lambda *_: None)
    undo()
    assert "httpx.Client.sendd is not there" in caplog.text


PROGRAM = """
import os, sys
{before}
import spanscript
undo = spanscript.instrument(directory=sys.argv[2])
{after}
client = openai.OpenAI(base_url=sys.argv[1], api_key="unused")
print(client.chat.completions.create(model="m", messages=[{{"role": "user", "content": "x"}}]).id)
"""
IMPORTS = {
    "sdk-before": ("import openai", ""),
    "sdk-after": ("", "import openai"),
    "transport-before": ("import httpx", "import openai"),
    "submodule-before": ("import openai.types", "import openai"),
}


@pytest.mark.parametrize(("before", "after"), IMPORTS.values(), ids=IMPORTS.keys())
def test_import_order(before: str, after: str, provider: Any, tmp_path: Path) -> None:
    """Also without any tracer provider: a private one carries the spans to the transcript alone."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            PROGRAM.format(before=before, after=after),
            provider.openai_url,
            tmp_path / "run",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = (tmp_path / "run" / "llm_transcript.jsonl").read_text().splitlines()
    assert sum('"provider_call_request"' in line for line in lines) == 1
    assert sum('"provider_call_response"' in line for line in lines) == 1
    assert '"span_id"' in lines[-1]
