"""
The live file of a transcript: opened so that only we can have made it, locked, and appended to.

Any number of processes append to one file, rotate it, and die at any moment. Hence: one `os.write` per
event on an `O_APPEND` descriptor (never a buffered file: its lock would hang a forked child), under
`flock`, after a look at the last byte; a line that a dead process left torn is closed first.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from spanscript.transcript.entries import timestamp

NAME: Final = "llm_transcript.jsonl"

_FLAGS: Final = (
    os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
)
_LOCK_PAUSES: Final = (0.0, *(0.0005,) * 4, *(0.001,) * 18)
"""Seconds between tries to lock. A holder writes for less than a millisecond, unless it is frozen."""
_AFTER_CONTENTION: Final = 1.0
"""Seconds during which nobody waits again for a lock that was not to be had."""
_ROTATE_AGAIN: Final = 60.0
_REPLACED_TOO_OFTEN: Final = 100


class RefusedError(OSError):
    """There is something in the transcript's place that is not safe to write to."""


def reason_of(error: OSError) -> str:
    """One word for counters and `gap` lines: `refused`, or the name of the error number."""
    if isinstance(error, RefusedError):
        return "refused"
    return errno.errorcode.get(error.errno or 0, "OSError")


class LiveFile:
    """
    One writer's way to the live file. `enter`, then `append`, then `leave`, whatever happened.

    Not for several threads at once. Every method may raise `OSError`, except `leave` and `close`.

    Attributes:
        opened: How often a file was opened. When it grows, nothing is known to be in the file.
        trouble: An error that hindered a rotation or came at close; whoever tells of it takes it away.
    """

    def __init__(self, directory: str, *, max_bytes: int, durable: bool) -> None:
        """*max_bytes*: rotate at that size, 0: never. *durable*: the file's name survives power loss too."""
        self._fd = -1
        self.opened = 0
        self.trouble: OSError | None = None
        self._directory = directory
        self._path = f"{directory}/{NAME}"
        self._max_bytes = max_bytes
        self._durable = durable
        self._identity = (0, 0)
        self._locked = False
        self._size = 0
        self._clean_size = -1
        self._landed = 0
        self._contended_until = 0.0
        self._rotate_from = 0.0

    def enter(self, writer: str) -> None:
        """Come to the end of the file that has the live name, alone if possible; rotate it if it is full."""
        self._landed = 0
        for _ in range(_REPLACED_TOO_OFTEN):
            if not self._is_open():
                self._open()
            self._locked = self._lock()
            if not self._has_the_name():
                self.close()
            elif not (self._is_full() and self._rotate(writer)):
                return
        raise OSError(errno.EBUSY, "the file is replaced all the time")

    def append(self, data: bytes) -> None:
        """Write whole lines. If it fails, `landed` says how much of them is in the file."""
        lead = b"" if self._locked and self._ends_clean() else b"\n"
        self._landed = -len(lead)
        start = self._write(lead + data)
        if self._locked:
            self._clean_size = start + len(lead) + len(data)
        if not lead and start != self._size and os.pread(self._fd, 1, start - 1) != b"\n":
            # Since we looked, somebody without the lock died in the middle of a line: our first is spoilt.
            self._write(b"\n" + data[: data.index(b"\n") + 1])

    def _write(self, data: bytes) -> int:
        """Where it begins in the file. Usually one `os.write`; several only if the system takes less."""
        view = memoryview(data)
        begin = end = -1
        while view:
            count = os.write(self._fd, view)
            self._landed += count
            start = os.lseek(self._fd, 0, os.SEEK_CUR) - count
            if begin < 0:
                begin = start
            elif start != end:
                raise OSError(errno.EAGAIN, "a part was written, and others wrote behind it")
            end = start + count
            view = view[count:]
        return begin

    def landed(self, length: int, *, interrupted: bool) -> int:
        """
        How many of the *length* bytes last given to `append` are in the file.

        An interrupt (by a signal) can hide what `os.write` said; then the file's growth tells.
        """
        landed = self._landed
        if interrupted and self._locked:
            with contextlib.suppress(OSError):  # then what `os.write` said is all there is
                landed = max(landed, os.fstat(self._fd).st_size - self._size + min(landed, 0))
        return max(0, min(landed, length))

    def sync(self) -> None:
        """Wait until what was written is on the disk."""
        (os.fdatasync if hasattr(os, "fdatasync") else os.fsync)(self._fd)

    def leave(self) -> None:
        """Give the lock back. (Also if an interrupt came before it was noted that there is one.)"""
        if self._fd >= 0:
            with contextlib.suppress(OSError):  # the descriptor was closed under us, then the lock is gone
                fcntl.flock(self._fd, fcntl.LOCK_UN)
        self._locked = False

    def close(self) -> None:
        """Close the descriptor, and with it the lock; `enter` opens again."""
        if self._is_open():
            fd, self._fd = self._fd, -1
            try:
                os.close(fd)
            except OSError as error:  # a network file system may say only now that it is full
                self.trouble = error

    def __del__(self) -> None:
        self.close()

    def _is_open(self) -> bool:
        """
        Whether our descriptor is still ours.

        Apps that become daemons close all descriptors; the number may by now be a socket of theirs.
        """
        if self._fd < 0:
            return False
        try:
            now = os.fstat(self._fd)
        except OSError as error:
            ours = error.errno != errno.EBADF
        else:
            ours = (now.st_dev, now.st_ino) == self._identity
        if not ours:
            self._fd = -1
        return ours

    def _open(self) -> None:
        self._clean_size = -1
        with self._open_directory() as directory:
            try:
                fd = os.open(NAME, _FLAGS, 0o600, dir_fd=directory)
            except OSError as error:
                if error.errno == errno.ELOOP:
                    raise RefusedError(errno.ELOOP, "the file is a symbolic link") from None
                raise
            try:
                self._identity = _check_file(fd)
                os.set_blocking(fd, True)
                if self._durable:
                    os.fsync(directory)
            except BaseException:
                os.close(fd)
                raise
            self.opened += 1
            self._fd = fd

    @contextlib.contextmanager
    def _open_directory(self) -> Iterator[int]:
        _make_directory(Path(self._directory))
        directory = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            owner = os.fstat(directory).st_uid
            if owner not in (os.geteuid(), 0) and os.geteuid() != 0:
                raise RefusedError(errno.EPERM, "the directory belongs to another user")
            yield directory
        finally:
            os.close(directory)

    def _lock(self) -> bool:
        """Lock, but do not wait for somebody who keeps it; where there is no lock, go without."""
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return time.monotonic() >= self._contended_until and self._wait_for_lock()
        except OSError:
            return False
        return True

    def _wait_for_lock(self) -> bool:
        for pause in _LOCK_PAUSES:
            time.sleep(pause)
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
        self._contended_until = time.monotonic() + _AFTER_CONTENTION
        return False

    def _has_the_name(self) -> bool:
        """Whether nobody rotated, removed or emptied our file; learns its size."""
        try:
            there = os.lstat(self._path)
        except OSError:
            return False  # `_open` says what is the matter, if it still is
        self._size = there.st_size
        emptied = self._size < self._clean_size  # `logrotate` does so, told to `copytruncate`
        return (there.st_dev, there.st_ino) == self._identity and not emptied

    def _ends_clean(self) -> bool:
        if self._size in (0, self._clean_size):
            return True
        return os.pread(self._fd, 1, self._size - 1) == b"\n"

    def _is_full(self) -> bool:
        full = self._locked and 0 < self._max_bytes <= self._size
        return full and time.monotonic() >= self._rotate_from

    def _rotate(self, writer: str) -> bool:
        """Give the file its final name. If that cannot be done, it goes on growing."""
        at = timestamp(time.time_ns()).replace("-", "").replace(":", "")
        name = f"llm_transcript-{at}-{writer}.jsonl"
        try:
            with self._open_directory() as directory:
                if os.path.lexists(f"{self._directory}/{name}"):
                    raise FileExistsError(errno.EEXIST, "the rotated file's name is taken")
                os.rename(NAME, name, src_dir_fd=directory, dst_dir_fd=directory)
        except OSError as error:
            self.trouble = error
            self._rotate_from = time.monotonic() + _ROTATE_AGAIN
            return False
        self.close()
        return True


def _make_directory(path: Path) -> None:
    """Make what is missing, each for us alone."""
    for missing in reversed([path, *path.parents]):
        if not missing.exists():
            with contextlib.suppress(FileExistsError):  # another process was faster
                missing.mkdir(mode=0o700)


def _check_file(fd: int) -> tuple[int, int]:
    """
    Its identity (device, inode), if only we can have made it and only we can read it.

    Raises:
        RefusedError: It is no regular file, has another name too, or belongs to another user.
    """
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        raise RefusedError(errno.EPERM, "it is no regular file")
    if found.st_nlink > 1:
        raise RefusedError(errno.EMLINK, "the file has a second name (hard link)")
    if found.st_uid != os.geteuid():
        raise RefusedError(errno.EPERM, "the file belongs to another user")
    if stat.S_IMODE(found.st_mode) & 0o077:
        os.fchmod(fd, 0o600)
    return found.st_dev, found.st_ino
