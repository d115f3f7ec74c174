"""`spanscript check`."""

from __future__ import annotations

import argparse
from typing import Final

from msgspec.structs import asdict

from spanscript._exchange import Json
from spanscript._text import clean, dump
from spanscript.cli import _source
from spanscript.transcript.check import Check

EXAMPLE: Final = "spanscript check --dir ./run && echo whole"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    _source.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print each problem as `file:line: reason`; 1 if there is any."""
    path = _source.path_of(args)
    checking = Check(path)
    problems: list[Json] = []
    found = notes = 0
    for problem in checking:
        found, notes = found + (not problem.note), notes + problem.note
        if args.json:
            problems.append({k: v for k, v in asdict(problem).items() if v is not None})
        else:
            print(clean(f"{problem.where}: {'note: ' * problem.note}{problem.reason}", one_line=True))
    _source.require_entries(checking.transcript, path)
    calls = checking.transcript.calls()
    counts = {
        "entries": checking.transcript.entries,
        "calls": len(calls),
        "attempts": sum(len(call.attempts) for call in calls),
        "problems": found,
        "notes": notes,
    }
    print(dump({**counts, "found": problems}) if args.json else _summary(counts))
    return 1 if found else 0


def _summary(counts: dict[str, int]) -> str:
    return ", ".join(f"{name}: {number}" for name, number in counts.items())
