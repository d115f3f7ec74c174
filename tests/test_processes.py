"""Processes as production has them: forked under load, killed, prefork servers, full disks. The app sees nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from spanscript.transcript.check import Check

pytest.importorskip("openai")

START = """
import os, sys, threading, time
import spanscript
undo = spanscript.instrument(directory=os.environ["DIRECTORY"], max_bytes=int(os.environ.get("MAX_BYTES", "0")))
import openai
client = openai.OpenAI(base_url=os.environ["PROVIDER"], api_key="k", max_retries=0)
def ask(text):
    answer = client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": text}])
    return answer.choices[0].message.content
"""


def start(code: str, provider: Any, tmp_path: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", START + code],
        env={
            **os.environ,
            "PROVIDER": provider.openai_url,
            "DIRECTORY": str(tmp_path / "run"),
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str], code: int = 0) -> str:
    try:
        out, err = process.communicate(timeout=100)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # with its children
        raise
    assert process.returncode == code, err
    return out


def checked(tmp_path: Path) -> tuple[Check, list[str]]:
    check = Check(tmp_path / "run")
    return check, [str(problem) for problem in check if problem.kind != "unfinished"]


def entries(tmp_path: Path, kind: str) -> list[dict[str, Any]]:
    files = (tmp_path / "run").glob("llm_transcript*.jsonl")
    lines = (line for file in files for line in file.read_bytes().splitlines() if line)
    return [entry for entry in map(json.loads, lines) if entry["type"] == kind]


EXITS = {
    "return": ("", 0),
    "sys.exit": ("sys.exit(3)", 3),
    "os._exit": ("os._exit(4)", 4),
    "unhandled": ("raise SystemError", 1),
    "SIGTERM": ("os.kill(os.getpid(), 15)", -15),
    "SIGKILL": ("os.kill(os.getpid(), 9)", -9),
}


@pytest.mark.parametrize("how", EXITS)
def test_what_was_answered_is_on_the_disk_however_the_process_ends(how, provider, tmp_path):
    code, exit_code = EXITS[how]

    finish(start(f"print(ask('one'), ask('two'), flush=True)\n{code}", provider, tmp_path), exit_code)

    check, problems = checked(tmp_path)
    assert problems == []
    assert len(list(check.transcript.calls())) == 2
    assert len(entries(tmp_path, "provider_call_response")) == 2


def test_a_call_that_the_process_did_not_survive_is_told_as_unfinished(provider, tmp_path):
    provider.script("hang")
    process = start("ask('never answered')", provider, tmp_path)
    assert provider.wait_for(1)

    process.kill()
    finish(process, -signal.SIGKILL)

    check = Check(tmp_path / "run")
    assert [problem.kind for problem in check] == ["unfinished"]
    (call,) = check.transcript.calls()
    request = check.transcript.whole(call.requests[0])
    assert check.transcript.rebuild(request).content == provider.llm_requests[0].body


@pytest.mark.parametrize("leave", ["os._exit(0)", "sys.exit()"])
def test_forks_under_load(leave, provider, tmp_path):
    code = f"""
ask("first")  # the client itself builds things under locks, with its first answer
stop = False
def load(n):
    i = 0
    while not stop:
        ask(f"parent {{n}} {{i}}"); i += 1
threads = [threading.Thread(target=load, args=(n,)) for n in range(3)]
for t in threads: t.start()
children = []
for n in range(12):
    pid = os.fork()
    if pid == 0:
        own = openai.OpenAI(base_url=os.environ["PROVIDER"], api_key="k", max_retries=0)
        client = own
        for i in range(3): ask(f"child {{n}} {{i}}")
        {leave}
    children.append(pid)
    time.sleep(0.02)
codes = [os.waitpid(pid, 0)[1] for pid in children]
stop = True
for t in threads: t.join()
print(codes)
"""
    assert finish(start(code, provider, tmp_path)).strip() == str([0] * 12)

    check, problems = checked(tmp_path)
    assert problems == []
    assert len(entries(tmp_path, "provider_call_request")) == len(provider.llm_requests)
    assert len(entries(tmp_path, "provider_call_response")) == len(provider.llm_requests)
    writers = {entry["writer"] for entry in entries(tmp_path, "transcript_open")}
    assert len(writers) == 13
    bodies = sorted(
        check.transcript.rebuild(check.transcript.whole(request)).content
        for call in check.transcript.calls()
        for request in call.requests.values()
    )
    assert bodies == sorted(request.body for request in provider.llm_requests)


def test_eight_processes_into_one_file_that_rotates(provider, tmp_path):
    code = "for i in range(25): ask(f'{os.getpid()} {i} ' + 'x' * 300)"

    for process in [start(code, provider, tmp_path, MAX_BYTES="60000") for _ in range(8)]:
        finish(process)

    _, problems = checked(tmp_path)
    assert problems == []
    assert len(entries(tmp_path, "provider_call_response")) == 200
    assert len(list((tmp_path / "run").iterdir())) > 3


def test_a_full_disk_costs_lines_and_nothing_else(provider, tmp_path):
    code = """
import resource, signal
print(ask("before"))
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
for i in range(20): print(ask(f"full {i}"))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
time.sleep(6)
print(ask("after"))
"""
    answers = finish(start(code, provider, tmp_path)).splitlines()

    assert answers == ["You said: before", *[f"You said: full {i}" for i in range(20)], "You said: after"]
    assert len(provider.llm_requests) == 22
    gaps = entries_past_torn_lines(tmp_path, "gap")
    assert gaps
    requests = entries_past_torn_lines(tmp_path, "provider_call_request")
    assert requests[0]["message_count"] == requests[-1]["message_count"] == 1
    kinds = {problem.kind for problem in Check(tmp_path / "run")}
    assert kinds >= {"gap"}
    assert kinds <= {"gap", "torn", "syntax", "unfinished", "no_request", "seq", "parent", "body"}


def entries_past_torn_lines(tmp_path: Path, kind: str) -> list[dict[str, Any]]:
    lines = (tmp_path / "run" / "llm_transcript.jsonl").read_bytes().splitlines()
    whole = [line for line in lines if line.startswith(b'{"type"') and line.endswith(b"}")]
    return [entry for entry in map(json.loads, whole) if entry["type"] == kind]


APP = """
import os, openai
client = openai.OpenAI(base_url=os.environ["PROVIDER"], api_key="k", max_retries=0)

def app(environ, start_response):
    text = f"{os.getpid()} {environ['PATH_INFO']}"
    answer = client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": text}])
    start_response("200 OK", [])
    return [answer.choices[0].message.content.encode()]
"""


@pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["not_preloaded", "preloaded"])
def test_gunicorn_prefork(preload, provider, tmp_path):
    pytest.importorskip("gunicorn")
    (tmp_path / "wsgi.py").write_text(APP)
    binaries = Path(sys.executable).parent
    server = subprocess.Popen(
        [
            binaries / "opentelemetry-instrument", binaries / "gunicorn", "wsgi:app", "--chdir", tmp_path,
            "--workers", "3", "--bind", "127.0.0.1:0", *preload,
        ],
        env={
            **os.environ,
            "PROVIDER": provider.openai_url,
            "SPANSCRIPT_DIR": str(tmp_path / "run"),
            "OTEL_TRACES_EXPORTER": "none",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
        },
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    try:
        url = _listening(server)
        with ThreadPoolExecutor(6) as pool:
            answers = list(
                pool.map(lambda i: urllib.request.urlopen(f"{url}/{i}", timeout=60).read(), range(60))
            )
    finally:
        server.terminate()
        server.communicate(timeout=30)

    assert all(answer.startswith(b"You said: ") for answer in answers)
    _, problems = checked(tmp_path)
    assert problems == []
    assert len(entries(tmp_path, "provider_call_response")) == 60
    pids = {entry["pid"] for entry in entries(tmp_path, "transcript_open")}
    assert pids == {int(answer.split()[2]) for answer in answers}
    assert server.pid not in pids


def _listening(server: subprocess.Popen[str]) -> str:
    assert server.stderr is not None
    end = time.monotonic() + 60
    for line in server.stderr:
        if "Listening at:" in line:
            return "http://" + line.partition("http://")[2].partition(" ")[0].strip(" (,")
        assert time.monotonic() < end
    raise AssertionError("gunicorn did not listen")
