"""`spanscript replay --send`: what is sent, where to, with which key, and what is shown of the answer."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys

import pytest
from docs import ROOT, SAMPLE
from spec_writer import IDS, SpecWriter, compact

from spanscript import cli
from spanscript._resending import asking
from spanscript._resending.targets import PROVIDERS, Target, Wanted, target
from spanscript.demo.provider import Provider
from spanscript.transcript.lines import TranscriptError

pytest_plugins = ["providers"]

SAID = [{"role": "user", "content": "Hello, Köln"}]
GOOGLE = {"contents": [{"role": "user", "parts": [{"text": "Hello, Köln"}]}]}
CHAT = {"model": "m-1", "messages": SAID}
MESSAGES = {"model": "claude", "max_tokens": 9, "messages": SAID}
RESPONSES = {"model": "m-1", "input": "Hello, Köln"}
USAGE = {"stream_options": {"include_usage": True}}

CASES = [
    ("chat_completions", "/v1", CHAT, "/v1/chat/completions"),
    ("chat_completions", "/v1", {**CHAT, "stream": True, **USAGE}, "/v1/chat/completions"),
    ("messages", "", MESSAGES, "/v1/messages"),
    ("messages", "", {**MESSAGES, "stream": True}, "/v1/messages"),
    ("responses", "/v1", RESPONSES, "/v1/responses"),
    ("responses", "/v1/", {**RESPONSES, "stream": True}, "/v1/responses"),
    ("completions", "/v1", {"model": "m-1", "prompt": "Hello, Köln"}, "/v1/completions"),
    ("generate_content", "/v1beta", GOOGLE, "/v1beta/models/m-1:generateContent"),
    ("cohere_chat", "", CHAT, "/v2/chat"),
    ("cohere_chat", "", {**CHAT, "stream": True}, "/v2/chat"),
    ("cohere_chat_v1", "", {"model": "m-1", "message": "Hello, Köln"}, "/v1/chat"),
    ("ollama_chat", "", {**CHAT, "stream": False}, "/api/chat"),
    ("ollama_chat", "", {**CHAT, "stream": True}, "/api/chat"),
    ("ollama_generate", "", {"model": "m-1", "prompt": "Hello, Köln", "stream": False}, "/api/generate"),
]


@pytest.fixture
def again(tmp_path, capsys, monkeypatch):
    """Writes a transcript of one call, and sends it again; gives code, stdout and stderr."""
    for known in PROVIDERS.values():
        monkeypatch.delenv(known.key, raising=False)

    def call(body, *argv, answer="an old answer", **fields):
        writer = SpecWriter()
        known = {
            "url": "http://127.0.0.1:1/v1/chat/completions",
            "model": "m-1",
            "stream": bool(body.get("stream")),
        }
        writer.raw_request(IDS[0], 0, compact(body), body=body, **{**known, **fields})
        writer.response(IDS[0], 0, answer)
        (tmp_path / "llm_transcript.jsonl").write_bytes(writer.bytes())
        code = cli.main(["replay", "last", "--dir", str(tmp_path), "--send", *argv])
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.mark.parametrize(("dialect", "base", "body", "path"), CASES)
def test_the_same_bytes_are_sent_and_the_answer_is_read(provider, again, dialect, base, body, path):
    code, out, err = again(
        body, "--base-url", provider.url + base, "--yes", "--json", dialect=dialect, provider="a-provider"
    )
    found = json.loads(out)
    (received,) = provider.llm_requests

    assert (code, err) == (0, "")
    assert (received.method, received.path, received.body) == ("POST", path, compact(body))
    assert (found["old"]["text"], found["old"]["ms"]) == ("an old answer", 250.5)
    assert "Köln" in found["new"]["text"]
    assert found["new"]["output_tokens"] > 0
    assert ("first_chunk_ms" in found["new"]) == bool(body.get("stream"))
    assert found["url"] == provider.url + path


def test_a_stream_of_googles_has_a_path_of_its_own(provider, again):
    again(GOOGLE, "--base-url", f"{provider.url}/v1beta", "--yes", dialect="generate_content", stream=True)

    assert provider.llm_requests[0].path == "/v1beta/models/m-1:streamGenerateContent?alt=sse"


def test_both_answers_and_their_difference_are_shown(provider, again):
    provider.script({"answer": {"texts": ["one\ntwo\x1b[31m\nfour"]}})
    code, out, err = again(CHAT, "--base-url", provider.openai_url, "--yes", answer="one\nthree\nfour")

    assert (code, err) == (0, "")
    assert out.partition("\n\nOLD\n")[2].splitlines() == [
        "  one",
        "  three",
        "  four",
        "",
        "NEW",
        "  one",
        "  two\\x1b[31m",
        "  four",
        "",
        "DIFFERENCE",
        "   one",
        "  -three",
        "  +two\\x1b[31m",
        "   four",
    ]


def test_the_example_of_the_documentation(provider, capsys):
    """`docs/sending.md`: what is printed, but for times and the port."""
    page = (ROOT / "docs" / "sending.md").read_text()
    command, shown = re.search(r"```text\n\$ spanscript (replay [^\n]*)\n(.*?)```", page, re.DOTALL).groups()
    argv = (
        command.replace("http://127.0.0.1:8080", provider.url).replace("--dir run", f"--dir {SAMPLE}").split()
    )

    assert cli.main(argv) == 0
    printed = capsys.readouterr().out
    assert re.sub(r" +\d+\n", " MS\n", printed) == re.sub(r" +\d+\n", " MS\n", shown)


def test_the_same_answer_is_told_as_such(provider, again):
    provider.script({"answer": {"texts": ["fine"]}})
    out = again(CHAT, "--base-url", provider.openai_url, "--yes", answer="fine")[1]

    assert "DIFFERENCE\n  none: both say the same\n" in out


@pytest.mark.parametrize(
    ("dialect", "body", "sent", "path"),
    [
        ("chat_completions", CHAT, {**CHAT, "model": "other/1"}, "/chat/completions"),
        ("generate_content", GOOGLE, GOOGLE, "/models/other%2F1:generateContent"),
    ],
)
def test_another_model_is_asked(provider, again, dialect, body, sent, path):
    again(body, "--base-url", f"{provider.url}/v1beta", "--yes", "--model", "other/1", dialect=dialect)

    assert json.loads(provider.requests[0].body) == sent
    assert provider.requests[0].path == f"/v1beta{path}"


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("429", "rate_limit"),
        ("500", "server_error"),
        ("302", "302: a redirect, which is not followed"),
        ("reset", "ReadError"),
        ("cut", "Protocol"),
        ("malformed", "malformed_answer"),
    ],
)
def test_an_error_is_shown_and_nothing_is_tried_again(provider, again, script, says):
    provider.script(script, forever=True)
    code, out, err = again(CHAT, "--base-url", provider.openai_url, "--yes")

    assert code == 1
    assert err.startswith("spanscript: the new answer is an error: ")
    assert says in err
    assert err.count("\n") == 1
    assert "an old answer" in out
    assert len(provider.requests) == 1


@pytest.mark.parametrize("script", ["unended", "error"])
def test_a_stream_that_breaks_is_shown_as_far_as_it_came(provider, again, script):
    provider.script(script)
    code, out, err = again({**CHAT, "stream": True}, "--base-url", provider.openai_url, "--yes")

    assert code == 1
    assert "the new answer is an error" in err
    assert "You said" in out


def test_nobody_listens(again):
    code, _, err = again(CHAT, "--base-url", "http://127.0.0.1:1/v1", "--yes")

    assert code == 1
    assert "ConnectError" in err


# What must not happen


def test_no_address_of_the_transcript_is_asked(provider, again, monkeypatch):
    """Not the URL, and not what is called a provider: only what the command line says, or a provider's own address."""
    with Provider() as trap:
        host = trap.url.removeprefix("http://")
        for named in ("openai", host, trap.url, f"openai@{host}"):
            fields = {"url": f"{trap.url}/v1/chat/completions", "provider": named}
            again(CHAT, "--base-url", provider.openai_url, "--yes", **fields)
            if named != "openai":
                code, _, err = again(CHAT, "--yes", **fields)
                assert (code, "no address of the provider" in err) == (2, True)
        assert trap.requests == []
    assert len(provider.requests) == 4


@pytest.mark.parametrize("given", [{}, {"OPENAI_API_KEY": "sk-of-openai-0123456789"}])
def test_no_usual_key_goes_to_another_host(provider, again, monkeypatch, given):
    for name, key in given.items():
        monkeypatch.setenv(name, key)
    again(CHAT, "--base-url", provider.openai_url, "--yes")

    assert not {"authorization", "api-key", "x-api-key"} & provider.requests[0].headers.keys()


def test_a_key_that_is_named_is_sent_and_shown_nowhere(provider, again, monkeypatch):
    key = "sk-my-own-key-0123456789"
    monkeypatch.setenv("MY_KEY", key)
    provider.script({"answer": {"texts": [f"your key is {key}"]}})
    code, out, err = again(CHAT, "--base-url", provider.openai_url, "--yes", "--key-env", "MY_KEY")

    assert code == 0
    assert provider.requests[0].headers["authorization"] == f"Bearer {key}"
    assert key not in out + err
    assert "your key is [secret]" in out


def wanted(**fields):
    return Wanted(
        **{"provider": "openai", "dialect": "chat_completions", "model": "m", "stream": False, **fields}
    )


KEYS = {known.key: f"key of {name}" for name, known in PROVIDERS.items()} | {"MINE": "my key"}


@pytest.mark.parametrize(
    ("fields", "url", "header"),
    [
        ({}, "https://api.openai.com/v1/chat/completions", ("Authorization", "Bearer key of openai")),
        (
            {"provider": "anthropic", "dialect": "messages"},
            "https://api.anthropic.com/v1/messages",
            ("x-api-key", "key of anthropic"),
        ),
        (
            {"provider": "gcp.gemini", "dialect": "generate_content", "model": "tunedModels/x"},
            "https://generativelanguage.googleapis.com/v1beta/tunedModels/x:generateContent",
            ("x-goog-api-key", "key of gcp.gemini"),
        ),
        ({"provider": "groq"}, "https://api.groq.com/openai/v1/chat/completions", ("Authorization", "Bearer key of groq")),
        (  # the host decides which key, not the file's word
            {"provider": "anthropic", "base_url": "https://api.openai.com/v1"},
            "https://api.openai.com/v1/chat/completions",
            ("Authorization", "Bearer key of openai"),
        ),
        (
            {"base_url": "https://acme.openai.azure.com/openai/v1"},
            "https://acme.openai.azure.com/openai/v1/chat/completions",
            ("api-key", "key of azure.ai.openai"),
        ),
        (
            {"base_url": "https://gateway.example/v1", "key_env": "MINE"},
            "https://gateway.example/v1/chat/completions",
            ("Authorization", "Bearer my key"),
        ),
        (
            {"base_url": "https://gateway.example", "key_env": "MINE", "dialect": "messages"},
            "https://gateway.example/v1/messages",
            ("x-api-key", "my key"),
        ),
        ({"base_url": "https://gateway.example/v1"}, "https://gateway.example/v1/chat/completions", None),
        ({"base_url": "https://api.openai.com.evil.example/v1"}, "https://api.openai.com.evil.example/v1/chat/completions", None),
        ({"base_url": "https://evilopenai.com/v1"}, "https://evilopenai.com/v1/chat/completions", None),
        ({"base_url": "http://api.openai.com/v1"}, "http://api.openai.com/v1/chat/completions", None),
        (
            {"base_url": "http://localhost:8000/v1", "key_env": "MINE"},
            "http://localhost:8000/v1/chat/completions",
            ("Authorization", "Bearer my key"),
        ),
        (
            {"provider": "ollama", "dialect": "ollama_chat"},
            "http://127.0.0.1:11434/api/chat",
            None,
        ),
        (
            {"model": "../../files?x=#", "dialect": "generate_content", "base_url": "https://g.example"},
            "https://g.example/models/..%2F..%2Ffiles%3Fx%3D%23:generateContent",
            None,
        ),
    ],
)  # fmt: skip
def test_where_a_request_goes_and_with_which_key(fields, url, header):
    found = target(wanted(**fields), KEYS)
    keys = {name: value for name, value in found.headers.items() if "key of" in value or "my key" in value}

    assert found.url == url
    assert keys == ({} if header is None else dict([header]))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"provider": "evil.example"}, "no address of the provider 'evil.example' is known: give --base-url"),
        ({"provider": "azure.ai.openai"}, "give --base-url"),
        ({"dialect": "converse", "provider": "aws.bedrock"}, "a request of 'converse' cannot be sent again"),
        ({"dialect": "../../x"}, "cannot be sent again"),
        ({"base_url": "ftp://x/v1"}, "is no web address"),
        ({"base_url": "https://[::x"}, "is no web address"),
        ({"base_url": "https://a b/"}, "is no web address"),
        ({"base_url": "https://x:99999/"}, "is no web address"),
        ({"base_url": "//x/v1"}, "is no web address"),
        ({"base_url": "https://user:pass@x/v1"}, "no key, query or fragment may stand in it"),
        ({"base_url": "https://x/v1?key=1"}, "no key, query or fragment may stand in it"),
        ({"base_url": "http://x.example/v1", "key_env": "MINE"}, "is not encrypted: no key is sent there"),
        ({"key_env": "NOT_SET"}, "the environment variable NOT_SET is not set"),
        ({"key_env": "BAD"}, "cannot stand in a header"),
        ({"dialect": "generate_content", "model": None}, "give --model"),
        ({"dialect": "generate_content", "model": ".."}, "'..' is no name of a model"),
    ],
)
def test_what_is_refused(fields, says):
    with pytest.raises(TranscriptError) as refused:
        target(wanted(**fields), {**KEYS, "BAD": "a\r\nHost: x"})

    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"masked": True, "body_sha256": None}, "a key in it stands as [secret]"),
        ({"summary": True}, "a summary of it"),
        ({"body": {**CHAT, "model": "m-2"}}, "it does not have the entry's `body_sha256`"),
    ],
)
def test_what_is_not_what_was_sent_is_not_sent(tmp_path, capsys, provider, fields, says):
    writer = SpecWriter()
    writer.raw_request(IDS[0], 0, compact(CHAT), **{"body": CHAT, **fields})
    entry = json.loads(writer.lines[-1])
    if "body" not in fields:
        del entry["body_sha256"]
    (tmp_path / "llm_transcript.jsonl").write_bytes(writer.lines[0] + compact(entry) + b"\n")
    code = cli.main(
        ["replay", "last", "--dir", str(tmp_path), "--send", "--yes", "--base-url", provider.openai_url]
    )

    assert code == 2
    assert says in capsys.readouterr().err
    assert provider.requests == []


def test_without_a_terminal_yes_is_needed(provider, again):
    code, out, err = again(CHAT, "--base-url", provider.openai_url)

    assert (code, out) == (2, "")
    assert "--yes is needed where nobody can be asked" in err
    assert provider.requests == []


@pytest.mark.parametrize(("typed", "code", "sent"), [(b"y\n", 0, 1), (b"n\n", 1, 0), (b"\n", 1, 0)])
def test_on_a_terminal_somebody_is_asked(provider, again, tmp_path, typed, code, sent):
    again(CHAT)  # writes the transcript
    main, side = pty.openpty()
    program = "import sys; from spanscript.cli import main; sys.exit(main())"
    argv = ["replay", "last", "--dir", str(tmp_path), "--send", "--base-url", provider.openai_url]
    os.write(main, typed)
    done = subprocess.run(
        [sys.executable, "-c", program, *argv], stdin=side, capture_output=True, check=False
    )
    os.close(main)
    os.close(side)

    assert (
        f"Send {len(compact(CHAT))} bytes to {provider.openai_url}/chat/completions, model m-1? [y/N]"
        in done.stderr.decode()
    )
    assert (done.returncode, len(provider.llm_requests)) == (code, sent)


def test_options_of_send_are_for_send(tmp_path, capsys):
    writer = SpecWriter()
    writer.raw_request(IDS[0], 0, compact(CHAT), body=CHAT)
    (tmp_path / "llm_transcript.jsonl").write_bytes(writer.bytes())

    assert cli.main(["replay", "last", "--dir", str(tmp_path), "--model", "x"]) == 2
    assert "--model is for --send" in capsys.readouterr().err


def test_an_endless_answer_is_cut(monkeypatch):
    monkeypatch.setattr(asking.config, "MAX_ANSWER_BYTES", 10)

    assert b"".join(asking._bounded(iter(lambda: b"abcd", None))) == b"abcdabcdab"


def test_without_an_http_library_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "httpx2", None)

    with pytest.raises(TranscriptError, match=r"pip install 'spanscript\[send\]'"):
        asking.ask(Target("http://x/", "x", {}, is_local=False), b"{}", None, seconds=1, stream=False)


def test_wide_terminals_have_both_side_by_side():
    from spanscript.cli._send import _side_by_side

    assert list(_side_by_side("one two three\nx", "four", 8)) == [
        "OLD        NEW",
        "one two    four",
        "three",
        "x",
    ]
