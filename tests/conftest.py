"""What all tests share: our guard raises, and calls are recorded into memory and a transcript."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from recording import Recording

from spanscript import _guard

pytest_plugins = ["providers"]


@pytest.fixture(autouse=True)
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of ours fails the test; tests of the guard itself switch this off."""
    monkeypatch.setattr(_guard, "strict", True)


@pytest.fixture
def recording(tmp_path: Path) -> Iterator[Recording]:
    recording = Recording(tmp_path / "run")
    yield recording
    recording.undo()
