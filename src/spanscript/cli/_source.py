"""The transcript that a command is to read, and what is said when it could not be read in whole."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Protocol

from spanscript._text import clean
from spanscript.cli._progress import bar
from spanscript.config import SPANSCRIPT_DIR
from spanscript.transcript.indexing import INDEX_FROM
from spanscript.transcript.lines import FILES, Problem, TranscriptError, files_of
from spanscript.transcript.reader import Call, Transcript


class Read(Protocol):
    """What is known of what was read, see `Transcript`."""

    @property
    def entries(self) -> int: ...
    @property
    def known(self) -> int: ...
    @property
    def problems(self) -> int: ...
    @property
    def first_problem(self) -> Problem | None: ...


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Let a command be told what to read, and to print for programs."""
    parser.add_argument(
        "--dir",
        default=os.environ.get(SPANSCRIPT_DIR) or None,
        help=f"directory of the transcript, or one file of it (default: ${SPANSCRIPT_DIR})",
    )
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


def add_call(parser: argparse.ArgumentParser) -> None:
    """Let a command be about one call."""
    parser.add_argument("call", metavar="CALL", help="a call's id or any beginning of it; or `last`")


def path_of(args: argparse.Namespace) -> str:
    """
    File or directory to read.

    Raises:
        TranscriptError: None was given.
    """
    if not args.dir:
        raise TranscriptError(f"no transcript is named: give --dir DIR, or set {SPANSCRIPT_DIR}")
    return str(args.dir)


def load(args: argparse.Namespace) -> Transcript:
    """
    Read the transcript.

    Raises:
        TranscriptError: There is none, or nothing in it could be read.
    """
    with bar("reading") as show:
        transcript = Transcript(path_of(args), show)
    require_entries(transcript, path_of(args))
    return transcript


def is_large(args: argparse.Namespace) -> bool:
    """
    Whether reading all of it takes a while.

    Raises:
        TranscriptError: There is none.
    """
    return sum(file.stat().st_size for file in files_of(path_of(args))) > INDEX_FROM


def unread(args: argparse.Namespace) -> Transcript:
    """
    The transcript, of which nothing was read yet.

    Raises:
        TranscriptError: There is none.
    """
    return Transcript.unread(path_of(args))


def require_entries(transcript: Read, path: str) -> None:
    """
    Refuse what is no transcript at all.

    Raises:
        TranscriptError: It holds nothing that could be read as a transcript's entry.
    """
    if transcript.known:
        return
    if transcript.first_problem is not None:
        more = f" (and {transcript.problems - 1} more such lines)" if transcript.problems > 1 else ""
        raise TranscriptError(f"{transcript.first_problem}{more}; {path} holds no entry of a transcript")
    empty = f"every {FILES} in it is empty" if Path(path).is_dir() else "the file is empty"
    what = "no entry in it is of a type that is known" if transcript.entries else empty
    raise TranscriptError(f"{path}: {what}; give the directory that {SPANSCRIPT_DIR} named, or a file of it")


def find(args: argparse.Namespace, transcript: Transcript) -> Call:
    """
    The call that a command is about.

    Raises:
        TranscriptError: There is no such call, or there are several.
    """
    return find_named(args, transcript, args.call)


def find_named(args: argparse.Namespace, transcript: Transcript, name: str) -> Call:
    """
    The call with that name, an id's beginning or `last`.

    Raises:
        TranscriptError: There is no such call, or there are several.
    """
    try:
        return transcript.find(name)
    except TranscriptError as error:
        damage = "" if transcript.first_problem is None else f" (unreadable: {transcript.first_problem})"
        raise TranscriptError(f"{path_of(args)}: {error}{damage}") from error


def code_after(transcript: Read, missing: str | None = None) -> int:
    """Say on stderr what could not be read: *missing*, else the first bad line. Gives the exit code."""
    if transcript.first_problem is None and missing is None:
        return 0
    more = f" (and {transcript.problems - 1} more)" if missing is None and transcript.problems > 1 else ""
    hint = "what can be read is shown; `spanscript check` lists all"
    sentence = clean(f"{missing or transcript.first_problem}{more}; {hint}", one_line=True)
    print(f"spanscript: {sentence}", file=sys.stderr)
    return 2
