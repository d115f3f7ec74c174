"""Tables: aligned columns, fitted to a terminal, whole in a pipe."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import islice
from typing import Final, TypeAlias

from spanscript._text import clean
from spanscript.cli._screen import STATUS_STYLES, Piece, Screen, cut, width_of

Cell: TypeAlias = str | int | float | Piece | None

_BATCH: Final = 500
"""Rows that are laid out together: the first ones are shown before the last ones are known."""

_NARROWEST: Final = 8


def print_table(
    headers: Sequence[str],
    rows: Iterable[Sequence[Cell]],
    *,
    flexible: Collection[str] = (),
    right: Collection[str] = (),
) -> None:
    """
    Print *rows* under *headers*. Numbers and what is under *right* stand to the right, `None` is left blank.

    On a terminal that is too narrow, texts under *flexible* headers are cut; if that is not enough, those
    columns are left out, the last one first. They are also left out if nothing stands in them.
    """
    screen = Screen()
    columns = _Columns(headers, flexible, right)
    rest = iter(rows)
    batch = list(islice(rest, _BATCH))
    if len(batch) < _BATCH:  # it is all
        columns.leave_out_empty(batch)
    columns.fit(batch, screen)
    screen.line(*columns.pieces([Piece(header, "bold") for header in headers]))
    while batch:
        for row in batch:
            screen.line(*columns.pieces(row))
        batch = list(islice(rest, _BATCH))
        columns.fit(batch, screen)


class _Columns:
    """Widths and sides; they only ever grow, for what was printed stands."""

    def __init__(self, headers: Sequence[str], flexible: Collection[str], right: Collection[str]) -> None:
        self._longest = [width_of(header) for header in headers]
        self._least = [max(width, _NARROWEST) for width in self._longest]
        self._numeric = [header in right for header in headers]
        self._flexible = [at for at, header in enumerate(headers) if header in flexible]
        self._shown = list(range(len(headers)))
        self._widths = self._longest  # the same list, until a terminal asks for less

    def leave_out_empty(self, rows: Sequence[Sequence[Cell]]) -> None:
        for at in self._flexible:
            if not any(_text(row[at]) for row in rows):
                self._shown.remove(at)

    def fit(self, rows: Sequence[Sequence[Cell]], screen: Screen) -> None:
        for row in rows:
            for at, cell in enumerate(row):
                self._longest[at] = max(self._longest[at], width_of(_text(cell)))
                self._numeric[at] |= isinstance(cell, (int, float))
        if screen.is_terminal:
            self._shrink(screen.width)

    def _shrink(self, room: int) -> None:
        self._widths = list(self._longest)
        for at in self._flexible:
            self._widths[at] = min(self._least[at], self._longest[at])
        for at in reversed(self._flexible):
            if at in self._shown and self._left(room) < 0:
                self._shown.remove(at)
        for at in self._flexible:
            more = min(self._left(room), self._longest[at] - self._widths[at])
            self._widths[at] += max(more, 0)

    def _left(self, room: int) -> int:
        """Columns of the terminal that are left; negative if there are too few."""
        return room + 2 - sum(self._widths[at] + 2 for at in self._shown)

    def pieces(self, row: Sequence[Cell]) -> list[Piece]:
        return [self._piece(row[at], at, last=at == self._shown[-1]) for at in self._shown]

    def _piece(self, cell: Cell, at: int, *, last: bool) -> Piece:
        text = cut(_text(cell), self._widths[at])
        space = " " * (self._widths[at] - width_of(text))
        style = cell.style if isinstance(cell, Piece) else STATUS_STYLES.get(text, "")
        aligned = space + text if self._numeric[at] else text + space
        return Piece(aligned if last else f"{aligned}  ", style)


def _text(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float):
        return f"{cell:.0f}"
    return clean(cell.text if isinstance(cell, Piece) else str(cell), one_line=True)
