"""`spanscript tail`."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from typing import Any, Final, NoReturn

from spanscript._text import clean, dump_line
from spanscript.cli import _filters, _source
from spanscript.cli._events import Events, record_of
from spanscript.cli._following import Following, require
from spanscript.cli._screen import Screen, cut
from spanscript.transcript.lines import FILES, Entry

EXAMPLE: Final = "spanscript tail -f --dir ./run"

_CALLS: Final = 10
_PAUSE: Final = 0.2
"""Seconds between two looks."""

_WINDOW: Final = 16 * 1024 * 1024
_WIDER: Final = 8
"""How much more of the files is looked at, if the calls are not all in the first window."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    _source.add_arguments(parser)
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what comes, until Ctrl-C")
    _filters.add_limit(parser, _CALLS)


def run(args: argparse.Namespace) -> int:
    """Print what happened in the last calls, an event a line; with `-f` also what comes, in any file."""
    path = _source.path_of(args)
    if not args.follow:
        require(path)
    following, entries = _last_calls(path, args.limit, torn=not args.follow)
    screen = Screen()
    events = Events(screen)
    print_one = _print_json if args.json else events.add
    for entry in entries:
        print_one(entry)
    if args.follow:
        if not following.entries:
            print(f"spanscript: waiting for {FILES} in {clean(path, one_line=True)}", file=sys.stderr)
        _follow(following, events, screen, as_json=args.json)
    _source.require_entries(following, path)
    return _source.code_after(following)


def _last_calls(path: str, number: int, *, torn: bool) -> tuple[Following, list[Entry]]:
    """The entries of the last calls, in the order of their time, from no more of the files than it takes."""
    window = _WINDOW
    while True:
        following = Following(path, window)
        calls: dict[str, list[Entry]] = {}
        for item in following.poll(torn=torn):
            call_id = item.get("call_id") if isinstance(item, Entry) else None
            if isinstance(item, Entry) and isinstance(call_id, str):
                calls.setdefault(call_id, []).append(item)
                if len(calls) > number:
                    del calls[next(iter(calls))]
        if following.is_whole or (len(calls) == number and all(map(_is_begun, calls.values()))):
            entries = (entry for found in calls.values() for entry in found)
            return following, sorted(entries, key=lambda entry: entry.get("timestamp") or "")
        window *= _WIDER


def _is_begun(entries: list[Entry]) -> bool:
    """Whether a call's first entry is among those of it that were read."""
    return entries[0].type == "provider_call_request" and entries[0].get("attempt") == 0


def _follow(following: Following, events: Events, screen: Screen, *, as_json: bool) -> NoReturn:
    """Look again and again; an interrupt ends it."""
    with _footer(None if as_json else screen.console) as show:
        while True:
            for item in following.poll():
                if isinstance(item, Entry):
                    _print_json(item) if as_json else events.add(item)
                elif not item.note:
                    print(f"spanscript: {clean(str(item), one_line=True)}", file=sys.stderr)
            sys.stdout.flush()
            show(_state(events))
            time.sleep(_PAUSE)


@contextlib.contextmanager
def _footer(console: Any) -> Iterator[Callable[[str], object]]:
    """A last line that changes, below what is printed; only where there are colours."""
    if console is None:
        yield lambda _: None
        return
    from rich.live import Live  # noqa: PLC0415  # optional, and slow to import
    from rich.text import Text  # noqa: PLC0415

    with Live(console=console, transient=True, auto_refresh=False) as live:
        yield lambda text: live.update(Text(cut(text, console.width), style="reverse"), refresh=True)


def _state(events: Events) -> str:
    """What goes on now, on one line."""
    flying = events.in_flight(datetime.now(timezone.utc))
    names = (
        f"{clean(str(entry.get('model') or '?'), one_line=True)} {max(age, 0):.0f} s"
        for entry, age in flying[-3:]
    )
    told = f" {len(flying)} in flight" + (f" ({', '.join(names)})" if flying else "")
    return f"{told}, {events.ended} ended, {events.failed} failed, {events.tokens} tokens "


def _print_json(entry: Entry) -> None:
    print(dump_line(record_of(entry)))
