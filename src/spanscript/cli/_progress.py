"""How far a long work is: a bar on a terminal's stderr, where `rich` is installed; nothing in a pipe."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from importlib.util import find_spec
from typing import Final, TypeVar

_PATIENCE: Final = 0.5
"""Seconds before a bar is shown; most work is done by then."""

_T = TypeVar("_T")


@contextlib.contextmanager
def bar(title: str) -> Iterator[Callable[[int, int], object]]:
    """
    Show a bar until the block ends.

    Yields:
        To be called with what is done and what there is in all, say in bytes.
    """
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not sys.stderr.isatty()
    if plain or find_spec("rich") is None:
        yield lambda done, total: None  # noqa: ARG005  # as the one below
        return
    from rich.console import Console  # noqa: PLC0415  # optional, and slow to import
    from rich.progress import Progress  # noqa: PLC0415

    shown = Progress(console=Console(stderr=True), transient=True)
    task = shown.add_task(title, total=None)
    began = time.monotonic()

    def show(done: int, total: int) -> None:
        if not shown.live.is_started and time.monotonic() - began > _PATIENCE:
            shown.start()
        shown.update(task, completed=done, total=total)

    try:
        yield show
    finally:
        shown.stop()


def progress(items: Iterable[_T], title: str, total: int | None = None) -> Iterator[_T]:
    """Give *items* on, with a bar of how many of *total* (by default: how many there are) were given."""
    if total is None:
        total = len(items) if isinstance(items, Sized) else 0
    with bar(title) as show:
        for number, item in enumerate(items, 1):
            yield item
            show(number, total)
