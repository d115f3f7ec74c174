"""
The command `spanscript`: reads transcripts and looks at the installation. Imports no OpenTelemetry.

Exit codes: 0 done; 1 `check` found problems; 2 wrong usage, or an input that could not be read, or not
in whole (what could be read was shown); 130 after an interrupt, 141 after a closed pipe, as in shells.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Final

from spanscript._text import clean
from spanscript._version import __version__
from spanscript.transcript.lines import TranscriptError

COMMANDS: Final[Mapping[str, str]] = {
    "ls": "list the calls of a transcript",
    "show": "show a call: its prompt, its answer and its attempts",
    "diff": "say what changed in the model's context between two calls",
    "tree": "show conversations as trees: forks, new histories, sub-agents",
    "tail": "show what happens, as it happens",
    "stats": "count calls, failures, tokens, cost and latencies",
    "view": "write a page that shows a transcript in a browser, or serve it",
    "replay": "print the exact request body of a call, or send it again",
    "export": "write calls for fine-tuning, evals or people, or send them as spans",
    "anonymize": "copy a transcript without what was said in it",
    "sql": "ask a transcript in SQL, by DuckDB",
    "check": "verify every line, hash, parent and request body",
    "doctor": "say what is installed, hooked and switched on",
    "demo": "run an example agent against a small provider on this machine",
}
"""Name of a command, which is also its module here, and what it does. Each has `configure` and `run`."""

_EXIT_UNREADABLE: Final = 2
_EXIT_INTERRUPTED: Final = 130
_EXIT_PIPE_CLOSED: Final = 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code. *argv* is without the program's name."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character gets its escape, not an exception.
        getattr(stream, "reconfigure", lambda **_: None)(errors="backslashreplace")
    args = _parser().parse_args(argv)
    try:
        code = int(args.run(args))
        sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter flushes once more at exit; give it something that does not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _EXIT_PIPE_CLOSED
    except KeyboardInterrupt:
        return _EXIT_INTERRUPTED
    except (TranscriptError, OSError) as error:
        print(f"spanscript: {clean(str(error), one_line=True)}", file=sys.stderr)
        return _EXIT_UNREADABLE
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="spanscript", description="Read the transcripts of LLM calls.")
    parser.add_argument("--version", action="version", version=f"spanscript {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        module = import_module(f"{__name__}.{name}")
        command = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            epilog=f"example:\n  {module.EXAMPLE}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.configure(command)
        command.set_defaults(run=module.run)
    return parser
