"""A listener that shows an agent at work: calls in flight on a terminal, and a line for each that ended."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final, TextIO

from spanscript._subscribers import Undo, subscribe
from spanscript._text import clean
from spanscript._told import AttemptEnd, CallEnd, CallProgress, CallStart, Record

Line = list[tuple[str, str]]
"""Texts, safe for a terminal, with rich's names of styles."""

_TAIL: Final = 500
"""Characters of what a model says that are kept to be shown."""
_REFRESHES: Final = 8
"""How often a second the terminal is drawn anew."""
_STYLES: Final[Mapping[str, str]] = {"ok": "green", "error": "red", "retries_exhausted": "red"}


def live(file: TextIO | None = None) -> Undo:
    """
    Show every call that begins from now on, while it runs.

        with spanscript.live():
            agent.run()

    On a terminal: the calls in flight, with what the model is saying, and above them a line for each call
    that ended. What the app prints to the same terminal stands above them too. Elsewhere, and on a terminal
    that cannot move its cursor: the lines alone.

    Args:
        file: Where to; by default `sys.stderr` as it is now.

    Returns:
        What ends it: a function, or a context manager. The interpreter's exit does too.

    Raises:
        ImportError: It is a terminal, and `rich` is not installed: `pip install 'spanscript[cli]'`.
    """
    file = file or sys.stderr
    view = View()
    if file.isatty() and os.environ.get("TERM") not in ("dumb", "unknown"):
        return _on_terminal(file, view)
    return subscribe(partial(_print_line, file, view))


def _print_line(file: TextIO, view: View, record: Record) -> None:
    line = view.take(record)
    if line is not None:
        print("".join(text for text, _ in line), file=file, flush=True)  # it is what it is for


class _Running:
    """A call in flight, as far as it is shown."""

    __slots__ = ("kind", "start", "tail", "trouble")

    def __init__(self, start: CallStart) -> None:
        self.start = start
        self.kind: tuple[str, str | None] = ("text", None)
        self.tail = ""
        self.trouble: str | None = None

    def take(self, progress: CallProgress) -> None:
        kind = progress.kind, progress.tool
        said = progress.delta if kind != self.kind else self.tail + progress.delta
        self.kind, self.tail = kind, said[-_TAIL:]

    def failed(self, end: AttemptEnd) -> None:
        self.tail = ""
        why = ": ".join(text for text in (end.error_type, end.error_message) if text)
        self.trouble = f"attempt {end.attempt + 2} after {why}"


class View:
    """What there is to show, by the records of calls; may be asked in any thread."""

    def __init__(self) -> None:
        self._running: dict[str, _Running] = {}
        self._lock = threading.Lock()

    def take(self, record: Record) -> Line | None:
        """Take the next record; a line, if a call ended with it."""
        with self._lock:
            if isinstance(record, CallStart):
                self._running[record.call_id] = _Running(record)
                return None
            if isinstance(record, CallEnd):
                return list(_ended(self._running.pop(record.call_id).start, record))
            running = self._running[record.call_id]
            if isinstance(record, CallProgress):
                running.take(record)
            elif record.status == "retrying":
                running.failed(record)
            return None

    def lines(self, now: float, rows: int) -> list[Line]:
        """
        The calls in flight, the oldest first.

        Args:
            now: Seconds since the epoch.
            rows: Lines that there is room for.
        """
        with self._lock:
            running = list(self._running.values())
            shown = running if 2 * len(running) <= rows else running[: max(0, (rows - 1) // 2)]
            lines = [line for call in shown for line in _in_flight(call, now)]
        if len(running) > len(shown):
            lines.append([(f"and {len(running) - len(shown)} more calls", "dim")])
        return lines


def _ended(start: CallStart, end: CallEnd) -> Iterator[tuple[str, str]]:
    yield f"{_named(start):<34}", ""
    yield f" {end.status:<9}", _STYLES.get(end.status, "yellow")
    yield f" {end.seconds * 1000:>7.0f} ms", ""
    counts = (end.input_tokens, end.output_tokens)
    if known := [str(count) for count in counts if count is not None]:
        yield f"  {' → '.join(known)} tokens", "dim"
    if end.attempts > 1:
        yield f"  {end.attempts} attempts", "yellow"
    if end.empty:
        yield "  empty", "yellow"
    yield from _place(start)
    if end.error_type or end.error_message:
        yield f"  {_one_line(end.error_message or end.error_type or '')}", "red"


def _in_flight(call: _Running, now: float) -> Iterator[Line]:
    line = [(f"{_named(call.start):<34}", "bold"), (f" {max(0.0, now - call.start.time):>7.1f} s", "cyan")]
    if call.trouble:
        line.append((f"  {_one_line(call.trouble)}", "yellow"))
    yield [*line, *_place(call.start)]
    kind, tool = call.kind
    if call.tail or tool:
        said = _one_line(call.tail), "dim italic" if kind == "thinking" else "dim"
        yield [(f"  {_one_line(tool)} " if tool else "  ", "cyan"), said]


def _named(start: CallStart) -> str:
    return _one_line(f"{start.operation} {start.model or start.provider or start.client}")


def _place(start: CallStart) -> Iterator[tuple[str, str]]:
    said = [_one_line(start.stage)] if start.stage is not None else []
    said += [f"iteration {start.iteration}"] if start.iteration is not None else []
    if said:
        yield f"  {', '.join(said)}", "magenta"


def _one_line(text: str) -> str:
    return clean(text, one_line=True)


class _Screen:
    """A terminal that is drawn anew by rich."""

    def __init__(self, file: TextIO, view: View) -> None:
        from rich.console import Console  # noqa: PLC0415  # optional, and slow to import
        from rich.live import Live  # noqa: PLC0415

        self._view = view
        self._pid = os.getpid()
        self._streams = sys.stdout, sys.stderr
        self._console = Console(file=file, highlight=False, markup=False, emoji=False)
        self._live = Live(
            console=self._console,
            get_renderable=self._picture,
            refresh_per_second=_REFRESHES,
            transient=True,
            # What goes to a file or into a pipe is the app's, and must not come here.
            redirect_stdout=sys.stdout.isatty(),
            redirect_stderr=sys.stderr.isatty(),
        )
        self._live.start()

    def take(self, record: Record) -> None:
        """Show a record; but not in a forked child: rich's threads are not there, its locks may be held."""
        line = self._view.take(record) if os.getpid() == self._pid else None
        if line is not None:
            self._console.print(_text(line), soft_wrap=True)

    def stop(self) -> None:
        """Leave the terminal as it was."""
        self._live.stop()

    def forget(self) -> None:
        """In a forked child, print again to where the app printed."""
        sys.stdout, sys.stderr = self._streams

    def _picture(self) -> Any:
        from rich.console import Group  # noqa: PLC0415

        lines = self._view.lines(time.time(), self._console.height - 1)
        return Group(*(_text(line, self._console.width) for line in lines))


def _text(line: Line, width: int | None = None) -> Any:
    """A line for rich; of what does not fit into *width* cells, the end of its last text is kept."""
    from rich.cells import cell_len  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    if width is not None:
        *head, (tail, style) = line
        room = width - sum(cell_len(text) for text, _ in head)
        while tail and cell_len(tail) > max(0, room):
            tail = tail[1:]
        line = [*head, (tail, style)]
    return Text.assemble(*line, no_wrap=True, overflow="crop")


def _on_terminal(file: TextIO, view: View) -> Undo:
    try:
        screen = _Screen(file, view)
    except ImportError as missing:
        raise ImportError("a live view needs rich: pip install 'spanscript[cli]'") from missing
    return _shown(screen, subscribe(screen.take))


def _shown(screen: _Screen, unsubscribe: Callable[[], None]) -> Undo:
    def stop() -> None:
        atexit.unregister(undo)
        _screens.discard(screen)
        unsubscribe()
        screen.stop()

    undo = Undo(stop)
    _screens.add(screen)
    atexit.register(undo)
    return undo


_screens: Final[set[_Screen]] = set()


def _begin_child() -> None:
    for screen in _screens:
        screen.forget()
    _screens.clear()


os.register_at_fork(after_in_child=_begin_child)
