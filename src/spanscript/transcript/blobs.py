"""
The writer's half of blobs: large base64 leaves the lines and is stored once, by its hash, in `blobs/`.

A blob is in place before the line that refers to it is written, and whole as soon as it has its name. Any
number of processes may store the same one at once. One that no line refers to (its writer died in between)
harms nobody.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterable, Iterator
from typing import Final

from spanscript._blobs import FOLDER, Mark, cut, decoded, named
from spanscript.transcript.conversation import Recent
from spanscript.transcript.entries import Entry
from spanscript.transcript.livefile import RefusedError

_REMEMBERED: Final = 16 * 1024 * 1024
"""Bytes of base64 whose hash is remembered: what stands in no message is sent with every request."""
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


class BlobWriter:
    """
    Cuts base64 out of entries and stores it.

    Not for several threads at once.

    Args:
        directory: The transcript's; it exists when something is stored.
        durable: What is stored survives power loss too.
    """

    def __init__(self, directory: str, *, durable: bool) -> None:
        self._path = f"{directory}/{FOLDER}"
        self._directory = directory
        self._durable = durable
        self._known: Recent[bytes, Mark] = Recent(_REMEMBERED)
        self._decoded: dict[Mark, bytes] = {}

    def take(self, entries: Iterable[Entry]) -> tuple[list[Entry], list[tuple[Mark, bytes]]]:
        """The entries with marks in the place of large base64, and that base64, to be stored before them."""
        self._decoded.clear()  # an interrupt may have left something
        marked: list[Entry] = []
        taken: list[tuple[Mark, bytes]] = []
        for entry in entries:
            text, pieces = cut(entry.fields, self._mark)
            marked.append(Entry(entry.type, b'"blobs":%d,%b' % (len(pieces), text)) if pieces else entry)
            taken += pieces
        return marked, taken

    def store(self, pieces: list[tuple[Mark, bytes]]) -> None:
        """
        Store base64 as the bytes that it stands for, unless that is done.

        Raises:
            OSError: It cannot be stored.
        """
        if not pieces:
            return
        try:
            with self._open() as folder:
                for mark, piece in pieces:
                    if not _is_there(mark, folder):
                        data = self._decoded.get(mark)
                        self._write(mark, decoded(piece)[0] or b"" if data is None else data, folder)
        finally:
            self._decoded.clear()

    def _mark(self, piece: bytes) -> Mark | None:
        known = self._known.get(piece)
        if known is not None:
            return known
        found = named(piece)
        if found is None:
            return None
        mark, self._decoded[found[0]] = found
        self._known.put(piece, mark, len(piece))
        return mark

    @contextlib.contextmanager
    def _open(self) -> Iterator[int]:
        with contextlib.suppress(FileExistsError):
            os.mkdir(self._path, 0o700)  # noqa: PTH102  # a path that is text already
            if self._durable:
                _sync_directory(self._directory)
        try:
            folder = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError as error:
            if stat.S_ISLNK(os.lstat(self._path).st_mode):
                raise RefusedError(error.errno, f"{FOLDER} is a symbolic link") from None
            raise
        try:
            if os.fstat(folder).st_uid not in (os.geteuid(), 0) and os.geteuid() != 0:
                raise RefusedError(errno.EPERM, f"{FOLDER} belongs to another user")
            yield folder
        finally:
            os.close(folder)

    def _write(self, mark: Mark, data: bytes, folder: int) -> None:
        temporary = f".{mark.sha256}.{os.urandom(4).hex()}"
        fd = os.open(temporary, _NEW, 0o600, dir_fd=folder)
        try:
            try:
                self._fill(fd, data)
            finally:
                os.close(fd)
            os.rename(temporary, mark.sha256, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=folder)
            raise
        if self._durable:
            os.fsync(folder)

    def _fill(self, fd: int, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        if self._durable:
            os.fsync(fd)


def _is_there(mark: Mark, folder: int) -> bool:
    """Whether a file has its name and its size. Anything else in its place is replaced."""
    try:
        found = os.stat(mark.sha256, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size == mark.size


def _sync_directory(path: str) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
