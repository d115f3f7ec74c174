"""`spanscript stats`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Final

from spanscript._exchange import Json
from spanscript._text import dump
from spanscript.cli import _filters, _source
from spanscript.cli._screen import Piece, Screen, bar
from spanscript.cli._table import Cell, print_table
from spanscript.cli._tally import GROUPS, KINDS, PERCENTILES, tally

EXAMPLE: Final = "spanscript stats --dir ./run --by stage --since 3d"

_BAR: Final = 12
_TOTAL: Final = "total"
_RATES: Final = ("failed", "retried", "cached", "cost")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    _source.add_arguments(parser)
    parser.add_argument("--by", choices=list(GROUPS), default="model", help="group by (default: model)")
    _filters.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print counts, tokens, cost and latencies of the calls that were asked for, by group."""
    transcript = _source.load(args)
    groups, total = tally(_filters.chosen(args, transcript, transcript.calls()), args.by)
    order = sorted(groups, key=lambda name: (-groups[name].calls * (args.by != "day"), str(name)))
    records = [{args.by: name, **groups[name].record()} for name in order]
    if args.json:
        print(dump({"by": args.by, "groups": records, _TOTAL: total.record()}))
    elif not records:
        print("no calls")
    else:
        _print(args.by, records, total.record())
    return _source.code_after(transcript)


def _print(by: str, records: Sequence[Mapping[str, Json]], total: Mapping[str, Json]) -> None:
    screen = Screen()
    rows = [*records, *([{by: _TOTAL, **total}] if len(records) > 1 else ())]
    names = [_name(row[by]) for row in rows]
    _print_counts(by, names, rows, total["calls"])
    if any(kind in total for kind in KINDS):
        screen.line()
        _print_tokens(by, names, rows, total)
    for key, what in (("ms", "call, ms"), ("first_chunk_ms", "first chunk, ms")):
        if key in total:
            screen.line()
            _print_latencies(
                by, what, [(name, row[key]) for name, row in zip(names, rows, strict=True) if key in row]
            )
    if total["unpriced"]:
        screen.line()
        screen.line(Piece(_unpriced(total["unpriced"]), "dim"))


def _print_counts(by: str, names: Sequence[str], rows: Sequence[Mapping[str, Json]], of: int) -> None:
    cells: list[list[Cell]] = []
    for name, row in zip(names, rows, strict=True):
        rates = [_percent(row.get("error_rate"), "red"), _percent(row.get("retry_rate"), "yellow")]
        cells.append(
            [name, row["calls"], Piece(bar(row["calls"] / of, _BAR), "blue"), row["attempts"], *rates]
        )
    print_table([by, "calls", "", "attempts", "failed", "retried"], cells, flexible=(by,), right=_RATES)


def _print_tokens(
    by: str, names: Sequence[str], rows: Sequence[Mapping[str, Json]], total: Mapping[str, Json]
) -> None:
    kinds = [kind for kind in KINDS if total.get(kind)]
    headers = [by, *(kind.removesuffix("_tokens").replace("_", " ") for kind in kinds), "cached", "cost"]
    cells: list[list[Cell]] = []
    for name, row in zip(names, rows, strict=True):
        cost = f"${row['cost_usd']:.{4 if row['cost_usd'] >= 1 else 6}f}" if "cost_usd" in row else None
        cells.append([name, *map(row.get, kinds), _percent(row.get("cache_hit_rate"), "green"), cost])
    print_table(headers, cells, flexible=(by,), right=_RATES)


def _print_latencies(by: str, what: str, rows: Sequence[tuple[str, Mapping[str, float]]]) -> None:
    """A bar is solid to the first percentile, and light to the last one, all on one scale."""
    names = [f"p{percent}" for percent in PERCENTILES]
    longest = max(found[names[-1]] for _, found in rows) or 1
    cells: list[list[Cell]] = []
    for name, found in rows:
        usual, rare = (round(found[key] / longest * 2 * _BAR) for key in (names[0], names[-1]))
        cells.append([name, *map(found.get, names), Piece("█" * usual + "░" * (rare - usual), "blue")])
    print_table([by, *names, what], cells, flexible=(by,))


def _percent(share: float | None, style: str) -> Cell:
    return None if share is None else Piece(f"{share:.0%}", style if share else "")


def _name(value: Json) -> str:
    return "(none)" if value is None else str(value)


def _unpriced(number: int) -> str:
    why = "their list price is not known" if find_spec("genai_prices") else "pip install 'spanscript[prices]'"
    return f"attempts without a cost: {number} ({why})"
