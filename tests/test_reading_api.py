"""Reading from Python: typed entries, calls with all that they sent and got, and the programs of docs/python.md."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import warnings

import pytest
from docs import ROOT, SAMPLE
from spec_writer import ENVELOPE, IDS, SpecWriter, chat, compact, sample

import spanscript
from spanscript import cli
from spanscript.transcript import lines, typed
from spanscript.transcript.typed import AnyEntry, Message, ProviderCallError

PAGE = ROOT / "docs" / "python.md"
PROGRAM = re.compile(r"```python\n(.*?)```\n\nprints\n\n```text\n(.*?)```", re.DOTALL)


def save(tmp_path, data: bytes):
    (tmp_path / "llm_transcript.jsonl").write_bytes(data)
    return tmp_path


# Entries


@pytest.mark.parametrize("data", [sample()[0].bytes(), (SAMPLE / "llm_transcript.jsonl").read_bytes()])
def test_nothing_of_a_line_is_lost(tmp_path, data):
    entries = list(spanscript.read(save(tmp_path, data)))

    for entry, line in zip(entries, data.splitlines(), strict=True):
        sent = {key: value for key, value in json.loads(line).items() if value is not None}
        if isinstance(entry, Message):
            assert entry.message == sent.get(
                "message", {k: v for k, v in json.loads(line).items() if k not in ENVELOPE}
            )
            sent = {key: value for key, value in sent.items() if key in {*ENVELOPE} - {"message"}}
            assert {key: value for key, value in entry.as_dict().items() if key != "message"} == sent
        else:
            assert (entry.as_dict(), entry.more) == (sent, {})
        assert (type(entry), entry.type) == (typed.TYPES[sent["type"]], sent["type"])
    assert [entry.offset for entry in entries][1] == data.index(b"\n") + 1


def test_every_type_and_field_of_the_format_has_its_own():
    known = {name for kind in typed.TYPES.values() for name in kind.__struct_fields__}

    assert typed.TYPES.keys() == lines.NEEDED.keys()
    assert lines.FIELDS.keys() - known == set()


@pytest.mark.parametrize(
    ("line", "kind", "more"),
    [
        ({"type": "wonder", "a": [1], "writer": "w"}, AnyEntry, {"a": [1]}),
        ({"type": "stage", "name": "x", "new": {"b": None}}, typed.Stage, {"new": {"b": None}}),
        (
            {"type": "provider_call_response", "call_id": "c", "attempt": 0, "mood": 1},
            typed.ProviderCallResponse,
            {"mood": 1},
        ),
        ({"type": "message", "hash": "h", "file": "f", "line": 3, "more": 4}, Message, {}),
        (
            {"type": "gap", "file": "f", "line": 3, "offset": None},
            typed.Gap,
            {"file": "f", "line": 3, "offset": None},
        ),
    ],
)
def test_what_is_not_known_is_kept(tmp_path, line, kind, more):
    (entry,) = spanscript.read(save(tmp_path, compact(line) + b"\n"), on_problem=lambda problem: None)

    assert (type(entry), entry.more, entry.line) == (kind, more, 1)
    if kind is Message:
        assert entry.message == {"file": "f", "line": 3, "more": 4}


def test_entries_are_frozen(tmp_path):
    first = next(spanscript.read(save(tmp_path, sample()[0].bytes())))

    with pytest.raises(AttributeError):
        first.type = "x"


@pytest.mark.parametrize(
    ("line", "told", "warned"),
    [(b"garbage\n", "syntax", 1), (b'{"type":"wonder"}\n', "unknown_type", 0), (b'{"type":"sta', "torn", 1)],
)
def test_problems(tmp_path, line, told, warned):
    path = save(tmp_path, sample()[0].bytes() + line)
    problems: list[spanscript.Problem] = []
    found = list(spanscript.read(path, problems.append))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        again = list(spanscript.read(path))

    assert (found, [problem.kind for problem in problems]) == (again, [told])
    assert [warning.category for warning in caught] == [spanscript.TranscriptWarning] * warned


def test_entries_come_as_they_are_read(tmp_path):
    path = save(tmp_path, sample()[0].bytes())
    entries = spanscript.read(path)
    next(entries)
    (path / "llm_transcript.jsonl").unlink()

    assert len(list(entries)) == len(sample()[0].lines) - 1


@pytest.mark.parametrize("call", [spanscript.read, spanscript.Transcript, spanscript.Transcript.unread])
def test_a_transcript_that_is_not_there(tmp_path, call):
    with pytest.raises(spanscript.TranscriptError, match="No such file"):
        list(call(tmp_path / "nowhere"))


# Calls


def test_a_call_has_what_it_sent_and_got(tmp_path):
    writer, sent = sample()
    call = spanscript.Transcript(save(tmp_path, writer.bytes())).call(IDS[1][:13])

    assert (call.call_id, call.status, call.number) == (IDS[1], "ok", 2)
    assert (call.body, call.request) == (sent[IDS[1], 2], json.loads(sent[IDS[1], 2]))
    assert [call.system_prompt, *call.messages] == [
        chat(3)["messages"][0]["content"],
        *chat(3)["messages"][1:],
    ]
    assert call.tools == chat(3)["tools"]
    assert call.response.text == "It is sunny.\nEnjoy!"
    assert [attempt.status for attempt in call.attempts] == ["retrying", "retrying", "ok"]
    first = call.attempts[0]
    assert first.request == call.request
    assert isinstance(first.response, ProviderCallError)
    assert (first.response.retry_after_ms, first.as_dict()["retry_after_ms"]) == (1000, 1000)


def test_what_a_call_has_not(tmp_path):
    writer = SpecWriter()
    writer.raw_request(IDS[0], 0, b"no JSON", body_text="no JSON")
    writer.response(IDS[1], 0)
    transcript = spanscript.Transcript(save(tmp_path, writer.bytes()))
    call = transcript.call(IDS[0])

    assert (call.request, call.messages, call.system_prompt, call.tools) == ("no JSON", [], None, None)
    assert (call.response, call.status) == (None, "unfinished")
    with pytest.raises(spanscript.TranscriptError, match="no request line"):
        _ = transcript.call(IDS[1]).request
    with pytest.raises(spanscript.TranscriptError, match="no call's id"):
        transcript.call("zz")


def test_images_are_back_in_messages(tmp_path):
    url = "data:image/png;base64," + "QUJD" * 9000
    message = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}
    writer = SpecWriter()
    writer.request(IDS[0], 0, compact({"model": "m", "messages": [message]}))
    writer.save(tmp_path)
    call = spanscript.Transcript(tmp_path).call("last")

    assert (call.messages, call.request["messages"]) == ([message], [message])
    assert all(
        "$blob{" in str(entry.message) for entry in spanscript.read(tmp_path) if isinstance(entry, Message)
    )


def test_dicts_are_what_ls_prints(tmp_path, capsys):
    cli.main(["ls", "--json", "--dir", str(SAMPLE)])
    transcript = spanscript.Transcript(SAMPLE)
    records = [call.as_dict() for call in transcript.calls()]

    assert records == json.loads(capsys.readouterr().out)
    assert transcript.call("last").as_dict() == records[-1]


# The page


def programs():
    return PROGRAM.findall(PAGE.read_text())


def printed(program: str) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(program, str(PAGE), "exec"), {})
    return out.getvalue()


@pytest.mark.parametrize(("program", "prints"), programs())
def test_programs_of_the_page_print_what_it_says(tmp_path, monkeypatch, program, prints):
    """If not: `python tests/test_reading_api.py` writes what they print now; look at the difference."""
    shutil.copytree(SAMPLE, tmp_path / "run")
    monkeypatch.chdir(tmp_path)

    assert printed(program) == prints


def test_every_program_of_the_page_is_run():
    assert len(programs()) == PAGE.read_text().count("```python")


def test_reading_imports_no_opentelemetry():
    code = "import sys, spanscript; spanscript.Transcript; spanscript.read; print('opentelemetry' in sys.modules)"

    assert subprocess.check_output([sys.executable, "-c", code]) == b"False\n"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)
        shutil.copytree(SAMPLE, "run")
        text = PAGE.read_text()
        for program, prints in programs():
            text = text.replace(
                f"{program}```\n\nprints\n\n```text\n{prints}",
                f"{program}```\n\nprints\n\n```text\n{printed(program)}",
            )
        PAGE.write_text(text)
