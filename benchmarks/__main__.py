"""`python -m benchmarks [--json] [case …]`: prints a table, or JSON; nothing of it fails by a time."""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Any

from benchmarks import calls, growth, imports, traffic
from benchmarks.measure import Case, Times, measure
from benchmarks.variants import VARIANTS

CASES: Mapping[str, Case] = {case.name: case for case in (*calls.CASES, *traffic.CASES, *imports.CASES)}
_GROWTH = "growth"
_LIBRARIES = ("openai", "anthropic", "httpx", "httpx2", "opentelemetry-sdk")
_HEAD = (
    "| case | A: bare | B: spans by hand | C: spans | D: and transcript | a unit more | quartiles | goal |",
    "| --- | --: | --: | --: | --: | --: | --: | --: |",
)


def main() -> None:
    names = [*CASES, _GROWTH]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="What spanscript costs.")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("case", nargs="*", help=f"of {', '.join(names)}; default: all")
    asked = parser.parse_args()
    unknown = set(asked.case) - set(names)
    if unknown:
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    chosen = asked.case or names
    timed = (measure(CASES[name], VARIANTS) for name in chosen if name in CASES)
    if asked.json:
        found = {"machine": _machine(), "microseconds": [_record(times) for times in timed]}
        print(json.dumps(found | ({_GROWTH: growth.grow()} if _GROWTH in chosen else {}), indent=1))
        return
    print(_machine(), "Microseconds of a call; in brackets, times the bare one.\n", *_HEAD, sep="\n")
    _print_rows(timed)
    if _GROWTH in chosen:
        grown = growth.grow()
        print(
            f"\nAn agent of {growth.TURNS} turns writes {grown['ratio']:.2f} times its"
            f" {grown['unique_bytes']} unique bytes (goal {growth.GOAL});"
            f" the second half of them {grown['second_half']:+.1%} beside the first."
        )


def _print_rows(timed: Iterable[Times]) -> None:
    for times in timed:
        case = times.case
        bare = case.variants[0]
        cells = [
            ""
            if v not in case.variants
            else f"{times.of(v):.0f}" + (f" ({times.ratio(v):.2f})" if v != bare else "")
            for v in "ABCD"
        ]
        low, high = times.spread
        goal = "" if case.goal is None else f"{case.goal:g}"
        row = [case.name, *cells, f"{_short(times.added)} ({case.pair[1]} - {case.pair[0]})"]
        print(f"| {' | '.join(row)} | {_short(low)} to {_short(high)} | {goal} |", flush=True)


def _short(microseconds: float) -> str:
    return f"{microseconds:.{0 if abs(microseconds) >= 100 else 1}f}"


def _record(times: Times) -> dict[str, Any]:
    case = times.case
    return {
        "case": case.name,
        "medians": {variant: times.of(variant) for variant in case.variants},
        "ratios": {variant: times.ratio(variant) for variant in case.variants},
        "pair": case.pair,
        "units": case.units,
        "added": times.added,
        "quartiles": times.spread,
        "goal": case.goal,
    }


def _machine() -> str:
    libraries = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    return f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}; {libraries}.\n"


main()
