"""What can be wrong with a file system: nothing of it reaches the app, and what is lost is told."""

import errno
import fcntl
import logging
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from asks import ask, check_numbers, in_child, lines, messages_of, note, notes, read

from spanscript.transcript import appender, livefile
from spanscript.transcript.livefile import NAME
from spanscript.transcript.writer import Writer


class Faulty:
    """A module of which some functions fail while `failing` is set."""

    def __init__(self, module, faults):
        self._module, self._faults, self.failing, self.calls = module, faults, False, []

    def __getattr__(self, name):
        real = getattr(self._module, name)
        if not callable(real) or isinstance(real, type):
            return real

        def call(*args, **kwargs):
            self.calls.append(name)
            if self.failing and name in self._faults:
                fault = self._faults[name]
                if not isinstance(fault, int):
                    return fault(real, *args, **kwargs)
                raise OSError(fault, os.strerror(fault))
            return real(*args, **kwargs)

        return call


@pytest.fixture
def faulty(monkeypatch):
    """Make functions of `os` or `fcntl` fail below the writer. No waiting between tries."""
    monkeypatch.setattr(appender, "RETRY_SECONDS", 0)

    def set_up(faults, module=os):
        made = Faulty(module, faults)
        monkeypatch.setattr(livefile, module.__name__, made)
        return made

    return set_up


def short(real, fd, data):
    return real(fd, data[: max(1, len(data) // 3)])


def short_then_full(real, fd, data):
    if len(data) < 200:
        raise OSError(errno.ENOSPC, "full")
    return real(fd, data[:-150])


def moved_away(directory):
    if directory.exists():
        (directory / NAME).rename(directory / "llm_transcript-old.jsonl")


def touched(directory):
    directory.mkdir(exist_ok=True)
    with (directory / NAME).open("ab") as file:
        file.write(b"\n")


def nothing(directory):
    pass


NAMES = ["ENOSPC", "EIO", "EROFS", "EDQUOT", "EFBIG", "ESTALE", "EAGAIN", "ENOMEM"]
OPENING = ["EMFILE", "ENFILE", "EACCES", "ENOTDIR", "ELOOP", "ENAMETOOLONG", "EPERM"]
FAULTS = [
    *(("write", getattr(errno, name), nothing) for name in NAMES),
    *(("open", getattr(errno, name), moved_away) for name in [*NAMES, *OPENING]),
    ("write", short_then_full, nothing),
    ("pread", errno.EIO, touched),
    ("set_blocking", errno.EIO, moved_away),
]


@pytest.mark.parametrize("before", [0, 3])
@pytest.mark.parametrize(("function", "fault", "disturb"), FAULTS)
def test_faults(tmp_path, faulty, function, fault, disturb, before):
    directory = tmp_path / "run"
    fake = faulty({function: fault})
    lost = []
    writer = Writer(directory, on_lost=lambda reason, count: lost.append((reason, count)))
    said = []

    def turns(count):
        for _ in range(count):
            said.append(f"{len(said)}")
            yield writer.write(ask(*said))

    assert list(turns(before)) == [True] * before
    disturb(directory)
    fake.failing = True
    assert list(turns(3)) == [False] * 3
    fake.failing = False
    assert list(turns(3)) == [True] * 3
    good, bad = read(directory)
    assert len(bad) <= (3 if fault is short_then_full else 0)
    check_numbers(directory)
    check_chains(lines_of(good), said, {before + 4, before + 5, before + 6})
    gaps = [line for line in lines_of(good) if line["type"] == "gap"]
    assert {gap["reason"] for gap in gaps} == {reason for reason, _ in lost}
    assert sum(gap["dropped"] for gap in gaps) == sum(count for _, count in lost) >= 3
    assert len(gaps) == 1 or fault is short_then_full


def lines_of(good):
    return [line for name, line in good if name == NAME]


def check_chains(live, said, least):
    asked = [line for line in live if line["type"] == "provider_call_request"]
    for line in asked:
        assert [m["content"] for m in messages_of(live, line["context"])] == said[: line["message_count"]]
    assert least <= {line["message_count"] for line in asked}


def test_a_file_in_the_place_of_the_directory(tmp_path, monkeypatch):
    monkeypatch.setattr(appender, "RETRY_SECONDS", 0)
    (tmp_path / "run").touch()
    lost = []
    writer = Writer(tmp_path / "run" / "inner", on_lost=lambda *told: lost.append(told))
    assert not writer.write(note("a"))
    assert lost == [("ENOTDIR", 1)]
    (tmp_path / "run").unlink()
    assert writer.write(note("b"))


def test_short_writes_are_finished(tmp_path, faulty):
    faulty({"write": short}).failing = True
    writer = Writer(tmp_path)
    for number in range(5):
        assert writer.write(note(f"{number}" * 1000))
    assert notes(tmp_path) == [f"{number}" * 1000 for number in range(5)]


def torn_line(directory):
    with (directory / NAME).open("ab", buffering=0) as other:
        other.write(b'\n{"type":"note","te')


def test_a_line_torn_by_one_without_the_lock_after_we_looked(tmp_path, faulty):
    writer = Writer(tmp_path)
    assert writer.write(note("a"))

    def write(real, fd, data):
        fake.failing = False
        torn_line(tmp_path)
        return real(fd, data)

    fake = faulty({"write": write})
    for texts in (["b"], ["c", "d"]):
        fake.failing = True
        assert writer.write(lambda _: [note(text)(_)[0] for text in texts])  # noqa: B023 - called at once
        assert writer.write(note("next"))
    assert sorted(notes(tmp_path)) == ["a", "b", "c", "d", "next", "next"]
    assert len(read(tmp_path)[1]) == 2
    check_numbers(tmp_path)


def test_a_short_write_that_another_came_behind_is_not_trusted(tmp_path, faulty):
    def write(real, fd, data):
        count = short(real, fd, data)
        torn_line(tmp_path)
        return count

    fake = faulty({"write": write})
    writer = Writer(tmp_path)
    assert writer.write(note("a"))
    fake.failing = True
    assert not writer.write(note("b"))
    fake.failing = False
    assert writer.write(note("c"))
    assert notes(tmp_path) == ["a", "c"]
    assert lines_of_type(tmp_path, "gap")[0]["dropped"] == 1


def lines_of_type(directory, kind):
    return [line for _, line in read(directory)[0] if line["type"] == kind]


@pytest.mark.parametrize("fault", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EIO])
def test_where_there_is_no_lock_we_go_without(tmp_path, faulty, fault):
    faulty({"flock": fault}, fcntl).failing = True
    writer = Writer(tmp_path)
    assert [writer.write(note(text)) for text in "abc"] == [True] * 3
    assert notes(tmp_path) == ["a", "b", "c"]


def test_a_failed_sync_is_said_and_nothing_is_called_lost(tmp_path, faulty, caplog):
    fake = faulty({"fdatasync": errno.EIO})
    lost = []
    writer = Writer(tmp_path, mode="sync", on_lost=lambda *told: lost.append(told))
    assert writer.write(note("a"))
    fake.failing = True
    assert not writer.write(note("b"))
    assert not writer.write(note("c"))
    fake.failing = False
    assert writer.write(note("d"))
    assert notes(tmp_path) == ["a", "b", "c", "d"]
    assert not lost
    assert [record.args[1] for record in caplog.records] == ["sync EIO (Input/output error)"]


def test_a_file_that_cannot_be_rotated_goes_on_growing(tmp_path, faulty, caplog):
    fake = faulty({"rename": errno.EACCES})
    fake.failing = True
    writer = Writer(tmp_path, max_bytes=1)
    assert [writer.write(note(text)) for text in "abc"] == [True] * 3
    assert fake.calls.count("rename") == 1
    assert [path.name for path in tmp_path.iterdir()] == [NAME]
    assert [record.args[1] for record in caplog.records] == ["rotation EACCES (Permission denied)"]


def test_a_sick_file_system_is_left_alone_for_a_second(tmp_path, faulty, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(appender, "RETRY_SECONDS", 1.0)
    monkeypatch.setattr(appender.time, "monotonic", lambda: now[0])
    fake = faulty({"open": errno.EIO})
    fake.failing = True
    lost = []
    writer = Writer(tmp_path, on_lost=lambda reason, count: lost.append((reason, count)))
    for _ in range(50):
        assert not writer.write(ask("a"))
    assert fake.calls.count("open") == 1
    now[0] += 1.0
    assert not writer.write(ask("a"))
    assert fake.calls.count("open") == 2
    now[0] += 1.0
    fake.failing = False
    assert writer.write(ask("a"))
    assert lost == [("EIO", 1)] * 51
    assert [(line["type"], line["seq"]) for line in lines(tmp_path)] == [
        ("transcript_open", 51), ("gap", 52), ("message", 53), ("provider_call_request", 54),
    ]  # fmt: skip
    assert lines(tmp_path)[1]["dropped"] == 51


def test_each_reason_is_logged_once_and_shows_nothing_of_the_prompt(tmp_path, faulty, caplog):
    fake = faulty({"open": errno.EACCES, "write": errno.ENOSPC})
    writer = Writer(tmp_path)
    fake.failing = True
    for _ in range(3):
        writer.write(ask("geheim"))
    fake._faults = {"write": errno.ENOSPC}
    for _ in range(3):
        writer.write(ask("geheim"))
    assert [(r.name, r.levelno, r.args[1].split()[0]) for r in caplog.records] == [
        ("spanscript", logging.WARNING, "EACCES"),
        ("spanscript", logging.WARNING, "ENOSPC"),
    ]
    assert "geheim" not in caplog.text


def test_close_tells_what_was_lost(tmp_path, faulty):
    fake = faulty({"write": errno.ENOSPC})
    writer = Writer(tmp_path)
    fake.failing = True
    assert not writer.write(note("a"))
    fake.failing = False
    writer.close()
    assert [line["type"] for line in lines(tmp_path)] == ["transcript_open", "gap"]


# ---- limits and disks that are really full


def until_lost(writer, size=1000):
    """Write until it fails; how many were written."""
    for number in range(100_000):
        if not writer.write(note(f"{number} {'x' * size}")):
            return number
    raise AssertionError("it is never full")


def resume(writer, directory, lost, written):
    """Space is back: within seconds it goes on, and the gap tells exactly what was lost."""
    end = time.monotonic() + 5
    tries = 0
    while not writer.write(note("again")):
        tries += 1
        assert time.monotonic() < end
        time.sleep(0.05)
    good, bad = read(directory)
    assert len(bad) <= 1
    texts = notes(directory)
    assert [int(text.split()[0]) for text in texts[:-1]] == list(range(written))
    assert texts[-1] == "again"
    check_numbers(directory)
    gaps = [line for _, line in good if line["type"] == "gap"]
    assert {gap["reason"]: gap["dropped"] for gap in gaps} == dict.fromkeys(dict(lost), tries + 1)


def test_emptied_by_a_rotation_that_copies_and_truncates(tmp_path):
    writer = Writer(tmp_path)
    for turn in range(4):
        assert writer.write(ask(*map(str, range(turn))))
    shutil.copy(tmp_path / NAME, tmp_path / "copy")
    os.truncate(tmp_path / NAME, 0)

    assert writer.write(ask(*map(str, range(5))))

    first, *rest = lines(tmp_path)
    assert first["type"] == "transcript_open"
    assert sum(line["type"] == "message" for line in rest) == 5


def limited(directory, limit, small):
    lost = []
    writer = Writer(directory, on_lost=lambda *told: lost.append(told))
    assert limit != resource.RLIMIT_NOFILE or writer.write(note("0")) is True
    soft, hard = resource.getrlimit(limit)
    if limit == resource.RLIMIT_NOFILE:
        (directory / NAME).rename(directory / "llm_transcript-0.jsonl")
        used = [os.dup(0) for _ in range(20)]
        small = max(used)
        [os.close(fd) for fd in used[:-1]]
        small = used[0]
    resource.setrlimit(limit, (small, hard))
    written = until_lost(writer)
    resource.setrlimit(limit, (soft, hard))
    resume(writer, directory, lost, max(written, limit == resource.RLIMIT_NOFILE))


@pytest.mark.parametrize(("limit", "small"), [(resource.RLIMIT_FSIZE, 20_500), (resource.RLIMIT_NOFILE, 0)])
def test_limits(tmp_path, limit, small):
    assert in_child(limited, tmp_path, limit, small) == 0


def fill_and_free(path):
    directory, lost = Path(path) / "run", []
    writer = Writer(directory, on_lost=lambda *told: lost.append(told))
    filler = Path(path) / "filler"
    filler.write_bytes(b"x" * 200_000)
    written = until_lost(writer)
    assert written > 5
    filler.unlink()
    resume(writer, directory, lost, written)
    print("resumed")


def test_a_full_disk(tmp_path):
    unshare = ["unshare", "--user", "--map-root-user", "--mount"]
    mount = f"mount -t tmpfs -o size=400k tmpfs {tmp_path}"
    if (
        not shutil.which("unshare")
        or subprocess.run([*unshare, "sh", "-c", mount], capture_output=True, check=False).returncode
    ):
        pytest.skip("a small tmpfs cannot be mounted here")
    script = (
        f"{mount} && exec {sys.executable} -c 'import test_faults; test_faults.fill_and_free(\"{tmp_path}\")'"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [*unshare, "sh", "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "resumed\n"), done.stderr
