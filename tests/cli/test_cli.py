"""The commands as a user runs them: what they print, what they say of bad input, and with which code they end."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys

import pytest
from hostile import HOSTILE, UNSAFE
from spec_writer import IDS, SpecWriter, chat, compact, sample

from spanscript import cli
from spanscript._text import clean, clean_json
from spanscript.cli import doctor
from spanscript.cli._screen import cut, width_of

SHOWING = [
    ["ls"],
    ["show", "last"],
    ["diff", "last", "last"],
    ["tree", "--ids"],
    ["tail"],
    ["stats", "--by", "stage"],
]
"""Commands that show what others wrote, as people read it."""

READING = [*SHOWING, ["replay", "last"], ["check"]]


def spawn(*argv, cwd, **options):
    command = [sys.executable, "-c", "import sys; from spanscript.cli import main; sys.exit(main())", *argv]
    return subprocess.run(command, cwd=cwd, capture_output=True, check=False, **options)


# What they print


@pytest.mark.parametrize("number", range(3))
def test_replay_prints_the_body_to_the_byte(run, number):
    writer, sent = sample()
    for (call_id, attempt), body in sent.items():
        code, out, err = run("replay", call_id, "--attempt", str(attempt), data=writer.bytes())
        assert (code, out, err) == (0, body, "")


def test_replay_json(run):
    _, out, _ = run("replay", "last", "--json", data=sample()[0].bytes())
    found = json.loads(out)

    assert found["body"] == json.loads(sample()[1][IDS[2], 0])
    assert (found["proof"], found["attempt"]) == ("exact", 0)


@pytest.mark.parametrize(
    ("fields", "header"),
    [
        ({}, "Authorization: Bearer $OPENAI_API_KEY"),
        ({"dialect": "messages", "provider": "anthropic"}, "x-api-key: $ANTHROPIC_API_KEY"),
        ({"provider": "azure.ai.openai"}, "api-key: $AZURE_OPENAI_API_KEY"),
    ],
)
@pytest.mark.parametrize("text", ["it's $HOME `id` \\ \" \n %s", "plain", HOSTILE.replace("\ud800", "")])
def test_curl_commands_run_and_send_the_same_bytes(run, tmp_path, fields, header, text):
    sent = compact(chat(1, user=text))
    writer = SpecWriter()
    writer.request(IDS[0], 0, sent, stream=True, **fields)
    code, out, err = run("replay", "last", "--curl", data=writer.bytes())
    (tmp_path / "curl").write_text('#!/bin/sh\nprintf "%s\\n" "$@" > args; cat > body\n')
    (tmp_path / "curl").chmod(0o755)
    keys = {"OPENAI_API_KEY": "k1", "ANTHROPIC_API_KEY": "k2", "AZURE_OPENAI_API_KEY": "k3"}
    path = f"{tmp_path}:{os.environ['PATH']}"
    subprocess.run(["sh", "-c", out], cwd=tmp_path, env={**keys, "PATH": path}, check=True)
    args = (tmp_path / "args").read_text().splitlines()

    assert (code, err) == (0, "")
    assert header in out.decode()
    assert (tmp_path / "body").read_bytes() == sent
    assert args[-1] == "https://api.openai.com/v1/chat/completions"
    assert "--no-buffer" in args


def test_curl_of_a_body_that_no_shell_word_holds(run, tmp_path):
    writer = SpecWriter()
    writer.raw_request(IDS[0], 0, b"\xff\x00", body_base64="/wA=")
    _, out, _ = run("replay", "last", "--curl", data=writer.bytes())
    first = out.decode().split(" |\n")[0]

    assert subprocess.run(["sh", "-c", first], capture_output=True, check=True).stdout == b"\xff\x00"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("file:///etc/passwd", None),
        ("-o/etc/passwd", None),
        ("https://[::x/", None),
        ("https://a\nb", None),
        ("https://a b", None),
        ("https:///x", None),
        ("https://\u202egpj.com/", None),
        ("", None),
        ("https://evil.example/v1", "# evil.example is no host that is known here"),
        ("https://api.openai.com.evil.example/$(id)", "# api.openai.com.evil.example is no host"),
        ("http://127.0.0.1:80/`id`", "'http://127.0.0.1:80/`id`'"),
    ],
)
def test_curl_is_careful_with_addresses(run, url, says):
    writer = SpecWriter()
    writer.raw_request(IDS[0], 0, b"{}", body={}, url=url)
    code, out, err = run("replay", "last", "--curl", data=writer.bytes())

    assert (code, says or "") == ((0, says) if says else (2, ""))
    assert (says or "").encode() in out
    assert ("no web address" in err) == (says is None)


def test_check(run):
    code, out, _ = run("check", data=sample()[0].bytes())
    assert (code, out.decode().splitlines()[-1]) == (
        0,
        "entries: 19, calls: 3, attempts: 5, problems: 0, notes: 1",
    )

    code, out, _ = run(
        "check", data=sample()[0].bytes().replace(b"Enjoy", b"enjoy").replace(b"exact", b"exakt")
    )
    assert code == 1
    assert out.startswith(b"run/llm_transcript.jsonl:3: the system_prompt does not have the hash ")

    code, out, _ = run("check", "--json", data=sample()[0].bytes().replace(b"exact", b"exakt"))
    found = json.loads(out)
    assert (code, found["problems"], found["found"][0]["kind"], found["found"][0]["line"]) == (
        1,
        6,
        "hash",
        3,
    )


def test_replay_of_a_form_says_that_it_is_a_summary(run):
    writer = SpecWriter()
    writer.raw_request(IDS[0], 0, b"", body={"file": {"bytes": 5}}, summary=True)
    entry = json.loads(writer.lines[-1])
    del entry["body_bytes"], entry["body_sha256"]
    data = writer.lines[0] + compact(entry)

    code, out, err = run("replay", "last", data=data)
    assert (code, out) == (0, b'{"file":{"bytes":5}}')
    assert "not what was sent, but a summary of it" in err
    assert json.loads(run("replay", "last", "--json", data=data)[1])["proof"] == "summary"
    code, out, err = run("replay", "last", "--curl", data=data)
    assert (code, out) == (2, b"")
    assert "the files of the form are not kept" in err


def test_replay_of_a_harmed_body_says_so(run):
    code, out, err = run("replay", "last", data=sample()[0].bytes().replace(b"exact", b"exakt"))

    assert (code, b"exakt" in out) == (2, True)
    assert err.startswith("spanscript: run/llm_transcript.jsonl:19: not what was sent")


def test_doctor(run, monkeypatch):
    for name in ("OTEL_TRACES_EXPORTER", "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "OTEL_SDK_DISABLED"):
        monkeypatch.delenv(name, raising=False)
    code, out, err = run("doctor", "--json")
    found = json.loads(out)
    libraries = {row["name"]: row for row in found["libraries"]}

    assert (code, err) == (0, "")
    assert found["packages"]["opentelemetry-api"]["version"]
    assert (libraries["openai"]["hooked"], libraries["httpx"]["hooked"]) == ("yes", "yes")
    assert found["transcript"] == "run"
    assert b"opentelemetry-sdk" in run("doctor")[1]


@pytest.mark.parametrize(
    ("environment", "place", "says"),
    [
        ({"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "a, spanscript"}, "run", "switched off by OTEL_PYTHON"),
        ({"OTEL_SDK_DISABLED": "true"}, "run", "exporter: none: OTEL_SDK_DISABLED=true"),
        ({"OTEL_TRACES_EXPORTER": "console"}, "run", "exporter: console\n"),
        (
            {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"},
            "run",
            "otlp to http://c:4318",
        ),
        ({"ANTHROPIC_OPEN_TELEMETRY": "true\x1b[31m"}, "run", "ANTHROPIC_OPEN_TELEMETRY=true\\x1b[31m"),
        ({}, None, "none: SPANSCRIPT_DIR is not set"),
        ({}, "new/deep", "new/deep, made at the first call"),
        ({}, "file", "file: NOT a directory"),
        ({}, "file/x", "file/x: CANNOT be made in "),
    ],
)
def test_doctor_tells_where_things_go(run, monkeypatch, tmp_path, environment, place, says):
    monkeypatch.setattr(
        doctor, "_findings", dict
    )  # importing all clients takes seconds, and is looked at above
    monkeypatch.delenv("OTEL_TRACES_EXPORTER", raising=False)
    (tmp_path / "file").touch()
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert says in run("doctor", place=place)[1].decode()


@pytest.mark.parametrize(
    ("argv", "passed"),
    [
        ([], ("loopback", None, False)),
        (["--local", "--json"], ("local", None, True)),
        (["--live", "--dir", "run"], ("live", "run", False)),
    ],
)
def test_demo_is_handed_over(run, monkeypatch, argv, passed):
    seen = []
    fake = type(sys)("spanscript.demo")
    fake.main = lambda mode, *, directory, as_json: seen.append((mode, directory, as_json)) or 7
    monkeypatch.setitem(sys.modules, "spanscript.demo", fake)

    assert run("demo", *argv, place=None)[0] == 7
    assert seen == [passed]


# Bad input

GOOD = sample()[0].bytes()


@pytest.mark.parametrize("command", READING, ids=" ".join)
@pytest.mark.parametrize(
    ("data", "code", "says"),
    [
        (b"", 2, "run: every llm_transcript*.jsonl in it is empty"),
        (b"\n\n", 2, "run: every llm_transcript*.jsonl in it is empty"),
        (b"hello\nworld\n", 2, "run/llm_transcript.jsonl:1: no JSON object"),
        (b"\x7fELF\x02\x01\x01\0\0\xff" * 50, 2, "run/llm_transcript.jsonl:1: the last line is cut short"),
        (b'{"role":"user"}\n', 2, "run/llm_transcript.jsonl:1: no transcript entry"),
        (b'{"type":"session"}\n', 2, "run: no entry in it is of a type that is known"),
        (GOOD[:-30], None, "run/llm_transcript.jsonl:19: the last line is cut short"),
        (
            GOOD.replace(b'"version":1', b'"version":9'),
            None,
            "run/llm_transcript.jsonl:1: written in format version 9",
        ),
        (GOOD + b"\xff\xfe\n", None, "run/llm_transcript.jsonl:20: no UTF-8"),
    ],
)
def test_bad_files(run, command, data, code, says):
    """`None`: what can be read is shown, and `check` has its own code."""
    found, out, err = run(*command, data=data)
    is_check = command == ["check"]

    assert found == (code or (1 if is_check else 2))
    assert (out != b"") == (code is None or (is_check and data.strip() != b""))
    assert says in (out.decode() if is_check and code is None else err)
    assert err.count("\n") == (0 if is_check and code is None else 1)
    assert "Traceback" not in err


@pytest.mark.parametrize("command", READING, ids=" ".join)
@pytest.mark.parametrize(
    ("place", "says"),
    [
        (None, "no transcript is named: give --dir DIR, or set SPANSCRIPT_DIR"),
        ("missing", "missing: No such file or directory"),
        ("run", "run: no llm_transcript*.jsonl in this directory (it is empty)"),
        ("pipe", "pipe: cannot be read: it is no regular file"),
        ("a\x1b[31mb", "a\\x1b[31mb: No such file"),
        ("x" * 300, "File name too long"),
    ],
)
def test_bad_places(run, tmp_path, command, place, says):
    os.mkfifo(tmp_path / "pipe")
    code, _, err = run(*command, place=place)

    assert (code, err.count("\n")) == (2, 1)
    assert says in err


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["show", "zz"], "no call's id begins with 'zz'; `spanscript ls` lists the calls"),
        (["show", "0199"], f"3 calls' ids begin with '0199': {IDS[0]}, {IDS[1]}, {IDS[2]}"),
        (["show", "\x1b[2J"], "no call's id begins with '\\x1b[2J'"),
        (["replay", "last", "--attempt", "4"], f"call {IDS[2]} has no request line of attempt 4; it has 0"),
        (["replay", "last", "--attempt", "x"], "invalid int value"),
        (["show"], "the following arguments are required: CALL"),
        (["fly"], "invalid choice: 'fly'"),
        (["demo", "--local", "--live"], "not allowed with"),
    ],
)
def test_bad_wishes(run, argv, says):
    code, out, err = run(*argv, data=GOOD, place=None if argv[0] in {"fly", "demo"} else "run")

    assert (code, out) == (2, b"")
    assert says in err


def test_a_file_may_be_given_as_the_directory_and_by_environment(run, monkeypatch):
    assert run("ls", data=GOOD, place="run/llm_transcript.jsonl")[0] == 0
    monkeypatch.setenv("SPANSCRIPT_DIR", "run")
    assert run("ls", place=None)[0] == 0


@pytest.mark.parametrize("cut", range(0, len(GOOD), 97))
def test_no_cut_file_ever_raises(run, cut):
    for command in (["show", IDS[0]], ["replay", IDS[1]], ["diff", IDS[0], IDS[1]], *READING):
        code, _, err = run(*command, data=GOOD[:cut])
        assert code in (0, 1, 2)
        assert err.count("\n") <= 1


def telling():
    """Two calls of one conversation, the second retried, with every type of entry and all that can stand in one."""
    w = SpecWriter()
    ids = {"trace_id": "a" * 32, "span_id": "b" * 16, "iteration": 1, "stage": "s"}
    w.line("stage", name="s", **ids)
    w.request(IDS[0], 0, compact(chat(1)), max_tokens=9, message_count=1, **ids)
    w.response(IDS[0], 0, refusal="r", thinking="t", parts=[{"type": "text", "text": "x"}], **ids)
    w.request(IDS[1], 0, compact(chat(3, stop=["x"])), stream=True, rate_limit_wait_ms=5, **ids)
    w.error(IDS[1], 0, retry_after_ms=9, error_message="no", response_ms=3, text="half", **ids)
    w.request(IDS[1], 1, compact(chat(3, stop=["x"])), stream=True, tool_format="native", **ids)
    calls = [{"id": "c", "name": "weather", "arguments": "{}"}]
    more = {
        "choices": [{"text": "x"}, {"text": "y"}],
        "extras": {"service_tier": "x"},
        "empty": True,
        "truncated": True,
    }
    tokens = {f"{kind}_tokens": 3 for kind in ("cache_read", "cache_write", "reasoning")}
    w.response(IDS[1], 1, tool_calls=calls, first_chunk_ms=2, cost_usd=0.1, **tokens, **more, **ids)
    said = {"prose": "p", "tool_calls": calls, "tool_parse_errors": ["e"], "tool_format": "json"}
    w.line("interpreted_response", call_id=IDS[1], **said, **ids)
    w.line("annotation", event="e", call_id=IDS[1], fields={"a": "b"}, **ids)
    w.line("gap", dropped=1, reason="r")
    w.line("unheard_of", x=1)
    return [json.loads(line) for line in w.lines]


TELLING = telling()
NAMING = (
    "type",
    "call_id",
    "attempt",
    "hash",
    "parent",
    "context",
    "timestamp",
    "dialect",
    "status",
    "model",
)


@pytest.mark.parametrize(
    "value",
    [
        HOSTILE,
        {"a": HOSTILE, HOSTILE: {"role": HOSTILE}},
        [HOSTILE, {"name": HOSTILE, "arguments": HOSTILE, "id": HOSTILE, "type": "tool_call"}, [[]]],
        1e999,
        10**400,
        None,
        json.loads("[" * 300 + "]" * 300),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_nothing_in_a_transcript_reaches_the_terminal_raw_or_breaks_a_command(run, value):
    """In every field once: alone where all hangs on it, the others in three groups."""
    fields = sorted(set().union(*TELLING) - set(NAMING))
    for changed in (*([name] for name in NAMING), *(fields[at::3] for at in range(3))):
        entries = ({key: value if key in changed else own for key, own in entry.items()} for entry in TELLING)
        (run.path / "llm_transcript.jsonl").write_bytes(b"".join(compact(entry) + b"\n" for entry in entries))
        for command in (*SHOWING, ["diff", IDS[0], IDS[1]], ["show", "last", "--json"], ["check"]):
            code, out, err = run(*command)

            assert code in (0, 1, 2), (changed, command)
            assert not UNSAFE.search(out.decode()), (changed, command)
            assert not UNSAFE.search(err), (changed, command)


@pytest.mark.parametrize("command", SHOWING, ids=" ".join)
@pytest.mark.parametrize(
    "line",
    [
        b"[" * 100_000 + b"]" * 100_000,
        b'{"type":"annotation","event":"e","fields":' + b'{"a":' * 900 + b"1" + b"}" * 900 + b"}",
        b'{"type":"message","hash":"x","content":' + b"[" * 985 + b"]" * 985 + b"}",
        b'{"type":"provider_call_response","call_id":"x","attempt":0,"tool_calls":'
        + b"[" * 985
        + b"]" * 985
        + b"}",
    ],
    ids=["list", "annotation", "message", "response"],
)
def test_bombs(run, command, line):
    code, _, err = run(*command, data=GOOD + line + b"\n" + GOOD)

    assert code in (0, 2)
    assert err.count("\n") <= 1
    assert "Traceback" not in err


@pytest.mark.parametrize("command", [["ls"], ["tail"]], ids=" ".join)
def test_a_line_that_is_too_long(run, command):
    line = b'{"type":"stage","name":"' + b"x" * 67_200_000 + b'"}\n'
    code, out, err = run(*command, data=GOOD + line + GOOD)

    assert (code, out != b"") == (2, True)
    assert "run/llm_transcript.jsonl:20: a line of 67200027 bytes; more than 67108864 are not read" in err


# The terminal, pipes, signals


COLOURED = re.compile(r"\x1b\[[0-9;]*m")


def on_a_terminal(*argv, **environment):
    """What a command prints where a person looks at it, and its code."""
    parent, child = pty.openpty()
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "200", **environment}
    code = "import sys; from spanscript.cli import main; sys.exit(main())"
    process = subprocess.Popen([sys.executable, "-c", code, *argv], stdout=child, env=env)
    os.close(child)
    data = b""
    while True:
        try:
            piece = os.read(parent, 65536)
        except OSError:
            break
        data += piece
    os.close(parent)
    return data.decode().replace("\r\n", "\n"), process.wait()


def hostile_sample(path):
    writer, _ = sample()
    text = HOSTILE.replace("\ud800", "")
    writer.request(IDS[3], 0, compact(chat(1, user=text, evil="[bold]x[/bold]\x9b31m")))
    writer.error(IDS[3], 0, "error", error_message=HOSTILE)
    (path / "llm_transcript.jsonl").write_bytes(writer.bytes())


@pytest.mark.parametrize("environment", [{}, {"NO_COLOR": "1"}, {"TERM": "dumb"}])
@pytest.mark.parametrize("command", [*READING, ["doctor"]], ids=" ".join)
def test_on_a_terminal(tmp_path, command, environment):
    hostile_sample(tmp_path)
    text, code = on_a_terminal(*command, "--dir", str(tmp_path), **environment)
    is_coloured = environment == {} and [command[0]] in [*(c[:1] for c in SHOWING), ["doctor"]]

    assert code == 0
    assert not UNSAFE.search(COLOURED.sub("", text))
    assert bool(COLOURED.search(text)) == is_coloured
    if command[0] == "replay":
        assert json.loads(text)["evil"] == "[bold]x[/bold]\x9b31m"


@pytest.mark.parametrize("columns", [60, 140])
@pytest.mark.parametrize("command", SHOWING, ids=" ".join)
def test_lines_fit_a_terminal(tmp_path, command, columns):
    hostile_sample(tmp_path)
    text, _ = on_a_terminal(*command, "--dir", str(tmp_path), COLUMNS=str(columns))

    assert max(width_of(line) for line in COLOURED.sub("", text).split("\n")) <= columns


def test_columns_of_text():
    assert [width_of(text) for text in ("abc", "日本", "e\u0301", "👍")] == [3, 4, 1, 2]
    assert [cut("日本語", columns) for columns in (6, 5, 4, 1)] == ["日本語", "日本…", "日…", "…"]
    assert cut("abc", 2) == "a…"


def test_no_opentelemetry_is_imported(tmp_path):
    (tmp_path / "llm_transcript.jsonl").write_bytes(GOOD)
    code = (
        "import sys, io, contextlib, spanscript\n"
        "from spanscript.cli import main\n"
        "with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO())):\n"
        # The price list, which `stats` looks at, brings an HTTP library.
        f"    for argv in {[*(c for c in READING if c[0] != 'stats'), ['doctor']]}:\n"
        "        assert main([*argv, '--dir', sys.argv[1]]) == 0\n"
        "print([name for name in sys.modules if name.startswith(('opentelemetry', 'openai', 'anthropic', 'httpx', 'rich'))])\n"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_a_closed_pipe_and_an_interrupt_end_quietly(tmp_path):
    writer = SpecWriter()
    for number in range(3000):
        writer.request(f"0199b000-{number:04x}-7000-8000-000000000000", 0, b'{"model":"m"}')
    (tmp_path / "llm_transcript.jsonl").write_bytes(writer.bytes())
    command = f"{sys.executable} -c 'import sys; from spanscript.cli import main; sys.exit(main())'"
    done = subprocess.run(
        ["bash", "-c", f"{command} ls --dir {tmp_path} | head -1; echo ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout.splitlines()[-1], done.stderr) == ("141", "")

    code = (
        "import signal, sys; from spanscript import cli; "
        "signal.signal(signal.SIGINT, signal.default_int_handler); "  # a shell's background jobs ignore it
        "cli.import_module('spanscript.cli.ls').run = lambda _: signal.raise_signal(signal.SIGINT); "
        "sys.exit(cli.main(['ls']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_terminal_encoding(tmp_path, encoding):
    (tmp_path / "llm_transcript.jsonl").write_bytes(GOOD)
    done = spawn("show", "last", "--dir", ".", cwd=tmp_path, env={**os.environ, "PYTHONIOENCODING": encoding})

    assert (done.returncode, done.stderr) == (0, b"")
    assert ("Köln" if encoding != "ascii" else "K\\xf6ln").encode(encoding) in done.stdout


@pytest.mark.parametrize("command", [[], *([name] for name in cli.COMMANDS)])
def test_help_has_an_example(run, command):
    code, out, _ = run(*command, "--help", place=None)

    assert code == 0
    assert not command or f"example:\n  spanscript {command[0]}" in out.decode()


def test_clean():
    assert (
        clean(HOSTILE)
        == "a\\x1b]52;c;aGk=\\x07b\\x9b31mc\\u202ed\\r\\x00e\\x7f\\u2066\\U000e0041\\ud800\tf\ng"
    )
    assert clean("a\n\tb", one_line=True) == "a\\n\\tb"
    assert clean("é😀 👨‍👩‍👧 עברית") == "é😀 👨‍👩‍👧 עברית"


def test_clean_json_keeps_the_value():
    text = json.dumps(HOSTILE.replace("\ud800", ""), ensure_ascii=False)
    assert json.loads(clean_json(text)) == json.loads(text)
    assert not UNSAFE.search(clean_json(text))
