"""Requests made by hand, and the least that reads a transcript: what the writer's tests share."""

from __future__ import annotations

import gc
import json
import linecache
import os
import signal
import sys
import time
import traceback
from collections import defaultdict
from pathlib import Path

from spanscript._exchange import Dialect, Reply, Request, Split
from spanscript.transcript import entries
from spanscript.transcript.conversation import request_entries

DIALECT = Dialect(
    name="chat_completions",
    operation="chat",
    list_key="messages",
    accepts=lambda body: True,
    split=lambda body, items: Split(b"{}"),
    params={},
    decode=lambda body: Reply(),
    assemble=lambda events: {},
    message=lambda value: value,
)
IDS = entries.SpanIds("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
HERE = str(Path(entries.__file__).parent)
CONTEXT = b'{"$transcript":"context"}'


def refuse(name):
    raise AssertionError(f"{name} in a line")


def request(items=(), *, system=None, tools=None, body=None, **fields):
    """A request whose skeleton is *body*, with `SYSTEM`, `TOOLS` and `ITEMS` for the parts."""
    items = [item if isinstance(item, bytes) else json.dumps(item).encode() for item in items]
    if body is None:
        body = b'{"model":"m"'
        body += b',"system":SYSTEM' if system else b""
        body += b',"tools":TOOLS' if tools else b""
        body += b',"messages":[ITEMS]}'
    skeleton = body.replace(b"SYSTEM", b'{"$transcript":"system_prompt"}').replace(
        b"TOOLS", b'{"$transcript":"tool_schemas"}'
    )
    skeleton = skeleton.replace(b"ITEMS", CONTEXT if items else b"")
    content = (
        body.replace(b"SYSTEM", system or b"")
        .replace(b"TOOLS", tools or b"")
        .replace(b"ITEMS", b",".join(items))
    )
    known = {
        "call_id": "01900000-0000-7000-8000-000000000000",
        "attempt": 0,
        "dialect": DIALECT,
        "provider": "openai",
        "client": "openai",
        "url": "https://api.example/v1/chat/completions",
        "server_address": "api.example",
        "server_port": 443,
        "content": content,
        "split": Split(skeleton, items, system, tools),
    }
    return Request(**{**known, **fields})


def said(*texts):
    """A user's messages."""
    return [{"role": "user", "content": text} for text in texts]


def ask(*texts, **fields):
    """What to give to `Writer.write`: a request with these messages."""
    return request_entries(request(said(*texts), **fields), IDS)


def note(text):
    """Likewise: one small line, found again by `notes`."""
    return lambda _: [entries.Entry("note", b'"text":' + json.dumps(text).encode())]


def read(directory):
    """All whole lines of all files as (file, value), and all that is no JSON object."""
    good, bad = [], []
    for file in sorted(Path(directory).glob("llm_transcript*.jsonl")):
        for line in file.read_bytes().split(b"\n"):
            if line:  # an empty line is what a writer begins with that could not get the lock
                try:
                    good.append((file.name, loads(line)))
                except ValueError:
                    bad.append(line)
    return good, bad


def loads(line):
    """Strictly: UTF-8, an object, no `NaN`."""
    value = json.loads(line.decode(), parse_constant=refuse)
    assert isinstance(value, dict)
    return value


def lines(directory):
    good, bad = read(directory)
    assert not bad
    return [line for _, line in good]


def types(directory):
    return [line["type"] for line in lines(directory)]


def notes(directory):
    return [line["text"] for _, line in read(directory)[0] if line["type"] == "note"]


def check_numbers(directory):
    """Each writer's lines are numbered without a hole that no `gap` tells; each file begins with who writes."""
    seen, told, introduced = defaultdict(list), defaultdict(int), set()
    for file, line in read(directory)[0]:
        writer = line["writer"]
        if line["type"] == "transcript_open":
            introduced.add((file, writer))
        assert (file, writer) in introduced, line
        seen[writer].append(line["seq"])
        told[writer] += line.get("dropped", 0)
    for writer, numbers in seen.items():
        assert len(set(numbers)) == len(numbers), "a number was used twice"
        assert min(numbers) >= 0
        assert max(numbers) + 1 - len(numbers) <= told[writer], "a hole that nobody tells of"
    return seen, told


def messages_of(all_lines, last):
    """The context that ends with the hash *last*, rebuilt."""
    by_hash = {line["hash"]: line for line in all_lines if line["type"] == "message"}
    found = []
    while last is not None:
        line = by_hash[last]
        found.insert(
            0,
            line["message"]
            if "message" in line
            else {k: v for k, v in line.items() if k not in entries.ENVELOPE},
        )
        last = line["parent"]
    return found


def rebuild(all_lines, line):
    """The body of a request line, as a JSON value."""
    values = {
        "system_prompt": {e["hash"]: e["content"] for e in all_lines if e["type"] == "system_prompt"},
        "tool_schemas": {e["hash"]: e["schemas"] for e in all_lines if e["type"] == "tool_schemas"},
    }

    def resolve(value):
        if isinstance(value, list):
            return [
                new
                for old in value
                for new in (context() if old == {"$transcript": "context"} else [resolve(old)])
            ]
        if not isinstance(value, dict):
            return value
        if value.keys() == {"$transcript"}:
            name = value["$transcript"]
            return context()[-1] if name == "message" else values[name][line[name]]
        return {key: resolve(old) for key, old in value.items()}

    def context():
        return messages_of(all_lines, line["context"])

    return line["body"] if line.get("verbatim") else resolve(line["body"])


def _can_be_interrupted(frame):
    """A trace function can raise where no signal handler runs: between a lock's taking and the block, and at its end."""
    return linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip() not in (
        "try:",
        "with state.lock:",
    )


class Step:
    """Does *action* when *at* lines of the transcript's code have been run under `run`."""

    def __init__(self, action, at):
        self.action, self.left = action, at

    def run(self, function, *args):
        gc.disable()  # or old writers' `__del__` would be steps too
        old = sys.gettrace()
        sys.settrace(self._trace)
        try:
            return function(*args)
        finally:
            sys.settrace(old)
            gc.enable()

    def _trace(self, frame, event, _arg):
        if not frame.f_code.co_filename.startswith(HERE):
            return None
        if event == "line" and self.left > 0 and _can_be_interrupted(frame):
            self.left -= 1
            if self.left == 0:
                self.action()
        return self._trace


def at_each_step(action, run, *, stride=1):
    """Run *run* again and again, with *action* at its first line inside the transcript's code, its second …"""
    at = 1
    while True:
        step = Step(action, at)
        run(step.run)
        if step.left > 0:
            return (at - 1) // stride
        at += stride


def in_child(function, *args, patience=20):
    """Run in a forked child, which ends by `os._exit`. Its exit code; `None` if it hangs."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            function(*args)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return wait_for(pid, patience)


def wait_for(pid, patience=20):
    end = time.monotonic() + patience
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None
