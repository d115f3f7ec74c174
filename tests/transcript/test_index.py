"""The index beside a transcript: whatever happened to the files or to it, the answers are those of the files."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat

import pytest
from spec_writer import IDS, SpecWriter, chat, compact, sample

from spanscript.transcript import homes, index, indexing
from spanscript.transcript.lines import TranscriptError
from spanscript.transcript.reader import Transcript

LIVE = "llm_transcript.jsonl"
OLD = "llm_transcript-20260101T000000.000000Z-0badcafe.jsonl"
INDEX = "llm_transcript.index"
ALWAYS, NEVER = 0, 10**12


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    """Every transcript has an index, which is written after a few lines."""
    monkeypatch.setattr(indexing, "INDEX_FROM", ALWAYS)
    monkeypatch.setattr(indexing, "_BATCH", 1500)
    monkeypatch.setattr(index, "PATIENCE", 0.1)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def run(tmp_path):
    """A directory with a rotated file and a live one, and their index."""
    directory = tmp_path / "run"
    directory.mkdir(mode=0o700)
    (directory / OLD).write_bytes(sample()[0].bytes())
    (directory / LIVE).write_bytes(more().bytes())
    Transcript(directory)
    return directory


def more() -> SpecWriter:
    """Another writer: a call that goes on with the first conversation, one retried, one unfinished."""
    writer = SpecWriter("feedbeef", second=200)
    writer.request(IDS[3], 0, compact(chat(3)))
    writer.error(IDS[3], 0)
    writer.request(IDS[3], 1, compact(chat(3)))
    writer.response(IDS[3], 1)
    writer.request(IDS[4], 0, compact(chat(4)))
    return writer


def told(path) -> dict:
    """All that a transcript tells."""
    transcript = Transcript(path)
    bodies = {
        (call.call_id, attempt): body(transcript, call, attempt)
        for call in transcript.calls()
        for attempt in call.requests
    }
    return {
        "calls": list(transcript.calls()),
        "back": list(reversed(transcript.calls()))[::-1],
        "count": len(transcript.calls()),
        "bodies": bodies,
        "met": (transcript.entries, transcript.known, transcript.problems, transcript.first_problem),
    }


def body(transcript, call, attempt):
    try:
        return transcript.body(transcript.request(call, attempt))
    except TranscriptError as error:
        return str(error)


def truth(path, monkeypatch) -> dict:
    """What is told without an index."""
    with monkeypatch.context() as patch:
        patch.setattr(indexing, "INDEX_FROM", NEVER)
        return told(path)


# What happens to the files


def append(data: bytes):
    def change(run):
        with (run / LIVE).open("ab") as file:
            file.write(data)

    return change


def rotate(run):
    (run / LIVE).rename(run / OLD.replace("2026", "2027"))
    (run / LIVE).write_bytes(SpecWriter("cccccccc", second=400).bytes())


def edit(old: bytes, new: bytes, *, keep_time: bool = True):
    def change(run):
        path = run / OLD
        before = path.stat()
        with path.open("r+b") as file:
            data = path.read_bytes()
            assert old in data
            file.write(data.replace(old, new))
        if keep_time:
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    return change


def older(run):
    writer = SpecWriter("aaaaaaaa", second=-100)
    writer.request(IDS[5], 0, compact(chat(1)))
    (run / "llm_transcript-0.jsonl").write_bytes(writer.bytes())


def move(run):
    shutil.copytree(run, run.parent / "copy")
    shutil.rmtree(run)
    (run.parent / "copy").rename(run)


def swap(run):
    first, second = (run / OLD).read_bytes(), (run / LIVE).read_bytes()
    (run / OLD).write_bytes(second)
    (run / LIVE).write_bytes(first)


LATER = SpecWriter("dddddddd", second=300)
LATER.request(IDS[5], 0, compact(chat(2)))
ENTRY = b'{"type":"stage","timestamp":"2026-11-22T09:00:00.000000Z","writer":"w","seq":0,"name":"x"}'

CHANGES = {
    "nothing": lambda run: None,
    "appended": append(LATER.bytes()),
    "appended, torn": append(LATER.bytes()[:-20]),
    "appended, an outcome": append(LATER.bytes() + SpecWriter("dddddddd").lines[0]),
    "appended, blank lines": append(b"\n\n  \n" + LATER.bytes()),
    "appended, garbage": append(b"garbage\n" * 3 + LATER.bytes()),
    "appended, no last line feed": append(ENTRY),
    "rotated": rotate,
    "truncated": lambda run: os.truncate(run / LIVE, 700),
    "emptied": lambda run: os.truncate(run / LIVE, 0),
    "removed": lambda run: (run / OLD).unlink(),
    "an older file": older,
    "renamed": lambda run: (run / OLD).rename(run / "llm_transcript-x.jsonl"),
    "copied": move,
    "swapped": swap,
    "unreadable": lambda run: ((run / OLD).unlink(), (run / OLD).mkdir()),
    "touched": lambda run: os.utime(run / OLD, (1, 1)),
    "another call id, secretly": edit(IDS[1].encode(), b"f" * 36),
    "another hash, secretly": edit(b'"hash":"', b'"hash":"0'[:8] + b'"'[:0]),
    "a call less, secretly": edit(b'"provider_call_request"', b'"provider_call_reqeust"'),
    "a message of another hash, secretly": edit(b'"type":"message"', b'"type":"massage"'),
    "another answer": edit(b"Enjoy!", b"enjoy?", keep_time=False),
}


@pytest.mark.parametrize("then", ["nothing", "appended", "appended, no last line feed", "rotated"])
@pytest.mark.parametrize("name", CHANGES)
def test_the_answers_are_those_of_the_files(run, monkeypatch, name, then):
    for change in (CHANGES[name], CHANGES[then]):
        change(run)

        assert told(run) == truth(run, monkeypatch)
        assert told(run) == truth(run, monkeypatch), "also by the index that was made of it"


def test_a_last_line_without_a_line_feed_may_go_on(run, monkeypatch):
    for piece in (ENTRY, b"\n", ENTRY[:-9], ENTRY[-9:], b',"more":1}\n', ENTRY, b" garbage\n", LATER.bytes()):
        append(piece)(run)

        assert told(run) == truth(run, monkeypatch)


@pytest.mark.parametrize("cut", range(0, 4000, 97))
def test_growth_byte_by_byte(tmp_path, monkeypatch, cut):
    path = tmp_path / LIVE
    data = sample()[0].bytes()
    for end in (cut, cut + 1, cut + 40, len(data)):
        path.write_bytes(data[:end]) if not path.exists() else append(data[path.stat().st_size : end])(
            tmp_path
        )

        assert told(path) == truth(path, monkeypatch)
    assert (tmp_path / f"{LIVE}.index").exists()


def test_only_what_is_new_is_read(run, monkeypatch):
    read = []
    append(LATER.bytes())(run)
    monkeypatch.setattr(indexing, "raw_lines", lambda *a, real=indexing.raw_lines: record(read, real(*a)))
    assert told(run)["count"] == 6
    told(run)

    assert len(read) == len(LATER.lines)


def record(into, items):
    for item in items:
        into.append(item)
        yield item


# What happens to the index


def sql(*statements):
    def change(path):
        with sqlite3.connect(path) as base:
            for statement in statements:
                base.execute(statement)
        base.close()

    return change


def link(path):
    path.rename(path.parent / "elsewhere")
    path.symlink_to("elsewhere")


BAD = {
    "empty": lambda path: path.write_bytes(b""),
    "garbage": lambda path: path.write_bytes(b"garbage" * 1000),
    "cut": lambda path: os.truncate(path, path.stat().st_size // 2),
    "zeroes within": lambda path: path.write_bytes(
        path.read_bytes()[:4096] + bytes(8192) + path.read_bytes()[12288:]
    ),
    "another database": lambda path: (path.unlink(), sql("CREATE TABLE files(id)")(path)),
    "another version": sql("PRAGMA user_version = 99"),
    "another program's": sql("PRAGMA application_id = 1"),
    "a trigger": sql("CREATE TRIGGER t AFTER INSERT ON files BEGIN DELETE FROM calls; END"),
    "a directory": lambda path: (path.unlink(), path.mkdir()),
    "a link": link,
    "a second name": lambda path: os.link(path, path.parent / "elsewhere"),
    "readable for others": lambda path: path.chmod(0o644),
    "hashes that stand elsewhere": sql("UPDATE named SET offset = 0, line = 1"),
    "hashes behind the end": sql("UPDATE OR REPLACE named SET offset = 9223372036854775807"),
    "hashes in other entries": sql(
        "UPDATE named SET offset = (SELECT max(offset) FROM named n WHERE n.file = named.file AND n.offset <> named.offset)"
        " WHERE kind = 0 AND line = (SELECT min(line) FROM named)"
    ),
    "hashes nowhere": sql("UPDATE OR REPLACE named SET file = 77"),
    "places that are none": sql(
        "UPDATE OR REPLACE named SET offset = 'x'", "UPDATE OR REPLACE lines SET offset = -7"
    ),
    "calls in the middle of lines": sql("UPDATE lines SET offset = offset + 5"),
    "calls of others": sql("UPDATE lines SET line = 1, offset = 0 WHERE line = 6"),
    "a call of no lines": sql("INSERT INTO calls VALUES (x'41', x'32')"),
    "a call of no key": sql("INSERT INTO calls VALUES (7, 8.5)"),
    "files of a wrong size": sql("UPDATE files SET size = size - 3"),
    "files of no size": sql("UPDATE files SET size = 'x'"),
    "files of a negative size": sql("UPDATE files SET size = -1"),
    "files that are others": sql("UPDATE files SET inode = '0', name = x'00'"),
    "a problem that is none": sql("UPDATE files SET first = '{', problems = 1"),
    "nothing": sql("DELETE FROM files", "DELETE FROM calls"),
}


@pytest.mark.parametrize("name", BAD)
def test_an_index_is_never_trusted(run, monkeypatch, name):
    BAD[name](run / INDEX)

    assert told(run) == truth(run, monkeypatch)
    assert told(run) == truth(run, monkeypatch)


def test_what_is_linked_to_is_left_alone(run):
    (run / INDEX).unlink()
    target = run / "precious"
    target.write_bytes(b"")
    (run / INDEX).symlink_to(target)
    told(run)

    assert target.read_bytes() == b""
    assert stat.S_ISREG((run / INDEX).lstat().st_mode)


def test_an_index_is_for_its_owner_alone(run):
    assert stat.S_IMODE((run / INDEX).stat().st_mode) == 0o600


# Where it is


def cached(tmp_path) -> list[str]:
    return [path.name for path in (tmp_path / "cache").rglob("*.index")]


def test_it_is_in_the_cache_where_others_may_write(run, tmp_path, monkeypatch):
    (run / INDEX).unlink()
    run.chmod(0o777)

    assert told(run) == truth(run, monkeypatch)
    assert ((run / INDEX).exists(), len(cached(tmp_path))) == (False, 1)
    append(LATER.bytes())(run)
    assert told(run) == truth(run, monkeypatch)


def test_it_is_in_the_cache_where_the_directory_is_read_only(run, tmp_path, monkeypatch):
    (run / INDEX).unlink()
    monkeypatch.setattr(homes.os, "access", lambda path, mode: path != run)

    assert told(run)["count"] == 5
    assert ((run / INDEX).exists(), len(cached(tmp_path))) == (False, 1)


def test_it_is_nowhere_if_there_is_no_place(run, tmp_path, monkeypatch):
    (run / INDEX).unlink()
    run.chmod(0o777)
    (tmp_path / "cache").write_bytes(b"")

    assert told(run) == truth(run, monkeypatch)
    assert sorted(path.name for path in run.iterdir()) == [OLD, LIVE]


def test_a_small_transcript_has_none(tmp_path, monkeypatch):
    monkeypatch.setattr(indexing, "INDEX_FROM", 16_000_000)
    (tmp_path / LIVE).write_bytes(sample()[0].bytes())
    Transcript(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == [LIVE]


def test_a_single_file_has_its_own(run, monkeypatch):
    assert told(run / OLD) == truth(run / OLD, monkeypatch)
    assert (run / f"{OLD}.index").exists()
    assert told(run) == truth(run, monkeypatch)


# Several at once


def test_while_another_process_keeps_it_locked(run, monkeypatch):
    append(LATER.bytes())(run)
    other = sqlite3.connect(run / INDEX, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")

    assert told(run) == truth(run, monkeypatch)
    other.execute("ROLLBACK")
    assert told(run) == truth(run, monkeypatch)


def test_two_readers_make_it_together(run, monkeypatch):
    (run / INDEX).unlink()
    first, second = Transcript.unread(run).stream(), Transcript.unread(run).stream()
    found = [[next(first)], [next(second)]]
    found[0] += [next(first)]
    found[1] += list(second)
    found[0] += list(first)

    for calls in found:
        assert sorted(calls, key=lambda call: call.call_id) == truth(run, monkeypatch)["calls"]
    assert told(run) == truth(run, monkeypatch)


def test_what_another_process_has_found_is_looked_for(run, monkeypatch):
    transcript = Transcript(run)
    for name in ("rotated", "appended"):
        CHANGES[name](run)
    other = Transcript(run)

    assert list(transcript.calls()) == list(other.calls()) == truth(run, monkeypatch)["calls"]
    assert (run / INDEX).exists()


def test_a_reader_that_was_stopped_is_taken_over_from(run, monkeypatch):
    (run / INDEX).unlink()
    stopped = Transcript.unread(run).stream()
    next(stopped)
    stopped.close()
    rows = sql_rows(run, "SELECT size FROM files ORDER BY position")

    assert 0 < rows[0][0] < (run / OLD).stat().st_size
    assert told(run) == truth(run, monkeypatch)


def sql_rows(run, query):
    base = sqlite3.connect(run / INDEX)
    rows = base.execute(query).fetchall()
    base.close()
    return rows


@pytest.mark.parametrize("name", ["appended", "rotated", "removed", "renamed", "truncated"])
def test_files_that_change_between_two_questions(run, monkeypatch, name):
    transcript = Transcript(run)
    before = truth(run, monkeypatch)["calls"]
    CHANGES[name](run)
    after = truth(run, monkeypatch)["calls"]
    found = []
    try:
        found += transcript.calls()
    except TranscriptError as error:
        assert "changed" in str(error) or "cannot be read" in str(error)

    assert all(call in [*before, *after] for call in found)
    assert list(Transcript(run).calls()) == after


# As they are read


def test_a_stream_gives_each_call_when_it_ended(tmp_path):
    writer, _ = sample()
    path = tmp_path / LIVE
    path.write_bytes(writer.bytes())
    found = list(Transcript.unread(path).stream())

    assert [(call.call_id, call.status, call.attempts) for call in found] == [
        (IDS[0], "ok", [0]),
        (IDS[1], "ok", [0, 1, 2]),
        (IDS[2], "unfinished", [0]),
    ]
    assert [call.call_id for call in Transcript.unread(path).stream()] == IDS[:3]


def test_a_call_of_which_more_comes_is_given_again(tmp_path):
    writer = SpecWriter()
    writer.request(IDS[0], 0, compact(chat(1)))
    writer.error(IDS[0], 0, status="error")
    for number in range(20):
        writer.request(IDS[1], number, compact(chat(1)))
        writer.error(IDS[1], number)
    writer.request(IDS[0], 1, compact(chat(1)))
    writer.response(IDS[0], 1)
    (tmp_path / LIVE).write_bytes(writer.bytes())
    found = [(call.call_id, call.status) for call in Transcript.unread(tmp_path).stream()]

    assert found == [(IDS[0], "error"), (IDS[0], "ok"), (IDS[1], "retrying")]


def test_annotations_are_of_their_call_or_of_none(tmp_path, monkeypatch):
    writer = SpecWriter()
    writer.request(IDS[0], 0, compact(chat(1)))
    writer.line("annotation", event="hit", call_id=IDS[0])
    writer.line("annotation", event="alone")
    writer.line("annotation", event="again", call_id=IDS[0])
    (tmp_path / LIVE).write_bytes(writer.bytes())

    assert told(tmp_path) == truth(tmp_path, monkeypatch)
    (call,) = Transcript(tmp_path).calls()
    assert [entry.get("event") for entry in call.annotations] == ["hit", "again"]


@pytest.mark.parametrize("kept", [False, True])
def test_progress(run, kept):
    if not kept:
        (run / INDEX).unlink()
    size = sum((run / name).stat().st_size for name in (OLD, LIVE))
    steps = []
    Transcript(run, lambda *step: steps.append(step))

    assert (steps[-1:] == []) if kept else (steps[-1] == (size, size))
    assert steps == sorted(steps)


@pytest.mark.parametrize(
    "at",
    [
        0,
        4,
        -1,
        -5,
        slice(None),
        slice(-2, None),
        slice(1, 4, 2),
        slice(None, None, -1),
        slice(3, 1),
        slice(9, 12),
    ],
)
def test_calls_are_a_sequence(run, at):
    calls = Transcript(run).calls()

    assert calls[at] == list(calls)[at]


@pytest.mark.parametrize("at", [5, -6])
def test_calls_end(run, at):
    with pytest.raises(IndexError):
        Transcript(run).calls()[at]
