"""
Plain Markdown.

All that models, tools and users said stands in fenced blocks, so that nothing of it is markup: no heading, no
link and no image can be forged, and a page that shows it loads nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from spanscript._exports.exported import Exported
from spanscript._exports.story import Piece, Story, story
from spanscript.transcript.exchanges import Exchange

HEAD: Final = ""
TAIL: Final = ""

_TICKS: Final = re.compile("`+")
_PLAIN: Final = re.compile("[A-Za-z0-9 ]*")


def one(exchanges: Sequence[Exchange]) -> Exported:
    """A call as a chapter."""
    return Exported("\n".join(_lines(story(exchanges))) + "\n")


def _lines(told: Story) -> Iterator[str]:
    yield f"# Call {_word(told.call_id)}\n"
    yield from (f"- {name}: {_word(value)}" for name, value in told.facts.items())
    yield ""
    columns = list(dict.fromkeys(name for row in told.attempts for name in row))
    yield f"| {' | '.join(columns)} |"
    yield f"|{' --- |' * len(columns)}"
    for row in told.attempts:
        yield f"| {' | '.join(_word(row.get(name, '')) for name in columns)} |"
    for section in told.sections:
        yield f"\n## {_word(section.title)}"
        for piece in section.pieces:
            yield from _piece(piece)


def _piece(piece: Piece) -> Iterator[str]:
    if piece.label:
        yield f"\n{_word(piece.label)}:"
    fence = "`" * (max((len(run) for run in _TICKS.findall(piece.text)), default=2) + 1)
    fence = max(fence, "```", key=len)
    yield f"\n{fence}text\n{piece.text}\n{fence}"


def _word(text: str) -> str:
    """Text on one line, in which nothing is markup."""
    line = " ".join(text.split())
    if _PLAIN.fullmatch(line):
        return line
    ticks = "`" * (max((len(run) for run in _TICKS.findall(line)), default=0) + 1)
    space = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{ticks}{space}{line}{space}{ticks}".replace("|", r"\|")
