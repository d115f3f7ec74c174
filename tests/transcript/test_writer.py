"""One process: where the file is, how it is opened, rotated and closed, and what can come between."""

import contextlib
import fcntl
import gc
import os
import stat
import threading
import time
from pathlib import Path

import pytest
from asks import ask, check_numbers, lines, messages_of, note, notes, read, types

from spanscript.transcript import entries
from spanscript.transcript.livefile import NAME
from spanscript.transcript.writer import Writer


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "run"


def modes(*paths):
    return [oct(stat.S_IMODE(path.stat().st_mode)) for path in paths]


def test_nothing_is_opened_before_there_is_something_to_write(directory):
    writer = Writer(directory)
    writer.close()
    assert not directory.exists()
    assert writer.write(note("a"))
    assert types(directory) == ["transcript_open", "note"]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_only_we_can_read_it(tmp_path, umask):
    directory = tmp_path / "a" / "b" / "c"
    old = os.umask(umask)
    try:
        assert Writer(directory, max_bytes=1).write(note("a"))
        assert Writer(directory, max_bytes=1).write(note("b"))
    finally:
        os.umask(old)
    assert modes(*(tmp_path / part for part in ("a", "a/b", "a/b/c"))) == ["0o700"] * 3
    files = list(directory.iterdir())
    assert len(files) == 2
    assert modes(*files) == ["0o600"] * 2


def test_a_file_that_others_could_read_is_closed_to_them(directory):
    Writer(directory).write(note("a"))
    (directory / NAME).chmod(0o644)
    assert Writer(directory).write(note("b"))
    assert modes(directory / NAME) == ["0o600"]


@pytest.mark.parametrize(
    "before", [b"", b"\n", b"torn", b'{"type":"note","te', b"good\n", b"good\n\0\0\0", b"\xff"]
)
def test_a_torn_line_is_closed_first(directory, before):
    directory.mkdir()
    (directory / NAME).write_bytes(before)
    assert Writer(directory).write(note("a"))
    data = (directory / NAME).read_bytes()
    assert data.startswith(before)
    assert data[len(before) :].startswith(
        b'{"type":"transcript_open"' if before[-1:] in (b"", b"\n") else b'\n{"type":'
    )


def test_a_line_torn_by_another_while_we_are_open(directory):
    writer = Writer(directory)
    assert writer.write(note("a"))
    with (directory / NAME).open("ab") as other:
        other.write(b'{"type":"no')
    assert writer.write(note("b"))
    assert notes(directory) == ["a", "b"]
    assert read(directory)[1] == [b'{"type":"no']


def moved(directory):
    (directory / NAME).rename(directory / "llm_transcript-old.jsonl")


def deleted(directory):
    (directory / NAME).unlink()


def directory_moved(directory):
    directory.rename(directory.with_name("old"))


def replaced(directory):
    moved(directory)
    (directory / NAME).touch()


@pytest.mark.parametrize("change", [moved, deleted, directory_moved, replaced])
def test_a_file_that_lost_its_name_is_begun_anew(directory, change):
    writer = Writer(directory)
    writer.write(ask("a"))
    change(directory)
    assert writer.write(ask("a", "b"))
    live = [line for file, line in read(directory)[0] if file == NAME]
    assert [line["type"] for line in live] == [
        "transcript_open",
        "message",
        "message",
        "provider_call_request",
    ]
    assert messages_of(live, live[-1]["context"]) == [
        {"role": "user", "content": "a"},
        {"role": "user", "content": "b"},
    ]


def test_no_descriptor_is_left_open(directory):
    def count():
        """Of files of ours alone: threads of other tests open and close theirs."""
        found = 0
        for link in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):  # it is closed by now
                found += str(link.readlink()).startswith(str(directory.parent))
        return found

    writer = Writer(directory, max_bytes=2000)
    for number in range(50):
        writer.write(ask(f"{number}" * 100))
        if number % 9 == 0:
            moved(directory) if number % 2 else deleted(directory)
    assert count() == 1
    writer.close()
    assert count() == 0
    writer.write(note("a"))
    assert count() == 1
    del writer
    gc.collect()
    assert count() == 0


def test_the_app_may_change_its_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    writer = Writer("run")
    monkeypatch.chdir("/")
    assert writer.write(note("a"))
    assert notes(tmp_path / "run") == ["a"]


def test_a_directory_may_be_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "real")
    assert Writer(tmp_path / "run").write(note("a"))
    assert notes(tmp_path / "real") == ["a"]


def test_rotation(directory):
    writer = Writer(directory, max_bytes=4000)
    said = []
    for number in range(60):
        said.append(f"{number}" * 20)
        assert writer.write(ask(*said))
    check_numbers(directory)
    good, bad = read(directory)
    assert not bad
    files = sorted({file for file, _ in good})
    assert len(files) > 5
    for file in files:
        here = [line for name, line in good if name == file]
        assert here[0]["type"] == "transcript_open"
        asked = [line for line in here if line["type"] == "provider_call_request"]
        assert asked
        for line in asked:  # each file can be replayed alone
            assert [m["content"] for m in messages_of(here, line["context"])] == said[: line["message_count"]]
    numbers = [line["seq"] for _, line in good]
    assert numbers == list(range(len(numbers)))
    assert (
        max((directory / file).stat().st_size for file in files)
        < 4000 + max(len(str(line)) * 9 for _, line in good) * 9
    )


@pytest.mark.parametrize("size", [0, 10**9])
def test_no_rotation(directory, size):
    writer = Writer(directory, max_bytes=size)
    for number in range(20):
        writer.write(note(str(number) * 500))
    assert [file.name for file in directory.iterdir()] == [NAME]


def test_service_name_may_be_told_late(directory):
    writer = Writer(directory)
    writer.service_name = "shop"
    writer.write(note("a"))
    assert lines(directory)[0]["service_name"] == "shop"


def test_time_and_writer(directory):
    writer = Writer(directory)
    before = time.time_ns()
    writer.write(note("a"), 1_795_330_800_000_001_000)
    writer.write(note("b"))
    first, one, two = lines(directory)
    assert first["timestamp"] == one["timestamp"] == "2026-11-22T07:00:00.000001Z"
    assert two["timestamp"] >= entries.timestamp(before)
    assert len({line["writer"] for line in (first, one, two)}) == 1
    assert len(bytes.fromhex(first["writer"])) == 4


def test_after_close_a_new_writer_begins(directory):
    writer = Writer(directory)
    writer.write(ask("a"))
    writer.close()
    assert writer.write(ask("a"))
    assert types(directory) == ["transcript_open", "message", "provider_call_request"] * 2
    numbers, _ = check_numbers(directory)
    assert sorted(numbers.values()) == [[0, 1, 2]] * 2


def test_sync(directory, monkeypatch):
    synced = []
    real = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda fd: (synced.append(os.fstat(fd).st_size), real(fd)))
    writer = Writer(directory, mode="sync")
    for text in "abc":
        assert writer.write(note(text))
        assert synced[-1] == (directory / NAME).stat().st_size
    assert len(synced) == 3


def test_threads_and_two_writers_on_one_directory(directory):
    writers = [Writer(directory, max_bytes=20_000) for _ in range(2)]

    def work(name):
        for number in range(200):
            assert writers[number % 2].write(note(f"{name} {number}"))

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    numbers, told = check_numbers(directory)
    assert sorted(notes(directory)) == sorted(
        f"{name} {number}" for name in range(4) for number in range(200)
    )
    assert len(numbers) == 2
    assert not any(told.values())


def test_our_descriptor_is_not_anothers(directory, tmp_path):
    """Apps that become daemons close all descriptors, and open theirs with the same numbers."""
    writer = Writer(directory)
    writer.write(note("a"))
    fd = writer._state.appender._file._fd
    os.close(fd)
    with (tmp_path / "theirs").open("w+b") as theirs:
        os.dup2(theirs.fileno(), fd)
        assert writer.write(note("b"))
        assert theirs.read() == b""
        writer.close()
        os.fstat(fd)  # and it is still open
        os.close(fd)
    assert notes(directory) == ["a", "b"]


def test_a_lock_that_somebody_keeps_does_not_stop_us(directory):
    writer = Writer(directory, max_bytes=10)
    writer.write(note("a"))
    with (directory / NAME).open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        for text in "bcd":
            assert writer.write(note(text))
    assert (directory / NAME).read_bytes().count(b"\n\n") == 3, "unlocked, a line begins with a newline"
    assert sorted(file.name for file in directory.iterdir()) == [NAME], "unlocked, nothing is rotated"
    assert writer.write(note("e"))
    assert notes(directory) == ["a", "b", "c", "d", "e"] or notes(directory) == ["e", "a", "b", "c", "d"]
    assert len(list(directory.iterdir())) == 2


def test_an_error_of_a_maker_is_not_hidden(directory):
    lost = []
    writer = Writer(directory, on_lost=lambda *told: lost.append(told))

    def broken(conversation):
        raise KeyError("x")

    with pytest.raises(KeyError):
        writer.write(broken)
    assert writer.write(note("a"))
    assert lost == [("failed", 1)]
    assert types(directory) == ["transcript_open", "gap", "note"]
    check_numbers(directory)


def test_paths_may_be_anything(tmp_path):
    for directory in (tmp_path / "späce d", str(tmp_path / "str"), Path(tmp_path / "x" / ".." / "y")):
        assert Writer(directory).write(note("a"))
