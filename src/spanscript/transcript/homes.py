"""
Where an index is kept: beside the files, else in the user's cache, else nowhere.

Others may write to the same directory, and what is there may have been put there by others: only a regular
file of ours in a directory in which nobody else can write is used.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from spanscript.transcript.index import Index

SUFFIX: Final = ".index"


def opened(path: Path) -> tuple[Index, Path | None]:
    """The index of a file or directory, and where it is kept: nowhere if it cannot be."""
    for home in _homes(path):
        index = _opened_at(home) or _opened_at(home)  # what was no index is gone the second time
        if index is not None:
            return index, home
    return Index(), None


def discard(home: Path, error: sqlite3.Error) -> None:
    """Throw away what is no index, or a damaged one. One that is merely busy stays."""
    if type(error) is sqlite3.DatabaseError:
        for path in (home, home.with_name(f"{home.name}-journal")):
            path.unlink(missing_ok=True)


def _opened_at(home: Path) -> Index | None:
    try:
        return Index(_made(home))
    except sqlite3.Error as error:
        with contextlib.suppress(OSError):
            discard(home, error)
    except OSError:
        pass  # no place to keep it
    return None


def _homes(path: Path) -> Iterator[Path]:
    """Where an index may be kept, the best place first: beside the files, else in the user's cache."""
    path = Path(os.path.realpath(path))
    folder, name = (path, "llm_transcript") if path.is_dir() else (path.parent, path.name)
    if _is_ours(folder):
        yield folder / f"{name}{SUFFIX}"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "spanscript"
    with contextlib.suppress(OSError):  # no home, or one that cannot be written to: then none is kept
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        if _is_ours(cache):
            yield cache / f"{hashlib.sha256(os.fsencode(path)).hexdigest()[:32]}{SUFFIX}"


def _is_ours(folder: Path) -> bool:
    """Whether we can write there and nobody else can, who could put something in an index's home."""
    try:
        found = folder.stat()
    except OSError:
        return False
    return found.st_uid == os.geteuid() and not found.st_mode & 0o022 and os.access(folder, os.W_OK)


def _made(home: Path) -> Path:
    """Make sure that there is a file of ours, that nobody else reads and that has no other name."""
    with contextlib.suppress(FileNotFoundError):
        found = home.lstat()
        mine = found.st_uid == os.geteuid() and found.st_nlink == 1 and not found.st_mode & 0o077
        if not (mine and stat.S_ISREG(found.st_mode)):
            home.unlink()
    os.close(os.open(home, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    return home
