"""`spanscript ls`."""

from __future__ import annotations

import argparse
from collections import deque
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Final

from spanscript._exchange import Json
from spanscript.cli import _filters, _source
from spanscript.cli._ids import LONG_ID, id_length
from spanscript.cli._screen import dump_list
from spanscript.cli._table import Cell, print_table
from spanscript.transcript import summary
from spanscript.transcript.reader import Transcript

EXAMPLE: Final = "spanscript ls --dir ./run --since 2h --status failed"

_COLUMNS: Final = {
    "model": "model",
    "place": "stage",
    "attempts": "attempts",
    "status": "status",
    "input_tokens": "in",
    "output_tokens": "out",
    "ms": "ms",
    "error": "error",
}
"""Key of the record → heading."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    _source.add_arguments(parser)
    _filters.add_limit(parser)
    _filters.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """
    List the calls that were asked for, the newest last.

    Those of a large transcript are listed while it is read, as they ended.
    """
    streamed = args.limit is None and _source.is_large(args)
    transcript = _source.unread(args) if streamed else _source.load(args)
    calls = transcript.stream() if streamed else transcript.calls()
    chosen = _filters.chosen(args, transcript, calls)
    records = map(summary.of_call, chosen if args.limit is None else deque(chosen, args.limit))
    if args.json:
        dump_list(records)
    else:
        _print(records, LONG_ID if streamed else id_length(transcript.calls()), transcript)
    _source.require_entries(transcript, _source.path_of(args))
    return _source.code_after(transcript)


def _print(records: Iterator[dict[str, Json]], length: int, transcript: Transcript) -> None:
    first = next(records, None)
    if first is None:
        of = len(transcript.calls())
        print(f"none of {of} calls is so" if of else "no calls yet")
        return
    rows = (_row(record, length) for record in chain((first,), records))
    print_table(["time (UTC)", "call", *_COLUMNS.values()], rows, flexible=("model", "stage", "error"))


def _row(record: Mapping[str, Json], length: int) -> list[Cell]:
    place = [str(record[key]) for key in ("stage", "iteration") if key in record]
    error = record.get("error_message", record.get("error_type"))
    told = {**record, "place": " ".join(place), "error": error}
    began = record.get("timestamp", "")[:19].replace("T", " ")
    return [began, record["call_id"][:length], *map(told.get, _COLUMNS)]
