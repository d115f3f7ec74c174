"""`docs/support.md` says what the tables say."""

from __future__ import annotations

from pathlib import Path

from support import document, untested

DOCUMENT = Path(__file__).parents[2] / "docs" / "support.md"


def test_the_document_is_what_the_tables_say():
    assert DOCUMENT.read_text() == document()


def test_every_row_has_its_environments():
    assert untested() == []
