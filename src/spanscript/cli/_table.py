"""Tables: with colour on a terminal where `rich` is installed (extra `cli`), else aligned columns."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Final

from spanscript.cli._text import clean

Cell = str | int | float | None

_COLOURS: Final[Mapping[str, str]] = {
    "ok": "green",
    "yes": "green",
    "retrying": "yellow",
    "unfinished": "yellow",
    "abandoned": "yellow",
    "cancelled": "yellow",
    "retries_exhausted": "red",
    "error": "red",
    "no": "red",
}


def print_table(headers: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
    """Print *rows* under *headers*. Numbers stand to the right, `None` is left blank."""
    numeric = [any(isinstance(row[at], (int, float)) for row in rows) for at in range(len(headers))]
    texts = [[_text(cell) for cell in row] for row in rows]
    if _is_rich():
        _print_rich(headers, texts, numeric)
    else:
        _print_plain(headers, texts, numeric)


def _is_rich() -> bool:
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not sys.stdout.isatty()
    return not plain and find_spec("rich") is not None


def _text(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float):
        return f"{cell:.0f}"
    return clean(str(cell), one_line=True)


def _print_plain(headers: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[bool]) -> None:
    lines = [headers, *rows]
    widths = [max(len(line[at]) for line in lines) for at in range(len(headers))]
    for line in lines:
        cells = (
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(line, widths, numeric, strict=True)
        )
        print("  ".join(cells).rstrip())


def _print_rich(headers: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[bool]) -> None:
    from rich.console import Console  # noqa: PLC0415  # optional, and slow to import
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for header, right in zip(headers, numeric, strict=True):
        table.add_column(header, justify="right" if right else "left", overflow="fold")
    for row in rows:
        # `Text`, for a plain string would be read as rich's markup.
        table.add_row(*(Text(text, style=_COLOURS.get(text, "")) for text in row))
    Console(highlight=False).print(table)
