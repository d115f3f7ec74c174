"""
Standard output for people: styled lines, coloured on a terminal where `rich` is installed (extra `cli`).

Every text goes through `clean` here, whoever wrote it: what stands in a line cannot leave it.
"""

from __future__ import annotations

import os
import shutil
import sys
import unicodedata
from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any, Final, NamedTuple, TypeAlias

from spanscript._exchange import Json
from spanscript._text import clean, dump

_WRAPPED: Final = 20_000
"""Characters up to which a line is wrapped where its indentation says; the terminal wraps longer ones."""

STATUS_STYLES: Final = {
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


class Piece(NamedTuple):
    """Text with a style of rich's: `bold`, `dim`, `green` …"""

    text: str
    style: str = ""


Pieces: TypeAlias = str | Piece


class Screen:
    """
    Prints lines.

    Attributes:
        is_terminal: Whether a person looks at it.
        width: Columns; `COLUMNS`, where that is set.
        console: rich's, if it is coloured.
    """

    def __init__(self) -> None:
        self.is_terminal = sys.stdout.isatty()
        self.width = max(shutil.get_terminal_size().columns, 20)
        self.console: Any = _console() if is_coloured() else None

    def line(self, *pieces: Pieces) -> None:
        """Print one line; if a terminal is too narrow, it goes on below, as far in as it began."""
        parts = [(clean(text, one_line=True), style) for text, style in map(_piece, pieces)]
        plain = "".join(text for text, _ in parts).rstrip()
        if self.console is None:
            print(plain)
            return
        from rich.text import Text  # noqa: PLC0415  # optional, and slow to import

        # No markup is read in a `Text`.
        whole = Text.assemble(*parts)
        whole.rstrip()
        indent = len(plain) - len(plain.lstrip())
        room = self.width - indent
        if width_of(plain) <= self.width or len(plain) > _WRAPPED or room < self.width // 2:
            self.console.print(whole, soft_wrap=True)
            return
        for part in whole[indent:].wrap(self.console, room):
            self.console.print(Text(" " * indent) + part, soft_wrap=True)

    def block(self, text: str, indent: int = 2, style: str = "") -> None:
        """Print text with line breaks of its own, all of it *indent* columns in."""
        for line in text.split("\n"):
            self.line(" " * indent, Piece(line.expandtabs(4), style))

    def heading(self, text: str, note: str = "") -> None:
        """Print a blank line and a heading."""
        self.line()
        self.line(Piece(text, "bold"), Piece(f"  {note}" if note else "", "dim"))


def is_coloured() -> bool:
    """Whether standard output takes colours, and rich is there to make them."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not sys.stdout.isatty()
    return not plain and find_spec("rich") is not None


def status(name: object, width: int = 0) -> Piece:
    """A status in its colour."""
    return Piece(str(name).ljust(width), STATUS_STYLES.get(str(name), ""))


def width_of(text: str) -> int:
    """Columns that a text takes on a terminal."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def cut(text: str, columns: int) -> str:
    """A one-line text, or its beginning and `…`, so that it takes no more than so many columns."""
    if len(text) <= columns and width_of(text) <= columns:
        return text
    left, kept = columns - 1, 0
    for character in text:
        left -= _columns(character)
        if left < 0:
            break
        kept += 1
    return text[:kept] + "…"


def bar(share: float, width: int) -> str:
    """A bar of eighths of blocks: *share* of *width* columns, never nothing for something."""
    eighths = round(max(0.0, min(share, 1.0)) * width * 8)
    whole, rest = divmod(max(eighths, share > 0), 8)
    return "█" * whole + ("▏▎▍▌▋▊▉"[rest - 1] if rest else "")


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _piece(piece: Pieces) -> Piece:
    return piece if isinstance(piece, Piece) else Piece(piece)


def _console() -> Any:
    from rich.console import Console  # noqa: PLC0415

    return Console(highlight=False)


def dump_list(values: Iterable[Json]) -> None:
    """Print a JSON array for programs, each value as soon as it is there."""
    before = "["
    for value in values:
        print(before, dump(value).replace("\n", "\n  "), sep="\n  ", end="")
        before = ","
    print("[]" if before == "[" else "\n]")
