"""The page that is shipped is what its sources give."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from spanscript.viewer import page

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src" / "viewer-page"
BUILT = ROOT / "src" / "spanscript" / "viewer" / "page.html"


def run(*command, cwd):
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.slow
def test_built_anew_it_is_the_same(tmp_path):
    """If not: `make page`, and commit what it writes."""
    if shutil.which("npm") is None:
        pytest.skip("no npm on PATH")
    copy = tmp_path / "src" / "viewer-page"
    shutil.copytree(SOURCES, copy, ignore=shutil.ignore_patterns("node_modules"))
    installed = run("npm", "ci", cwd=copy)
    if installed.returncode:
        pytest.skip(f"the packages cannot be had: {installed.stderr[-300:]}")
    built = run("npm", "run", "build", cwd=copy)

    assert built.returncode == 0, built.stdout + built.stderr
    assert (tmp_path / "src" / "spanscript" / "viewer" / "page.html").read_text() == BUILT.read_text()


def test_it_holds_all_that_it_needs():
    before, after = page.template()
    text = (before + after).decode()

    assert re.findall(
        r"""(?:src|href)=["']?([^"' >]+)""", re.sub(r"<(script|style).*?</\1>", "", text, flags=re.DOTALL)
    ) == ["data:,"]
    assert "url(" not in text
    assert text.count("MIT License") + text.count("The MIT License") >= 2, "the notices of what is bundled"


def test_its_encoding_is_told_where_browsers_look_for_it():
    assert BUILT.read_bytes().startswith(b"<!doctype html>")
    assert b'<meta charset="utf-8"' in BUILT.read_bytes()[:1024]


def test_the_lock_file_names_no_registry():
    assert "resolved" not in (SOURCES / "package-lock.json").read_text()


@pytest.mark.slow
def test_the_wheel_has_the_page_and_not_its_sources(tmp_path):
    built = run(
        sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", tmp_path, ROOT, cwd=tmp_path
    )
    if built.returncode:
        pytest.skip(f"what builds it cannot be had: {built.stderr[-300:]}")
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()

    assert "spanscript/viewer/page.html" in names
    assert [name for name in names if "viewer-page" in name] == []
