"""What the collector's configurations read from the environment stands in their README."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

CONFIGS = Path(__file__).parent.parent / "collector-config"
README = (CONFIGS / "README.md").read_text()
SECTIONS = {
    "local.yaml": "On one machine",
    "gateway.yaml": "Many apps",
    "transcripts.yaml": "Transcripts",
}
"""File → the section of the README that has its variables."""


def documented(section: str) -> dict[str, str]:
    text = re.split(r"^## ", README.partition(f"\n## {section}\n")[2], flags=re.MULTILINE)[0]
    rows = [
        [cell.strip(" `") for cell in line.split("|")[1:3]]
        for line in text.splitlines()
        if line.startswith("| `")
    ]
    return {name.strip(" `"): default for names, default in rows for name in names.split(",")}


@pytest.mark.parametrize("config", SECTIONS)
def test_the_readme_names_every_variable(config):
    read = dict(re.findall(r"\$\{env:(\w+):-([^}]*)\}", (CONFIGS / config).read_text()))
    said = documented(SECTIONS[config])

    assert said.keys() == read.keys()
    differing = {name: (said[name], default) for name, default in read.items() if default not in said[name]}
    assert differing.keys() <= {"QUEUE_DIR", "QUEUE_BYTES", "CLICKHOUSE_PASSWORD"}, differing
