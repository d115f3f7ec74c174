"""
The examples of the documentation: what commands print, and programs that run.

    python tests/docs.py [FILE …]

A ```console block holds commands after `$ ` and what they print; it is run with bash in a directory that
holds a copy of the recorded transcript (`tests/transcript/samples/agent`) as `run`. Blocks of one file
follow one another in one directory.

A ```python block with a ```text block right behind it is a program and what it prints. It is run under
`opentelemetry-instrument`, in an empty directory, with a transcript in `run` and a provider on loopback that
is `busy`, says `nothing`, `refuses` and so on where the question has that word.

Run as a program, this writes what is printed now into the files.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from spanscript.demo import loopback
from spanscript.demo.provider import Provider, Step

ROOT = Path(__file__).parent.parent
SAMPLE = ROOT / "tests" / "transcript" / "samples" / "agent"
_BLOCK = re.compile(
    r"^```console\n(?P<commands>.*?)^```$|^```python\n(?P<program>.*?)^```\n\n```text\n.*?^```$",
    re.DOTALL | re.MULTILINE,
)
_HERMES = 'I look it up. <tool_call>{"name": "search", "arguments": {"q": "tide"}}</tool_call>'
_BAD_DAY: dict[str, tuple[Any, ...]] = {
    "busy": ("503 retry-after-ms=20", "429 retry-after-ms=30", Step()),
    "nothing": (Step(answer={"texts": [""]}), Step()),
    "refuse": ("400",),
    "in text": (Step(answer={"texts": [_HERMES]}),),
    "wrong": (
        Step(answer={"texts": [None], "calls": [["get_weather", {"town": 1}]], "finish": "tool_calls"}),
    ),
}
"""A word of the question → how it is answered, attempt by attempt."""


def pages() -> list[Path]:
    """The pages with such blocks."""
    return sorted(page for page in (ROOT / "docs").rglob("*.md") if _BLOCK.search(page.read_text()))


def rewritten(page: Path, directory: Path) -> str:
    """The text of *page* with what its commands and programs print now."""
    shutil.copytree(SAMPLE, directory / "run")
    return _BLOCK.sub(lambda block: _printed(block, directory), page.read_text())


def _printed(block: re.Match[str], directory: Path) -> str:
    if block["program"] is not None:
        return f"```python\n{block['program']}```\n\n```text\n{_play(block['program'])}```"
    commands = [line for line in block["commands"].splitlines() if line.startswith("$ ")]
    printed = "".join(f"{command}\n{_run(['bash', '-c', command[2:]], directory)}" for command in commands)
    return f"```console\n{printed}```"


def _play(program: str) -> str:
    with tempfile.TemporaryDirectory() as place, Provider() as provider:
        for word, steps in _BAD_DAY.items():
            provider.script(*steps, match=word)
        directory = Path(place)
        (directory / "app.py").write_text(program)
        environment = {
            **loopback.environment(provider.openai_url, provider.url),
            "SPANSCRIPT_DIR": "run",
            **{f"OTEL_{signal}_EXPORTER": "none" for signal in ("TRACES", "METRICS", "LOGS")},
        }
        command = "opentelemetry-instrument python app.py 2>errors || cat errors"  # logs tell of chance
        return _run(["bash", "-c", command], directory, **environment)


def _run(command: list[str], directory: Path, **more: str) -> str:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {
        "PATH": path,
        "HOME": str(directory),
        "TERM": "dumb",
        "COLUMNS": "100",
        "LC_ALL": "C.UTF-8",
    }
    done = subprocess.run(
        command,
        cwd=directory,
        env={**environment, **more},
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
