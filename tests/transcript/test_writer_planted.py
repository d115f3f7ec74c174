"""What somebody may have put in the transcript's place."""

import os
import shutil
import socket
import stat
import tempfile
import time
from pathlib import Path

import pytest
from asks import in_child, lines, note

from spanscript.transcript import appender
from spanscript.transcript.livefile import NAME
from spanscript.transcript.writer import Writer


def symlink(path, outside):
    path.symlink_to(outside)


def dangling(path, outside):
    outside.unlink()
    path.symlink_to(outside)


def hard_link(path, outside):
    path.hardlink_to(outside)


def fifo(path, outside):
    os.mkfifo(path)


def unix_socket(path, outside):
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def folder(path, outside):
    path.mkdir()


def anothers(path, outside):
    path.touch(mode=0o666)
    os.chown(path, 12345, 12345)


AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.mark.parametrize(
    ("plant", "reason"),
    [
        (symlink, "refused"), (dangling, "refused"), (hard_link, "refused"), (fifo, "refused"),
        (unix_socket, "ENXIO"), (folder, "EISDIR"), pytest.param(anothers, "refused", marks=AS_ROOT),
    ],
)  # fmt: skip
def test_planted(tmp_path, monkeypatch, plant, reason):
    monkeypatch.setattr(appender, "RETRY_SECONDS", 0)
    directory = Path(tempfile.mkdtemp(dir="/tmp"))  # a socket's path must be short
    outside = tmp_path / "outside"
    outside.write_bytes(b"theirs\n")
    plant(directory / NAME, outside)
    lost = []
    writer = Writer(directory, on_lost=lambda *told: lost.append(told))
    began = time.monotonic()
    assert not writer.write(note("a"))
    assert not writer.write(note("b"))
    assert time.monotonic() - began < 5, "it hung"
    assert lost == [(reason, 1)] * 2
    assert not outside.exists() or outside.read_bytes() == b"theirs\n"
    planted = directory / NAME
    if not stat.S_ISDIR(planted.lstat().st_mode):
        planted.unlink()
    else:
        planted.rmdir()
    assert writer.write(note("c"))
    assert [line["type"] for line in lines(directory)] == ["transcript_open", "gap", "note"]
    shutil.rmtree(directory)


def test_planted_while_we_write(tmp_path):
    writer = Writer(tmp_path / "run")
    assert writer.write(note("a"))
    outside = tmp_path / "outside"
    outside.write_bytes(b"theirs\n")
    (tmp_path / "run" / NAME).unlink()
    (tmp_path / "run" / NAME).symlink_to(outside)
    assert not writer.write(note("b"))
    assert outside.read_bytes() == b"theirs\n"


def as_nobody(directory):
    os.setgid(65534)
    os.setuid(65534)
    lost = []
    writer = Writer(directory, on_lost=lambda *told: lost.append(told))
    assert not writer.write(note("a"))
    return lost


@AS_ROOT
@pytest.mark.parametrize(
    ("owner", "mode", "reason"), [(0, 0o755, "EACCES"), (12345, 0o777, "refused"), (65534, 0o500, "EACCES")]
)
def test_a_directory_that_is_not_for_us(owner, mode, reason):
    directory = Path(tempfile.mkdtemp(dir="/tmp"))
    os.chown(directory, owner, owner)
    directory.chmod(mode)

    def child():
        assert as_nobody(directory) == [(reason, 1)]

    assert in_child(child) == 0
    directory.rmdir()
