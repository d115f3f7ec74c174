"""`spanscript view`: a page for a browser; nothing is sent anywhere."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from spanscript._text import clean, dump
from spanscript.cli import _filters, _source

if TYPE_CHECKING:
    from spanscript.viewer.payload import Payload, Progress

EXAMPLE: Final = "spanscript view --dir ./run -o run.html"

_STDOUT: Final = "-"
_EVERY_S: Final = 0.2


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    _source.add_arguments(parser)
    target = parser.add_mutually_exclusive_group()
    target.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        default="transcript.html",
        help="the file to write (default: transcript.html); `-` is stdout",
    )
    target.add_argument(
        "--serve",
        action="store_true",
        help="serve it on this machine instead, until Ctrl-C; reload to reread",
    )
    parser.add_argument(
        "--port", type=_port, default=0, metavar="N", help="port to serve it on (default: a free one)"
    )
    _filters.add_arguments(parser)
    parser.add_argument("--images", action="store_true", help="put images that are kept as blobs into it too")


def run(args: argparse.Namespace) -> int:
    """Write the page, or serve it."""
    with _meter() as show:
        payload = _payload(args, show)
        _source.require_entries(payload.transcript, _source.path_of(args))
        if not args.serve:
            _write(args, payload)
    code = _source.code_after(payload.transcript, next(iter(payload.problems), None))
    if args.serve:
        _serve(args)
    elif args.output != _STDOUT:
        _say(args, payload)
    return code


def _write(args: argparse.Namespace, payload: Payload) -> None:
    from spanscript.viewer import page  # noqa: PLC0415  # not at the top: other commands do not need it

    if args.output == _STDOUT:
        page.write(payload, sys.stdout.buffer.write)
    else:
        page.save(payload, Path(args.output))


def _serve(args: argparse.Namespace) -> None:
    from spanscript.viewer.server import Server  # noqa: PLC0415  # likewise

    with Server(args.port, lambda: _payload(args)) as server:
        about = (
            f"{server.url}\nfor browsers on this machine; Ctrl-C ends it, reloading reads the transcript anew"
        )
        print(dump({"url": server.url}) if args.json else about, flush=True)
        server.serve_forever()


def _payload(args: argparse.Namespace, progress: Progress | None = None) -> Payload:
    from spanscript.viewer.payload import Options, Payload  # noqa: PLC0415  # likewise

    chosen = partial(_filters.test_of, args)
    return Payload(_source.path_of(args), Options(images=args.images, progress=progress, chosen=chosen))


def _say(args: argparse.Namespace, payload: Payload) -> None:
    calls = payload.calls
    if args.json:
        print(dump({"file": args.output, "calls": calls, "problems": payload.problem_count}))
        return
    sentence = f"{args.output}: {calls} call{'s' * (calls != 1)}; open it in a browser"
    print(clean(sentence, one_line=True))


def _port(text: str) -> int:
    number = int(text)
    if number not in range(65536):
        raise ValueError(text)
    return number


@contextmanager
def _meter() -> Iterator[Progress]:
    """Says on a terminal how far long work is, on one line that is gone at its end."""
    next_at = time.monotonic() + _EVERY_S
    is_shown = False

    def show(what: str, done: int) -> None:
        nonlocal next_at, is_shown
        if time.monotonic() >= next_at and sys.stderr.isatty():
            print(f"\r{done:,} {what} …", end="", file=sys.stderr, flush=True)
            next_at = time.monotonic() + _EVERY_S
            is_shown = True

    try:
        yield show
    finally:
        if is_shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
