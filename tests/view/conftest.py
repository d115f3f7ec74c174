"""A browser for all tests here, and pages made of transcripts."""

from __future__ import annotations

import pytest
from browser import Browser, why_missing
from generate import generate
from spec_writer import SpecWriter

from spanscript import cli

CALLS = 10_000


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    reason = why_missing()
    if reason:
        pytest.skip(reason)
    found = Browser(tmp_path_factory.mktemp("profile"))
    yield found
    found.quit()


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Writes the page of a transcript: a `SpecWriter`, or the bytes of its file."""
    monkeypatch.delenv("SPANSCRIPT_DIR", raising=False)

    def write(transcript, *options, code=0):
        run = tmp_path / "run"
        run.mkdir()
        if isinstance(transcript, SpecWriter):
            transcript.save(run)
        else:
            (run / "llm_transcript.jsonl").write_bytes(transcript)
        page = tmp_path / "page.html"
        assert cli.main(["view", "--dir", str(run), "-o", str(page), *options]) == code
        return page

    return write


@pytest.fixture(scope="session")
def big_page(tmp_path_factory):
    """The page of ten thousand calls."""
    directory = tmp_path_factory.mktemp("big")
    generate(directory, CALLS)
    page = directory / "page.html"
    assert cli.main(["view", "--dir", str(directory), "-o", str(page)]) == 0
    return page
