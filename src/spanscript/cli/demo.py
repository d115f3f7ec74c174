"""`spanscript demo`: hands over to `spanscript.demo`, which is imported only then."""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import Final

EXAMPLE: Final = "spanscript demo"

_MODES: Final = {
    "local": "answer with a real model on this machine (extra `local`)",
    "live": "ask the real providers, with the keys in the environment",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    modes = parser.add_mutually_exclusive_group()
    for name, meaning in _MODES.items():
        modes.add_argument(f"--{name}", action="store_true", help=meaning)


def run(args: argparse.Namespace) -> int:
    """Run the demo."""
    argv = [f"--{name}" for name in _MODES if getattr(args, name)]
    return int(import_module("spanscript.demo").main(argv))
