"""`spanscript export`: each format on every recorded exchange, and on what wants to break out of it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import stat
import subprocess
import sys
from html.parser import HTMLParser

import every_case
import openai
import pytest
from docs import ROOT, SAMPLE
from spec_writer import IDS, SpecWriter, compact, sample

from spanscript import cli
from spanscript._dialects import DIALECTS
from spanscript._exports import chat
from spanscript.demo.receiver import Receiver

pytest_plugins = ["providers"]

HOSTILE = "a\x1b]52;c;aGk=\x07b\x9b31m\u202e</pre><script>alert(1)</script>\n```\n# forged\n![x](http://evil.example/)"
IMAGE = "iVBORw0KGgoAAAANSUhEUg=="


@pytest.fixture
def export(tmp_path, capsys, monkeypatch):
    """Runs the command on *data* or a directory; gives code, stdout and stderr."""
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)

    def call(form, *argv, data=None, place=None):
        place = place or tmp_path / "run"
        if data is not None:
            place.mkdir(exist_ok=True)
            (place / "llm_transcript.jsonl").write_bytes(data)
        try:
            code = cli.main(["export", "--format", form, "--dir", str(place), *argv])
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()

    return call


def dialect_of(dialect, body, response=None, **fields):
    """A transcript of one call."""
    writer = SpecWriter()
    writer.raw_request(IDS[0], 0, compact(body), body=body, dialect=dialect, **fields)
    if response is not None:
        writer.response(IDS[0], 0, **response)
    return writer.bytes()


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


# In OpenAI's form

CALL = {"id": "t1", "type": "function", "function": {"name": "look", "arguments": '{"at":1}'}}
TOOL = {"type": "function", "function": {"name": "look", "description": "d", "parameters": {"type": "object", "properties": {}}}}  # fmt: skip
ANSWER = {"role": "assistant", "content": "fine"}
ASKED = [{"role": "system", "content": "be"}, {"role": "user", "content": "hi"}]
TURNS = [*ASKED, {"role": "assistant", "content": "wait", "tool_calls": [CALL]}, {"role": "tool", "tool_call_id": "t1", "content": "seen"}]  # fmt: skip

SAME_IN_EVERY_DIALECT = {
    "chat_completions": {"messages": TURNS, "tools": [TOOL]},
    "messages": {
        "max_tokens": 1,
        "system": "be",
        "tools": [{"name": "look", "description": "d", "input_schema": {"type": "object", "properties": {}}}],
        "messages": [
            {"role": "user", "content": "hi"},
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "wait"},
                    {"type": "tool_use", "id": "t1", "name": "look", "input": {"at": 1}},
                ],
            },
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "seen"}]},
        ],
    },
    "responses": {
        "instructions": "be",
        "tools": [
            {
                "type": "function",
                "name": "look",
                "description": "d",
                "parameters": {"type": "object", "properties": {}},
            }
        ],
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "hi"}]},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "wait"}]},
            {"type": "function_call", "call_id": "t1", "name": "look", "arguments": '{"at":1}'},
            {"type": "function_call_output", "call_id": "t1", "output": "seen"},
        ],
    },
    "cohere_chat": {"model": "m", "messages": TURNS, "tools": [TOOL]},
    "generate_content": {
        "systemInstruction": {"parts": [{"text": "be"}]},
        "tools": [
            {
                "functionDeclarations": [
                    {"name": "look", "description": "d", "parameters": {"type": "OBJECT", "properties": {}}}
                ]
            }
        ],
        "contents": [
            {"role": "user", "parts": [{"text": "hi"}]},
            {
                "role": "model",
                "parts": [
                    {"text": "wait"},
                    {"functionCall": {"id": "t1", "name": "look", "args": {"at": 1}}},
                ],
            },
            {
                "role": "user",
                "parts": [{"functionResponse": {"id": "t1", "name": "look", "response": {"seen": 1}}}],
            },
        ],
    },
    "converse": {
        "system": [{"text": "be"}],
        "toolConfig": {
            "tools": [
                {
                    "toolSpec": {
                        "name": "look",
                        "description": "d",
                        "inputSchema": {"json": {"type": "object", "properties": {}}},
                    }
                }
            ]
        },
        "messages": [
            {"role": "user", "content": [{"text": "hi"}]},
            {
                "role": "assistant",
                "content": [
                    {"text": "wait"},
                    {"toolUse": {"toolUseId": "t1", "name": "look", "input": {"at": 1}}},
                ],
            },
            {"role": "user", "content": [{"toolResult": {"toolUseId": "t1", "content": [{"text": "seen"}]}}]},
        ],
    },
}


@pytest.mark.parametrize("dialect", SAME_IN_EVERY_DIALECT)
def test_the_same_conversation_is_the_same_example_in_every_dialect(export, dialect):
    data = dialect_of(dialect, {"model": "m", **SAME_IN_EVERY_DIALECT[dialect]}, {"text": "fine"})
    code, out, err = export("openai-chat", data=data)
    (found,) = lines(out)
    result = found["messages"].pop(3)

    assert (code, err) == (0, "")
    assert found == {"messages": [*TURNS[:3], ANSWER], "tools": [TOOL]}
    assert (result["role"], result["tool_call_id"], "seen" in result["content"]) == ("tool", "t1", True)


def test_evals(export):
    data = dialect_of(
        "chat_completions", {"model": "m", "messages": ASKED, "tools": [TOOL]}, {"text": "fine"}
    )
    code, out, _ = export("openai-evals", data=data)

    assert code == 0
    assert lines(out) == [
        {
            "item": {"input": ASKED, "ideal": "fine", "tools": [TOOL], "call_id": IDS[0], "model": "m"},
            "sample": {"output_text": "fine", "model": "gpt-5-2026", "finish_reason": "stop"},
        }
    ]


def test_calls_and_results_without_ids_find_each_other(export):
    body = {
        "contents": [
            {"role": "model", "parts": [{"functionCall": {"name": n, "args": {}}} for n in ("a", "b")]},
            {
                "role": "user",
                "parts": [{"functionResponse": {"name": n, "response": {}}} for n in ("b", "a")],
            },
        ]
    }
    (found,) = lines(export("openai-chat", data=dialect_of("generate_content", body, {}))[1])
    calls = {call["id"]: call["function"]["name"] for call in found["messages"][0]["tool_calls"]}

    assert [calls[m["tool_call_id"]] for m in found["messages"] if m["role"] == "tool"] == ["b", "a"]


@pytest.mark.parametrize(
    ("dialect", "block", "becomes"),
    [
        (
            "messages",
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": IMAGE}},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{IMAGE}"}},
        ),
        (
            "messages",
            {"type": "image", "source": {"type": "url", "url": "https://x.example/i.png"}},
            {"type": "image_url", "image_url": {"url": "https://x.example/i.png"}},
        ),
        (
            "messages",
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": IMAGE},
            },
            {
                "type": "file",
                "file": {"file_data": f"data:application/pdf;base64,{IMAGE}", "filename": "file"},
            },
        ),
        (
            "messages",
            {"type": "image", "source": {"type": "file", "file_id": "f1"}},
            "image that has no form there",
        ),
        ("messages", {"type": "thinking", "thinking": "hm", "signature": "s"}, "thinking of message 1"),
        ("messages", {"type": "novelty", "x": 1}, "a part of type novelty of message 1"),
        (
            "messages",
            {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
            "the use of a tool that the provider runs (web_search) of message 1",
        ),
    ],
)
def test_what_has_no_form_there_is_told(export, dialect, block, becomes):
    text = {"type": "text", "text": "look"}
    body = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": [text, block]}]}
    code, out, err = export("openai-chat", data=dialect_of(dialect, body, {}))
    content = lines(out)[0]["messages"][0]["content"]

    if isinstance(becomes, str):
        assert (code, content) == (1, "look")
        assert f"call {IDS[0]} in part left out: {becomes}" in err
    else:
        assert (code, err, content) == (0, "", [text, becomes])


@pytest.mark.parametrize("form", ["openai-chat", "openai-evals"])
def test_every_part_is_in_the_line_or_told(every, export, form, tmp_path):
    """Of each recorded exchange: all text that its dialect reads stands in the line."""
    code, out, _ = export(form, "-o", str(tmp_path / "out"), "--json", place=every)
    report = json.loads(out)
    told = {note["call_id"]: note for note in report["left_out"]}
    written = lines((tmp_path / "out").read_text())

    assert code == 1
    assert report["calls"] == len(every_case.CASES)
    assert report["exported"] == len(written) == report["calls"] - sum(n["whole"] for n in told.values())
    exported = [n for n in range(report["calls"]) if not told.get(every_case.call_id(n), {}).get("whole")]
    for number, line in zip(exported, written, strict=True):
        texts = set(_texts(every_case.CASES[number]))
        everything = json.dumps(line, ensure_ascii=False)
        missing = [text for text in texts if json.dumps(text, ensure_ascii=False)[1:-1] not in everything]
        assert missing == [], every_case.CASES[number]


def _texts(path):
    request = every_case.request_of(path, 0)
    for item in request.split.items:
        for part in request.dialect.message(json.loads(item)).parts:
            if type(part).__name__ in ("Text", "Refusal"):
                yield part.text


def test_which_calls_are_exported(export):
    everything = sample()[0]
    everything.response(IDS[2], 0)
    data = everything.bytes()

    assert len(lines(export("openai-chat", data=data)[1])) == 3
    assert len(lines(export("openai-chat", "-n", "2", data=data)[1])) == 2
    assert len(lines(export("openai-chat", "last", IDS[0], IDS[0][:-1], data=data)[1])) == 2
    assert "no call's id begins with 'zz'" in export("openai-chat", "zz", data=data)[2]
    assert len(lines(export("openai-chat", "--retried", data=data)[1])) == 1
    assert export("openai-chat", IDS[0], "--retried", data=data)[:2] == (0, "")


def test_calls_without_an_answer_are_told_and_are_no_fault(export):
    code, out, err = export("openai-chat", data=sample()[0].bytes())

    assert (code, len(lines(out))) == (0, 2)
    assert f"call {IDS[2]} left out: it has no answer (unfinished)" in err


def test_a_call_that_cannot_be_rebuilt_does_not_keep_others_from_it(export):
    found = sample()[0].lines
    code, out, err = export("openai-chat", data=b"".join(found[:4] + found[5:]))

    assert code in {1, 2}
    assert f"call {IDS[0]} left out: " in err
    assert "Traceback" not in err
    assert out == "" or lines(out)


# For people


class Page(HTMLParser):
    """What a browser would see in a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.text += data


def hostile():
    """Every field that is shown, in the hands of somebody else."""
    body = {
        "model": HOSTILE,
        "messages": [
            {"role": HOSTILE, "name": HOSTILE, "content": HOSTILE},
            {"role": "assistant", "tool_calls": [{"id": HOSTILE, "type": "function", "function": {"name": HOSTILE, "arguments": HOSTILE}}]},
            {"role": "tool", "tool_call_id": HOSTILE, "content": HOSTILE},
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": f"javascript:{HOSTILE}"}}]},
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": f"data:image/svg+xml;base64,{IMAGE}"}}]},
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": f'data:image/png;base64,{IMAGE}" onerror="x'}}]},
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{IMAGE}"}}]},
        ],
        "tools": [{"type": "function", "function": {"name": HOSTILE}}],
    }  # fmt: skip
    names = ("model", "provider", "client", "stage", "url")
    answer = {"text": HOSTILE, "thinking": HOSTILE, "finish_reasons": [HOSTILE], "refusal": HOSTILE}
    return dialect_of("chat_completions", body, answer, **dict.fromkeys(names, HOSTILE))


ALLOWED = {
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "article",
    "h1",
    "h2",
    "dl",
    "dt",
    "dd",
    "table",
} | {
    "tr",
    "td",
    "section",
    "div",
    "pre",
    "img",
}


def test_nothing_in_a_page_is_markup_of_others(export):
    code, out, err = export("html", data=hostile())
    page = Page(out)

    assert (code, err) == (0, "")
    assert set(page.tags) == ALLOWED
    assert {name for name, _ in page.attributes} <= {
        "lang", "charset", "http-equiv", "content", "name", "id", "class", "src", "alt"
    }  # fmt: skip
    assert {value for name, value in page.attributes if name == "src"} == {f"data:image/png;base64,{IMAGE}"}
    assert "<script>alert(1)</script>" in page.text
    assert re.findall("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", out) == []


def test_a_page_forbids_scripts_and_addresses(export):
    out = export("html", data=hostile())[1]
    policy = re.search('Content-Security-Policy" content="([^"]*)"', out)[1]

    style = re.search("<style>(.*?)</style>", out, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()

    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; ")
    assert "unsafe" not in policy
    assert "*" not in policy
    assert "http" not in policy


def test_nothing_in_markdown_is_markup_of_others(export):
    code, out, err = export("markdown", data=hostile())
    outside, fence = [], None
    for line in out.splitlines():
        found = re.match("`{3,}", line)
        if fence is None and found:
            fence = found[0]
        elif fence is not None and line == fence:
            fence = None
        elif fence is None:
            outside.append(re.sub(r"(`+).*?[^`]\1(?!`)", "", line))
    text = "\n".join(outside)

    assert (code, err, fence) == (0, "", None)
    assert [mark for mark in ("<script", "![", "forged", "evil.example") if mark in text] == []
    assert re.findall("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", out) == []


@pytest.mark.parametrize("form", ["markdown", "html"])
def test_every_exchange_can_be_told(every, export, form):
    code, out, err = export(form, place=every)

    assert (code, err) == (0, "")
    assert out.count("0199b000-") >= len(every_case.CASES)


def test_a_story_tells_attempts_and_what_was_said(export):
    out = export("markdown", IDS[1], data=sample()[0].bytes())[1]

    assert out.splitlines()[0] == f"# Call `{IDS[1]}`"
    assert "| 0 | retrying | 429 | 1000 | slow down |" in out
    assert "calls weather" in re.sub("`", "", out)
    assert "\n## answer\n\n```text\nIt is sunny.\nEnjoy!\n```\n" in out


# As spans


def test_spans_have_their_own_times_and_ids(every, export):
    with Receiver() as receiver:
        endpoint = receiver.endpoint.removesuffix("/v1/traces")
        code, _, err = export("otlp", "--endpoint", endpoint, place=every)
        spans = receiver.spans
    finished = [n for n, case in enumerate(every_case.CASES) if (case.parent / "response.json").exists()]
    attempts = {span.span_id: span for span in spans if span.name == "attempt 0"}

    assert (code, len(spans)) == (0, 2 * len(finished))
    assert f"{len(finished)} of {len(every_case.CASES)} calls exported" in err
    assert set(attempts) == {f"{number + 1:016x}" for number in finished}
    for number in finished:
        attempt = attempts[f"{number + 1:016x}"]
        (call,) = [span for span in spans if span.span_id == attempt.parent_id]
        dialect = DIALECTS[every_case.CASES[number].parent.parent.name]
        assert attempt.trace_id == call.trace_id == f"{number + 1:032x}"
        assert (attempt.started_ns, attempt.ended_ns) == (every_case.START, every_case.START + 5_000_000)
        assert call.attributes["gen_ai.operation.name"] == dialect.operation
        assert call.attributes["llm.call_id"] == every_case.call_id(number)
        assert call.parent_id is None
        assert "gen_ai.input.messages" not in call.attributes


def test_spans_are_what_live_ones_are(export, provider, recording):
    """A recorded call, sent again as spans, has the attributes that its live spans had."""
    provider.script("429 retry-after-ms=1", "ok")
    client = openai.OpenAI(base_url=provider.openai_url, api_key="unused")
    asked = [{"role": "user", "content": "hi"}]
    list(client.chat.completions.create(model="m", messages=asked, temperature=0.5, stream=True))
    live = {span.name: span for span in recording.spans}
    with Receiver() as receiver:
        assert export("otlp", "--endpoint", receiver.endpoint, place=recording.directory)[0] == 0
        again = {span.name: span for span in receiver.spans}

    assert again.keys() == live.keys() == {"chat m", "attempt 0", "attempt 1"}
    for name, span in again.items():
        old = live[name]
        told = {
            key: list(value) if isinstance(value, tuple) else value for key, value in old.attributes.items()
        }
        # A transcript does not know when a call began: its first attempt is what it has.
        waits = [found.pop("gen_ai.response.time_to_first_chunk", 0) for found in (told, span.attributes)]
        assert told == span.attributes
        assert waits[0] >= waits[1]
        assert span.trace_id == f"{old.context.trace_id:032x}"
        assert span.started_ns + 1_000 > old.start_time
        assert span.ended_ns - 2_000 < old.end_time
        assert (span.span_id == f"{old.context.span_id:016x}") == name.startswith("attempt")
        assert span.failed == (old.status.status_code.name == "ERROR")


def test_the_example_of_the_documentation(capsys):
    """`docs/sending.md`, with a collector on another port."""
    page = (ROOT / "docs" / "sending.md").read_text()
    command, shown = re.search(r"```text\n\$ spanscript (export [^\n]*)\n(.*?)```", page, re.DOTALL).groups()
    with Receiver() as receiver:
        endpoint = receiver.endpoint.removesuffix("/v1/traces")
        argv = (
            command.replace("http://localhost:4318", endpoint).replace("--dir run", f"--dir {SAMPLE}").split()
        )

        assert cli.main(argv) == 0
        assert capsys.readouterr().err == shown
        assert len(receiver.spans) > 20


def test_content_is_on_spans_only_if_it_is_asked_for(export):
    with Receiver() as receiver:
        export("otlp", "--endpoint", receiver.endpoint, "--content", data=sample()[0].bytes())
        calls = [span for span in receiver.spans if span.parent_id is None]

    assert "You are exact" in calls[0].attributes["gen_ai.system_instructions"]
    assert "gen_ai.output.messages" in calls[0].attributes


@pytest.mark.parametrize(
    "ids", [{}, {"trace_id": "0" * 32, "span_id": "0" * 16}, {"trace_id": "xyz", "span_id": "é" * 16}]
)
def test_what_has_no_ids_gets_the_same_ones_at_each_export(export, ids):
    data = dialect_of("chat_completions", {"model": "m", "messages": ASKED}, {}, **ids)
    with Receiver() as receiver:
        for _ in range(2):
            assert export("otlp", "--endpoint", receiver.endpoint, data=data)[0] == 0
        spans = receiver.spans

    assert len({(span.trace_id, span.span_id) for span in spans}) == 2
    assert len(spans) == 4


def test_the_service_is_the_one_that_asked(export, monkeypatch):
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    seen = []
    with Receiver(seen.append) as receiver:
        export("otlp", "--endpoint", receiver.endpoint, data=sample()[0].bytes())
    resources = [
        found.resource for body in seen for found in ExportTraceServiceRequest.FromString(body).resource_spans
    ]

    assert {a.value.string_value for r in resources for a in r.attributes if a.key == "service.name"} == {"s"}


def test_a_collector_that_is_not_there(export, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    code, out, err = export("otlp", "--endpoint", "http://127.0.0.1:1", data=sample()[0].bytes())

    assert (code, out) == (2, "")
    assert "the collector did not take the spans; 0 were sent before" in err


# Where it goes


def test_a_file_is_for_its_owner_alone(tmp_path, export):
    code, out, err = export("html", "-o", str(tmp_path / "page.html"), data=sample()[0].bytes())

    assert (code, out, err) == (0, "", "3 of 3 calls exported\n")
    assert stat.S_IMODE((tmp_path / "page.html").stat().st_mode) == 0o600
    assert (tmp_path / "page.html").read_text().endswith("</body></html>\n")


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["html", "--json"], "--json tells what was done, and needs -o FILE"),
        (["pdf"], "invalid choice: 'pdf'"),
        (["html", "-o", "/nowhere/x"], "No such file"),
    ],
)
def test_bad_wishes(export, argv, says):
    code, out, err = export(*argv, data=sample()[0].bytes())

    assert (code, out) == (2, "")
    assert says in err


def test_a_closed_pipe_ends_it(tmp_path):
    writer = SpecWriter()
    for number in range(300):
        writer.request(
            f"{number:08x}", 0, compact({"model": "m", "messages": [{"role": "user", "content": "x" * 900}]})
        )
        writer.response(f"{number:08x}", 0)
    (tmp_path / "llm_transcript.jsonl").write_bytes(writer.bytes())
    program = "import sys; from spanscript.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "export", "--format", "html", "--dir", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 141


def test_the_table_of_contents_has_every_kind_of_part():
    kinds = set(chat.Part.__args__) - {chat.Refusal}

    assert kinds == chat._CONTENT.keys()
