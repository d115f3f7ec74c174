"""The README is true: its commands run, its tables say what the code says, its picture is what the demo prints."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from spanscript.config import VARIABLES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
CI = (ROOT / ".ci" / "run").read_text()
COMMANDS = [
    line for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) for line in block.splitlines()
]
BY_CI = ("make ", "pip install ")

pytestmark = pytest.mark.skipif(
    not shutil.which("opentelemetry-instrument", path=Path(sys.executable).parent),
    reason="no opentelemetry-distro",
)


def run(command: str, directory: Path) -> str:
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "SPANSCRIPT_"))},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "OTEL_TRACES_EXPORTER": "none",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
    }
    done = subprocess.run(
        ["bash", "-euc", command],
        check=False,
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_command_runs(tmp_path):
    shutil.copy(ROOT / "examples" / "agent.py", tmp_path / "app.py")
    shutil.copytree(ROOT / "examples", tmp_path / "examples")

    printed = {command: run(command, tmp_path) for command in COMMANDS if not command.startswith(BY_CI)}

    assert len(printed) >= 7
    assert all(text or " -o " in command for command, text in printed.items())
    assert "<!doctype html>" in (tmp_path / "calls.html").read_text().lower()
    assert '"model"' in printed["spanscript replay last --dir ./run"]
    assert "curl" in printed["spanscript replay last --dir ./run --curl"]


def test_ci_runs_the_rest():
    rest = [command for command in COMMANDS if command.startswith(BY_CI)]

    assert rest
    assert all(command in CI for command in rest if command.startswith("make "))
    assert "spanscript[otlp]" in (ROOT / "noxfile.py").read_text()


def masked(text: str) -> list[str]:
    """The shape of the demo's tree: its numbers differ from run to run."""
    return [re.sub(r"\s+", " ", re.sub(r"\d+ ms", "N ms", line)).strip() for line in text.splitlines()]


def test_the_picture_is_what_the_demo_prints(tmp_path):
    (picture,) = re.findall(r"```text\n(.*?)```", README, re.DOTALL)

    printed = run(f"spanscript demo --dir {tmp_path}/run", tmp_path)

    shown = masked(printed)
    start = next(i for i, line in enumerate(shown) if line.startswith("chat "))
    assert shown[start : start + len(picture.splitlines())] == masked(picture)


def test_the_table_of_variables_is_the_codes():
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.*?) \| (.*?) \|$", README, re.MULTILINE)

    assert {name: (default, meaning) for name, default, meaning in rows} == dict(VARIABLES)


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\((?!http)([^)#]+)\)", README))))
def test_links_lead_somewhere(target):
    assert (ROOT / target).exists()
