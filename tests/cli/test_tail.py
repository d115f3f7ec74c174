"""`tail`: the last calls, and what comes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from hostile import UNSAFE
from spec_writer import IDS, SpecWriter, compact, sample

from spanscript.cli import tail
from spanscript.cli._following import Following
from spanscript.transcript.lines import Entry

GOOD = sample()[0].bytes()
BODY = compact({"model": "m", "messages": [{"role": "user", "content": "x"}]})
NAME = "llm_transcript.jsonl"


def test_tail(run):
    code, out, err = run("tail", data=GOOD)

    assert (code, err) == (0, "")
    assert out.decode().splitlines() == [
        "07:00:04.000  0199b000-0000  ▶ gpt-5  1",
        "07:00:05.000  0199b000-0000  ✓ ok  250 ms  12 → 3 tokens  → weather",
        "07:00:10.000  0199b000-0001  ▶ gpt-5  2",
        "07:00:11.000  0199b000-0001  ↻ retrying  429  asked to wait 1000 ms  429: slow down",
        "07:00:12.000  0199b000-0001  ▶ attempt 1",
        "07:00:13.000  0199b000-0001  ↻ retrying  429  asked to wait 1000 ms  429: slow down",
        "07:00:14.000  0199b000-0001  ▶ attempt 2",
        "07:00:15.000  0199b000-0001  ✓ ok  250 ms  12 → 3 tokens",
        "07:00:18.000  0199b000-0002  ▶ gpt-5",
    ]
    assert run("tail", "-n", "1")[1].decode().splitlines() == ["07:00:18.000  0199b000-0002  ▶ gpt-5"]


def test_json(run):
    lines = [json.loads(line) for line in run("tail", "--json", "-n", "2", data=GOOD)[1].splitlines()]

    assert [line["type"].removeprefix("provider_call_") for line in lines] == ["request", "error"] * 2 + [
        "request",
        "response",
        "request",
    ]
    assert lines[1].items() >= {"status": "retrying", "http_status": 429, "attempt": 0}.items()
    assert not {"body", "text"} & set().union(*lines)


@pytest.mark.parametrize("window", [1, 100, 1000, 3000, 10**9])
def test_no_more_is_read_than_it_takes(run, monkeypatch, window):
    whole = run("tail", "-n", "2", data=GOOD)
    monkeypatch.setattr(tail, "_WINDOW", window)

    assert run("tail", "-n", "2") == whole


class Growing:
    """A transcript directory, and what `Following` has seen of it: types of entries, kinds of problems."""

    def __init__(self, path):
        self.path, self.following = path, Following(str(path), 0)

    def append(self, data, name=NAME):
        with (self.path / name).open("ab") as file:
            file.write(data)

    def seen(self, **options):
        return [
            (item.type if isinstance(item, Entry) else item.kind, item.line)
            for item in self.following.poll(**options)
        ]


@pytest.fixture
def growing(tmp_path):
    return Growing(tmp_path)


STAGE = b'{"type":"stage"}\n'
GAP = b'{"type":"gap"}\n'


def test_what_is_appended_is_seen_once(growing):
    growing.append(STAGE + GAP)
    assert growing.seen() == [("stage", 1), ("gap", 2)]
    assert growing.seen() == []
    growing.append(b"\n\n" + STAGE + b"\n")
    assert growing.seen() == [("stage", 5)]
    growing.append(GAP)
    assert growing.seen() == [("gap", 7)]


def test_a_line_is_taken_when_it_is_whole(growing):
    growing.append(STAGE + GAP[:7])
    assert growing.seen() == [("stage", 1)]
    assert growing.seen() == []
    growing.append(GAP[7:])
    assert growing.seen() == [("gap", 2)]
    growing.append(GAP[:7])
    assert growing.seen(torn=True) == [("torn", 3)]


def test_files_are_renamed_and_begun(growing):
    growing.append(STAGE)
    assert growing.seen() == [("stage", 1)]
    growing.append(GAP)
    (growing.path / NAME).rename(growing.path / "llm_transcript-20261122.jsonl")
    growing.append(STAGE)
    growing.append(STAGE, "llm_transcript-other.jsonl")
    assert growing.seen() == [("gap", 2), ("stage", 1), ("stage", 1)]
    assert growing.seen() == []


def test_a_file_is_cut_and_removed(growing):
    growing.append(STAGE + GAP)
    growing.seen()
    os.truncate(growing.path / NAME, 0)
    growing.append(GAP)
    assert growing.seen() == [("gap", 1)]
    (growing.path / NAME).unlink()
    assert growing.seen() == []


def test_a_place_that_is_not_there_yet(tmp_path):
    growing = Growing(tmp_path / "later")
    assert growing.seen() == []
    growing.path.mkdir()
    growing.append(STAGE)
    assert growing.seen() == [("stage", 1)]


def test_what_cannot_be_read_is_said_once(growing):
    os.mkfifo(growing.path / NAME)
    assert growing.seen() == [("unreadable", None)]
    assert growing.seen() == []
    growing.append(b"nonsense\n" + STAGE, "llm_transcript-a.jsonl")
    assert growing.seen() == [("syntax", 1), ("stage", 2)]


def test_lines_are_numbered_also_where_reading_did_not_begin(tmp_path):
    (tmp_path / NAME).write_bytes(STAGE * 100)
    following = Following(str(tmp_path), len(STAGE) * 2 - 3)

    assert [item.line for item in following.poll()] == [100]
    assert not following.is_whole


class Followed:
    """`tail -f` as a process."""

    def __init__(self, path, *options):
        code = (
            "import signal, sys; from spanscript.cli import main; "
            "signal.signal(signal.SIGINT, signal.default_int_handler); sys.exit(main())"
        )
        command = [sys.executable, "-c", code, "tail", "-f", "--dir", str(path), *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.lines = []
        self.thread = threading.Thread(
            target=lambda: self.lines.extend(iter(self.process.stdout.readline, ""))
        )
        self.thread.start()

    def wait_for(self, number):
        deadline = time.monotonic() + 20
        while len(self.lines) < number and time.monotonic() < deadline:
            time.sleep(0.02)
        return [line.rstrip() for line in self.lines]

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.thread.join(20)
        with self.process.stderr:
            return self.process.wait(20), self.process.stderr.read()


def test_following_until_an_interrupt(tmp_path):
    place = tmp_path / "run"
    followed = Followed(place)
    try:
        assert (
            followed.process.stderr.readline()
            == f"spanscript: waiting for llm_transcript*.jsonl in {place}\n"
        )
        w = SpecWriter()
        w.raw_request(IDS[0], 0, BODY, model="m\x1b[2J", body={}, message_count=1)
        w.line("stage", name="plan")
        w.line("gap", reason="disk full", dropped=3)
        w.line("annotation", event="note", fields={"a": 1})
        w.line("interpreted_response", call_id=IDS[0], tool_parse_errors=["city is missing."])
        place.mkdir()
        (place / NAME).write_bytes(w.bytes()[:-5])
        assert len(followed.wait_for(5)) == 5
        with (place / NAME).open("ab") as file:
            file.write(w.bytes()[-5:] + b"nonsense\n")
        (place / NAME).rename(place / "llm_transcript-1.jsonl")
        other = SpecWriter()
        other.error(IDS[0], 0, "error", response_ms=3.4, error_message="no")
        (place / NAME).write_bytes(other.bytes())
        lines = followed.wait_for(8)
    finally:
        code, err = followed.stop()

    assert lines == [
        "07:00:00.000                 writer 0badcafe: s h 7",
        "07:00:01.000  0199b000-0000  ▶ m\\x1b[2J  1 message",
        "07:00:02.000                 stage plan",
        "07:00:03.000                 ! 3 lines were lost: disk full",
        "07:00:04.000                 • note  a=1",
        "07:00:05.000  0199b000-0000  ! city is missing.",
        "07:00:00.000                 writer 0badcafe: s h 7",
        "07:00:01.000  0199b000-0000  ✗ error  429  3 ms  429: no",
    ]
    assert (code, "llm_transcript-1.jsonl:7: no JSON object" in err) == (130, True)


def test_following_for_programs(tmp_path):
    (tmp_path / NAME).write_bytes(GOOD)
    followed = Followed(tmp_path, "--json", "-n", "1")
    try:
        followed.wait_for(1)
        w = SpecWriter()
        w.response(IDS[2], 0, "\x9b")
        with (tmp_path / NAME).open("ab") as file:
            file.write(w.bytes())
        lines = followed.wait_for(3)
    finally:
        code, err = followed.stop()

    assert (code, err) == (130, "")
    assert [json.loads(line)["type"] for line in lines] == [
        "provider_call_request",
        "transcript_open",
        "provider_call_response",
    ]
    assert not UNSAFE.search("".join(lines))
