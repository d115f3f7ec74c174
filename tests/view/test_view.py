"""The command and what it writes, without a browser."""

from __future__ import annotations

import base64
import gzip
import json
import re
import stat
import sys
from pathlib import Path

import pytest
from generate import generate
from spec_writer import IDS, TURNS, SpecWriter, chat, compact, digest, sample

from spanscript import cli
from spanscript.viewer.payload import Payload


def unpacked(page):
    """The index of a page, and all its records."""
    pieces = re.findall(rb'<script type="application/gzip" class="(\w+)">([A-Za-z0-9+/=]*)</script>', page)
    texts = [(kind, gzip.decompress(base64.b64decode(data))) for kind, data in pieces]
    records = [json.loads(line) for kind, text in texts if kind == b"contents" for line in text.splitlines()]
    (index,) = (json.loads(text) for kind, text in texts if kind == b"index")
    return index, records


@pytest.fixture
def view(tmp_path, capfdbinary, monkeypatch):
    """Runs the command on `run/`; gives its code, stdout and stderr."""
    monkeypatch.delenv("SPANSCRIPT_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()

    def call(*options, data=None):
        if data is not None:
            (tmp_path / "run" / "llm_transcript.jsonl").write_bytes(data)
        try:
            code = cli.main(["view", "--dir", "run", *options])
        except SystemExit as stop:
            code = stop.code
        out, err = capfdbinary.readouterr()
        return code, out, err.decode()

    return call


# The command


def test_the_filters_of_ls_choose(view):
    code, out, _ = view("--retried", "-o", "page.html", data=sample()[0].bytes())
    index, _ = unpacked(Path("page.html").read_bytes())

    assert (code, out) == (0, b"page.html: 1 call; open it in a browser\n")
    assert [call["call_id"] for call in index["calls"]] == [IDS[1]]


def test_a_file_that_only_its_owner_reads(view, tmp_path):
    code, out, err = view(data=sample()[0].bytes())
    page = tmp_path / "transcript.html"

    assert (code, out, err) == (0, b"transcript.html: 3 calls; open it in a browser\n", "")
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    assert sorted(file.name for file in tmp_path.iterdir()) == ["run", "transcript.html"]


def test_json(view):
    code, out, _ = view("--json", "-o", "a.html", data=sample()[0].bytes())

    assert (code, json.loads(out)) == (0, {"file": "a.html", "calls": 3, "problems": 0})


def test_stdout(view):
    code, out, _ = view("-o", "-", data=sample()[0].bytes())
    index, _ = unpacked(out)

    assert (code, len(index["calls"])) == (0, 3)
    assert out.rstrip().endswith(b"</html>")


def test_the_same_transcript_gives_the_same_page(view):
    first = view("-o", "-", data=sample()[0].bytes())[1]

    assert first == view("-o", "-")[1]


@pytest.mark.parametrize(
    ("options", "data", "told"),
    [
        ((), b"", "the file in it is empty"),
        ((), b'{"a":1}\n', "holds no entry of a transcript"),
        (("--dir", "nowhere"), None, "nowhere: No such file or directory"),
        (("-o", "nowhere/a.html"), sample()[0].bytes(), "No such file or directory"),
        (("-o", "run"), sample()[0].bytes(), "run: no regular file"),
        (
            ("-o", "/dev/null"),
            sample()[0].bytes(),
            "/dev/null: no regular file, and not to be replaced by one",
        ),
        (("--serve", "-o", "a.html"), None, "not allowed with argument"),
        (("--port", "99999"), None, "invalid _port value: '99999'"),
    ],
)
def test_what_cannot_be_done_is_said_and_leaves_nothing(view, tmp_path, options, data, told):
    code, out, err = view(*options, data=data)

    assert (code, out) == (2, b"")
    assert told in err.replace("every llm_transcript*.jsonl in it is empty", "the file in it is empty")
    assert [file.name for file in tmp_path.iterdir()] == ["run"]


def test_what_can_be_read_is_shown_and_the_rest_reported(view, tmp_path):
    lines = sample()[0].bytes().splitlines(keepends=True)
    code, out, err = view(data=b"".join([*lines, b'{"torn']))
    index, _ = unpacked((tmp_path / "transcript.html").read_bytes())

    assert (code, out) == (2, b"transcript.html: 3 calls; open it in a browser\n")
    where = f"run/llm_transcript.jsonl:{len(lines) + 1}: the last line is cut short"
    assert where in err
    assert [problem.startswith(where) for problem in index["problems"]] == [True]


def test_progress_is_told_on_a_terminal(view, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr("spanscript.cli.view._EVERY_S", 0)
    code, _, err = view(data=sample()[0].bytes())

    assert code == 0
    assert "lines read …" in err
    assert "3 of 3 calls written …" in err
    assert err.endswith("\r\x1b[K")


# What is in it


def payload_of(writer, directory):
    directory.mkdir(exist_ok=True)
    writer.save(directory)
    return unpacked(b"".join(Payload(directory)))


def test_calls_and_what_they_sent(tmp_path):
    index, records = payload_of(sample()[0], tmp_path / "run")
    first, second, third = index["calls"]
    messages = [records[number] for number in index["messages"]]

    assert [call["call_id"] for call in index["calls"]] == IDS[:3]
    assert second["status"] == "ok"
    assert [attempt["status"] for attempt in second["attempt_list"]] == ["retrying", "retrying", "ok"]
    assert [message["hash"] for message in messages[:1]] == [digest(TURNS[0])]
    assert [json.loads(message["raw"]) for message in messages] == TURNS
    assert index["parents"] == [-1, 0, 1, 2, 3]
    assert [call["context"] for call in index["calls"]] == [0, 2, 4]
    assert [call.get("continues") for call in index["calls"]] == [None, 0, 1]
    assert [call.get("shared") for call in index["calls"]] == [None, 0, 2]
    assert first["system"] == second["system"] == third["system"], "stands there once"
    assert records[first["tools"]]["tools"] == [{"name": "weather", "text": ""}]


def test_parts_are_those_of_the_dialect(tmp_path):
    index, records = payload_of(sample()[0], tmp_path / "run")
    parts = [records[number]["parts"] for number in index["messages"]]

    assert parts[0] == [{"kind": "text", "text": "What is the weather in Köln?"}]
    assert parts[1] == [{"kind": "call", "name": "weather", "id": "c1", "text": '{"city": "K\\u00f6ln"}'}]
    assert parts[2] == [{"kind": "result", "id": "c1", "text": "sunny"}]
    assert parts[3][0]["src"] == "data:image/png;base64,aGk="


def test_long_conversations_stay_small(tmp_path):
    """Bytes of a page are linear in what was said, however often it was sent again."""
    sizes = []
    for turns in (100, 200):
        writer = SpecWriter()
        messages = []
        for turn in range(turns):
            messages.append({"role": "user", "content": digest(turn)})
            writer.request(f"{IDS[0][:-4]}{turn:04x}", 0, compact({"model": "m", "messages": messages}))
        (tmp_path / str(turns)).mkdir()
        writer.save(tmp_path / str(turns))
        sizes.append(sum(map(len, Payload(tmp_path / str(turns)))))

    assert sizes[1] < 2.2 * sizes[0]


def message_line(writer, name, parent, text="x"):
    writer.line("message", hash=name, parent=parent, role="user", content=text)


@pytest.mark.parametrize(
    ("links", "parents"),
    [
        ([("b" * 32, "a" * 32)], [-2]),  # a message is missing
        ([("a" * 32, "b" * 32), ("b" * 32, "a" * 32)], [-2, 0]),  # the parents run in a circle
        ([("b" * 32, "b" * 32)], [-2]),
    ],
)
def test_what_is_lost_or_forged_is_told(tmp_path, links, parents):
    writer = SpecWriter()
    for name, parent in links:
        message_line(writer, name, parent)
    writer.raw_request(IDS[0], 0, b"{}", body={}, context="b" * 32)
    index, _ = payload_of(writer, tmp_path / "run")

    assert index["parents"] == parents
    assert len(index["problems"]) == 1
    assert index["problem_count"] == 1


ODD = (None, 7, -1.5, True, "", "x", "\ud800", 2**70, [], [7], {}, {"type": []}, [{"type": {}, "name": []}])


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_no_value_of_another_kind_stops_it(tmp_path, odd):
    writer, _ = sample()
    writer.line("annotation", event="e", call_id=IDS[0], fields={"a": 1})
    writer.line("gap", reason="disk full", dropped=1)
    lines = [json.loads(line) for line in writer.bytes().splitlines()]
    wholes = 0
    for at, line in enumerate(lines):
        for key in [*line, "parts", "choices", "tool_calls", "message", "extras"]:
            changed = [*lines[:at], {**line, key: odd}, *lines[at + 1 :]]
            (tmp_path / "llm_transcript.jsonl").write_bytes(b"\n".join(map(compact, changed)))
            index, _ = unpacked(b"".join(Payload(tmp_path)))
            wholes += len(index["calls"]) >= 2

    assert wholes > len(lines), "what is not harmed is there"


def test_deep_and_long_values_are_bounded(tmp_path):
    deep = json.loads("[" * 300 + "]" * 300)
    sent = compact({"model": "m", "messages": [{"role": "user", "content": "why " * 750_000}]})
    writer = SpecWriter()
    writer.request(IDS[0], 0, sent)
    writer.response(IDS[0], 0, parts=[{"type": "odd", "value": deep}], tool_calls=[7, {"name": 1}])
    index, records = payload_of(writer, tmp_path / "run")

    assert max(len(json.dumps(record)) for record in records) < 2_200_000
    assert "characters more)" in records[index["messages"][0]]["parts"][0]["text"]
    assert "[[[[" in records[index["calls"][0]["attempt_list"][0]["answer"]]["choices"][0][0]["text"]


def test_images_that_are_kept_as_blobs_are_put_in_on_request(view):
    data = bytes(range(256)) * 100
    url = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    part = {"type": "image_url", "image_url": {"url": url}}
    writer = SpecWriter()
    writer.request(IDS[0], 0, compact(chat(0) | {"messages": [{"role": "user", "content": [part]}]}))
    writer.save(Path("run"))

    plain, shown = (unpacked(view("-o", "-", *more)[1]) for more in ((), ("--images",)))
    (without,), (with_it,) = (records[index["messages"][0]]["parts"] for index, records in (plain, shown))
    assert without == {
        "kind": "media",
        "text": f"image image/png 25600 bytes, blobs/{next(iter(writer.blobs))}",
    }
    assert with_it["src"] == url


def test_a_generated_transcript_is_whole(tmp_path, capsys):
    generate(tmp_path, 60)

    assert cli.main(["check", "--dir", str(tmp_path)]) == 0
    assert "calls: 60" in capsys.readouterr().out
