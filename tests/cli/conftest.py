"""Commands are run on a directory `run`, in the process of the tests; and what the tests of several read."""

from __future__ import annotations

import every_case
import pytest

from spanscript import cli


@pytest.fixture(scope="session")
def every(tmp_path_factory):
    """The directory of a transcript of all recorded exchanges."""
    directory = tmp_path_factory.mktemp("every") / "run"
    every_case.write(directory)
    return directory


@pytest.fixture
def run(tmp_path, capfdbinary, monkeypatch):
    """Runs a command on `run/`; gives its code, stdout and stderr."""
    monkeypatch.delenv("SPANSCRIPT_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()

    def call(*argv, data=None, place="run"):
        if data is not None:
            (tmp_path / "run" / "llm_transcript.jsonl").write_bytes(data)
        try:
            code = cli.main([*argv, *(["--dir", place] if place else [])])
        except SystemExit as stop:
            code = stop.code
        out, err = capfdbinary.readouterr()
        return code, out, err.decode()

    call.path = tmp_path / "run"
    return call
