"""`live()`: what an agent's calls look like on a terminal, in a pipe, and what is left behind."""

from __future__ import annotations

import errno
import io
import os
import pty
import re
import subprocess
import sys
import threading

import pytest

import spanscript
from spanscript._live import View
from spanscript._subscribers import AttemptEnd, CallEnd, CallProgress, CallStart

NOW = 1_000_000.0


def start(number=0, **known):
    told = {"client": "openai", "provider": "openai", "model": "gpt-5", "operation": "chat"}
    return CallStart(f"c{number}", NOW, **{**told, "iteration": None, "stage": None, **known})


def said(delta, kind="text", **known):
    return CallProgress("c0", 0, kind, delta, **known)


def ended(status="ok", **known):
    return CallEnd("c0", NOW + 1, status, 0.4124, known.pop("attempts", 1), **known)


def failed(attempt=0, **known):
    return AttemptEnd("c0", attempt, NOW, known.pop("status", "retrying"), 0.1, **known)


def plain(line):
    return "".join(text for text, _ in line)


IN_FLIGHT = {
    "begun": ([start()], ["chat gpt-5                             1.5 s"]),
    "model unknown": ([start(model=None)], ["chat openai                            1.5 s"]),
    "stage, iteration": (
        [start(stage="plan", iteration=3)],
        ["chat gpt-5                             1.5 s  plan, iteration 3"],
    ),
    "text": ([start(), said("Hello "), said("you\nand me")], [..., "  Hello you\\nand me"]),
    "thinking, then text": ([start(), said("Hm.", "thinking"), said("Yes")], [..., "  Yes"]),
    "a tool": (
        [
            start(),
            said("Look:"),
            said("", "tool_arguments", tool="weather"),
            said('{"c', "tool_arguments", tool="weather"),
        ],
        [..., '  weather {"c'],
    ),
    "only the end of much": ([start(), said("x" * 10_000 + "y")], [..., "  " + "x" * 499 + "y"]),
    "retrying": (
        [start(), said("lost"), failed(error_type="429", error_message="Slow down")],
        ["chat gpt-5                             1.5 s  attempt 2 after 429: Slow down"],
    ),
    "retried": (
        [start(), failed(error_type="429"), CallProgress("c0", 1, "text", "Now")],
        ["chat gpt-5                             1.5 s  attempt 2 after 429", "  Now"],
    ),
    "the last attempt failed": (
        [start(), failed(status="error")],
        ["chat gpt-5                             1.5 s"],
    ),
    "not to be obeyed": (
        [start(model="\x1b[31m", stage="a\u202eb"), said("\x1b]52;c;eA==\x07 [bold]")],
        ["chat \\x1b[31m                          1.5 s  a\\u202eb", "  \\x1b]52;c;eA==\\x07 [bold]"],
    ),
}


@pytest.mark.parametrize("case", IN_FLIGHT)
def test_in_flight(case):
    records, expected = IN_FLIGHT[case]
    view = View()
    assert [view.take(record) for record in records] == [None] * len(records)
    lines = [plain(line) for line in view.lines(NOW + 1.5, rows=10)]
    assert len(lines) == len(expected)
    assert all(line == wanted for line, wanted in zip(lines, expected, strict=True) if wanted is not ...)


ENDED = {
    "ok": (ended(), "chat gpt-5                         ok            412 ms"),
    "tokens": (ended(input_tokens=5, output_tokens=0), "… 5 → 0 tokens"),
    "output alone": (ended(output_tokens=7), "… 7 tokens"),
    "attempts": (ended(attempts=3), "… 3 attempts"),
    "empty": (ended(empty=True), "… empty"),
    "error": (
        ended("error", error_type="400", error_message="No\x1b[2J such\nmodel"),
        "chat gpt-5                         error         412 ms  No\\x1b[2J such\\nmodel",
    ),
    "error without words": (ended("retries_exhausted", error_type="503"), "… 503"),
}


@pytest.mark.parametrize("case", ENDED)
def test_a_line_of_a_call_that_ended(case):
    end, expected = ENDED[case]
    view = View()
    view.take(start())
    line = plain(view.take(end))
    assert line.endswith(expected[1:]) if expected.startswith("…") else line == expected
    assert view.lines(NOW, rows=10) == []


@pytest.mark.parametrize(("calls", "rows", "shown"), [(3, 6, 3), (3, 5, 2), (50, 24, 11), (3, 1, 0)])
def test_more_calls_than_there_is_room_for(calls, rows, shown):
    view = View()
    for number in range(calls):
        view.take(start(number))
        view.take(CallProgress(f"c{number}", 0, "text", "x"))
    lines = [plain(line) for line in view.lines(NOW, rows)]
    assert len(lines) <= rows
    assert lines[2 * shown :] == ([f"and {calls - shown} more calls"] if shown < calls else [])


# --- with calls

AGENT = """
import os, sys
import openai, spanscript
spanscript.instrument()
client = openai.OpenAI(base_url=os.environ["PROVIDER"] + "/v1", api_key="unused")
def ask(text="Tell \\x1b[31mme. "):
    return list(client.chat.completions.create(
        model="gpt-5", messages=[{"role": "user", "content": text * 9}], stream=True))
"""
WITH = """
with spanscript.live():
    print("of the app")
    print("half a line", end="")
    with spanscript.stage("plan"):
        ask()
print(" and the rest")
"""


def on_terminal(code, provider, **environment):
    """What is written to a terminal of 24 rows and 80 columns, and to a pipe as standard output if `piped`."""
    piped = environment.pop("piped", False)
    app, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", AGENT + code],
        env={
            **os.environ,
            "PROVIDER": provider.url,
            "TERM": "xterm",
            "COLUMNS": "80",
            "LINES": "24",
            **environment,
        },
        stdout=subprocess.PIPE if piped else terminal,
        stderr=terminal,
    )
    os.close(terminal)
    written = read_all(app)
    out = process.stdout.read().decode() if piped else ""
    assert process.wait(30) == 0, written
    return written, out


def read_all(descriptor):
    pieces = []
    try:
        while piece := os.read(descriptor, 65536):
            pieces.append(piece)
    except OSError as error:  # what Linux says when the other side is closed
        assert error.errno == errno.EIO
    finally:
        os.close(descriptor)
    return b"".join(pieces).decode()


def without_control(text):
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "")


def test_on_a_terminal(provider):
    provider.script("ok chunk_delay=0.03")
    written, _ = on_terminal(WITH, provider)
    shown = without_control(written)
    assert re.search(r"chat gpt-5 +0\.\d s  plan\n", shown)
    assert "  You said: Tell \\x1b[31mme." in shown
    assert re.search(r"chat gpt-5 +ok +\d+ ms  plan", shown)
    assert "\x1b[31mme" not in written
    assert [line for line in ("of the app", "half a line", " and the rest") if line not in shown] == []
    assert written.count("\x1b[?25l") == written.count("\x1b[?25h") > 0  # the cursor is there again


def test_what_the_app_pipes_stays_in_the_pipe(provider):
    written, out = on_terminal(WITH, provider, piped=True)
    assert out == "of the app\nhalf a line and the rest\n"
    assert "of the app" not in written
    assert re.search(r"chat gpt-5 +ok", without_control(written))


@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, {"TERM": "unknown"}])
def test_on_a_terminal_that_cannot(provider, environment):
    written, _ = on_terminal(WITH, provider, **environment)
    assert "\x1b" not in written
    assert re.search(r"chat gpt-5 +ok +\d+ ms  plan\n", without_control(written))


def test_never_ended(provider):
    """The interpreter's exit ends it, after what was pending."""
    written, _ = on_terminal("spanscript.live(); ask()", provider)
    assert re.search(r"chat gpt-5 +ok", without_control(written))
    assert written.count("\x1b[?25l") == written.count("\x1b[?25h") > 0


def test_a_forked_child_prints_as_before(provider):
    code = """
with spanscript.live():
    child = os.fork()
    if child == 0:
        print("of the child", type(sys.stdout).__name__, flush=True)
        ask("by the child")
        os._exit(0)
    os.waitpid(child, 0)
    ask("by the parent")
"""
    shown = without_control(on_terminal(code, provider)[0])
    assert "of the child TextIOWrapper" in shown
    assert len(re.findall(r"chat gpt-5 +ok", shown)) == 1


def test_in_a_pipe(provider, recording):
    import openai

    out = io.StringIO()
    client = openai.OpenAI(base_url=provider.openai_url, api_key="unused")
    provider.script("429 retry-after-ms=1", "ok", "400")
    with spanscript.live(out):
        client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "hi"}])
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "hi"}])
    first, second = out.getvalue().splitlines()
    assert re.fullmatch(r"chat gpt-5 +ok +\d+ ms  \d+ → \d+ tokens  2 attempts", first)
    assert re.fullmatch(r"chat gpt-5 +error +\d+ ms  This request is not valid\.", second)


def test_without_rich(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("TERM", "xterm")
    for name in [name for name in sys.modules if name.startswith("rich")] + ["rich.console"]:
        monkeypatch.setitem(sys.modules, name, None)
    before = threading.active_count()
    with pytest.raises(ImportError, match=r"pip install 'spanscript\[cli\]'"):
        spanscript.live(Terminal())
    assert threading.active_count() == before
