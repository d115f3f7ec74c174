"""`spanscript anonymize`."""

from __future__ import annotations

import argparse
import os
import sys
from hashlib import blake2b
from pathlib import Path
from typing import Final

from spanscript._anonymous.copying import Copy
from spanscript._anonymous.entries import KEEPS
from spanscript._anonymous.pseudonyms import KEY_BYTES
from spanscript._text import clean, dump
from spanscript.cli import _source
from spanscript.transcript.lines import TranscriptError

EXAMPLE: Final = "spanscript anonymize --dir ./run -o ./anonymous"

_LEAST_SECRET: Final = 16


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    _source.add_arguments(parser)
    parser.add_argument(
        "-o", "--output", metavar="DIR", required=True, help="directory to write: a new or an empty one"
    )
    kept = "; ".join(f"{name}: {meaning}" for name, meaning in KEEPS.items())
    parser.add_argument("--keep", action="append", choices=KEEPS, default=[], help=f"what stays ({kept})")
    parser.add_argument(
        "--secret",
        metavar="FILE",
        help=f"what pseudonyms are made with, {_LEAST_SECRET} bytes at least: the same secret gives the same"
        " ones (default: random ones)",
    )


def run(args: argparse.Namespace) -> int:
    """Copy; 2 if not all lines could be."""
    key = _key(args.secret)
    copy = Copy(_source.path_of(args), Path(args.output), key, frozenset(args.keep))
    _source.require_entries(copy.transcript, _source.path_of(args))
    _make(Path(args.output))
    copy.write()
    if args.json:
        left_out = [str(problem) for problem in copy.left_out]
        print(dump({"output": args.output, "entries": copy.lines, "left_out": left_out}))
    else:
        print(clean(f"{copy.lines} entries copied to {args.output}", one_line=True))
    for problem in copy.left_out:
        print(clean(f"spanscript: left out: {problem}", one_line=True), file=sys.stderr)
    return _source.code_after(copy.transcript) or 2 * bool(copy.left_out)


def _key(path: str | None) -> bytes:
    if path is None:
        return os.urandom(KEY_BYTES)
    secret = Path(path).read_bytes()
    if len(secret.strip()) < _LEAST_SECRET:
        raise TranscriptError(f"{path}: a secret of fewer than {_LEAST_SECRET} bytes can be guessed")
    return blake2b(secret, digest_size=KEY_BYTES).digest()


def _make(directory: Path) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if next(directory.iterdir(), None) is not None:
        raise TranscriptError(f"{directory} is not empty; give a new directory with -o")
