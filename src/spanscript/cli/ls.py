"""`spanscript ls`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from spanscript._exchange import Json
from spanscript.cli import _source, _summary
from spanscript.cli._table import print_table
from spanscript.cli._text import dump

EXAMPLE: Final = "spanscript ls --dir ./run"

_SHORTEST: Final = 8
_COLUMNS: Final = {
    "model": "model",
    "attempts": "attempts",
    "status": "status",
    "input_tokens": "in",
    "output_tokens": "out",
    "ms": "ms",
}
"""Key of the record → heading."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    _source.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """List all calls, the oldest first."""
    transcript = _source.load(args)
    records = [_summary.of_call(call) for call in transcript.calls()]
    if args.json:
        print(dump(records))
    elif records:
        _print(records)
    else:
        print("no calls yet")
    return _source.code_after(transcript)


def _print(records: Sequence[dict[str, Json]]) -> None:
    length = unique_length([record["call_id"] for record in records])
    rows = [
        [
            record.get("timestamp", "")[:19].replace("T", " "),
            record["call_id"][:length],
            *map(record.get, _COLUMNS),
        ]
        for record in records
    ]
    print_table(["time (UTC)", "call", *_COLUMNS.values()], rows)


def unique_length(names: Sequence[str]) -> int:
    """The length, 8 at least, at which the beginnings of all names differ."""
    ordered = sorted(names)
    shared = (_shared(*pair) for pair in pairwise(ordered))
    return max(_SHORTEST, max(shared, default=0) + 1)


def _shared(a: str, b: str) -> int:
    """Length of the common beginning of two names."""
    return next((at for at, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
