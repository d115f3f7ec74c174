"""What the table of client tests found, a row for each client and mode: printed, and added to a file."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

COLUMNS = ("client", "version", "row", "colour", "passed", "failed", "skipped")


def rows_of(reports: Mapping[str, Iterable[Any]], clients: Mapping[str, str]) -> list[dict[str, Any]]:
    """
    Count outcomes.

    Args:
        reports: Outcome (`passed` …) → pytest's reports.
        clients: Name of a row of the table → the client's name on PyPI.
    """
    counts: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for outcome in ("passed", "failed", "skipped"):
        for report in reports.get(outcome, ()):
            _, bracket, case = report.nodeid.partition("test_table.py::test_table[")
            if bracket and (outcome != "passed" or report.when == "call"):
                name, colour, _ = case.rstrip("]").rsplit("-", 2)
                counts[name, colour][outcome] += 1
    return [
        {"client": clients[name], "version": _version(clients[name]), "row": name, "colour": colour, **found}
        for (name, colour), found in sorted(counts.items())
    ]


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "-"


def table(rows: Iterable[Mapping[str, Any]]) -> str:
    """The rows as text, those with a failure marked."""
    cells = [COLUMNS, *([str(row.get(column, 0)) for column in COLUMNS] for row in rows)]
    widths = [max(len(line[at]) for line in cells) for at in range(len(COLUMNS))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) for line in cells)


def add(file: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Append the rows to a file of JSON lines."""
    with file.open("a") as lines:
        lines.writelines(json.dumps(row) + "\n" for row in rows)


def read(file: Path) -> list[dict[str, Any]]:
    """The rows of such a file."""
    return [json.loads(line) for line in file.read_text().splitlines()]
