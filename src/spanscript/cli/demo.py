"""`spanscript demo`: hands over to `spanscript.demo`, which is imported only then."""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import Final

from spanscript.config import SPANSCRIPT_DIR

EXAMPLE: Final = "spanscript demo"

_MODES: Final = {
    "local": "answer with a real model on this machine (extra `local`)",
    "live": "ask the real providers, with the keys in the environment",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    modes = parser.add_mutually_exclusive_group()
    for name, meaning in _MODES.items():
        modes.add_argument(f"--{name}", dest="mode", action="store_const", const=name, help=meaning)
    parser.set_defaults(mode="loopback")
    parser.add_argument(
        "--dir",
        help=f"where the transcript goes (default: ${SPANSCRIPT_DIR}, else a new temporary directory)",
    )
    parser.add_argument("--json", action="store_true", help="print the spans as JSON, for programs")


def run(args: argparse.Namespace) -> int:
    """Run the demo."""
    return int(import_module("spanscript.demo").main(args.mode, directory=args.dir, as_json=args.json))
