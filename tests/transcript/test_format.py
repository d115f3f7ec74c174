"""docs/format.md is true: its vectors, its reader, its fields."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from spec_writer import digest

from spanscript import _json
from spanscript.transcript import lines
from spanscript.transcript.conversation import hash_of

HERE = Path(__file__).parent
TEXT = (HERE.parents[1] / "docs" / "format.md").read_text()
VECTORS = re.findall(r"^\| `(.+)` \| `(.+)`(?: \(bytes\))? \| `([0-9a-f]{32})` \|$", TEXT, re.MULTILINE)
BODIES = json.loads((HERE / "samples" / "version1.bodies.json").read_text())


@pytest.mark.parametrize(("value", "canonical", "name"), VECTORS)
def test_vectors(value, canonical, name):
    parsed = _json.loads(value.encode())
    spelled = bytes.fromhex(canonical) if canonical.startswith("22 ") else canonical.encode()

    assert _json.canonical(parsed) == spelled
    assert hash_of(parsed) == digest(parsed) == name


def test_there_are_vectors():
    assert len(VECTORS) == 20


@pytest.mark.parametrize(
    ("call", "attempt"), [(c, n) for c, bodies in BODIES.items() for n in range(len(bodies))]
)
def test_the_printed_reader_reads(tmp_path, call, attempt):
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    (tmp_path / "reader.py").write_text(code)
    sample = HERE / "samples" / "version1.jsonl"
    command = [sys.executable, "-I", "-X", "utf8", "reader.py", str(sample), call, str(attempt)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)

    assert json.loads(done.stdout) == json.loads(BODIES[call][attempt])


def test_every_type_and_field_is_described():
    fields = {name for _, _, names in lines._FIELDS for name in names.split()}

    assert [name for name in sorted(fields | lines.NEEDED.keys()) if f"`{name}`" not in TEXT] == []
