"""
The examples of the documentation: what commands print, and programs that run.

    python tests/docs.py [FILE …]

A ```console block holds commands after `$ ` and what they print; it is run with bash in a directory that
holds a copy of the recorded transcript (`tests/transcript/samples/agent`) as `run`. Blocks of one file
follow one another in one directory. Run as a program, this writes what is printed now into the files.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
SAMPLE = ROOT / "tests" / "transcript" / "samples" / "agent"
_BLOCK = re.compile(r"(?<=^```console\n).*?(?=^```$)", re.DOTALL | re.MULTILINE)


def pages() -> list[Path]:
    """The pages with such blocks."""
    return sorted(page for page in (ROOT / "docs").rglob("*.md") if _BLOCK.search(page.read_text()))


def rewritten(page: Path, directory: Path) -> str:
    """The text of *page* with what its commands print now."""
    shutil.copytree(SAMPLE, directory / "run")
    return _BLOCK.sub(lambda block: _printed(block[0], directory), page.read_text())


def _printed(block: str, directory: Path) -> str:
    commands = [line for line in block.splitlines() if line.startswith("$ ")]
    return "".join(f"{command}\n{_run(command[2:], directory)}" for command in commands)


def _run(command: str, directory: Path) -> str:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {
        "PATH": path,
        "HOME": str(directory),
        "TERM": "dumb",
        "COLUMNS": "100",
        "LC_ALL": "C.UTF-8",
    }
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=directory,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    printed = re.sub(r"[ \t]+$", "", done.stdout, flags=re.MULTILINE)
    return printed if printed.endswith("\n") or not printed else f"{printed}\n"


if __name__ == "__main__":
    for page in [Path(name).resolve() for name in sys.argv[1:]] or pages():
        with tempfile.TemporaryDirectory() as directory:
            page.write_text(rewritten(page, Path(directory)))
