"""The documentation is true: its commands print what it says they print."""

from __future__ import annotations

import pytest
from docs import ROOT, pages, rewritten


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_print_what_the_page_says(page, tmp_path):
    """If not: `python tests/docs.py` writes what they print now; look at the difference."""
    assert rewritten(page, tmp_path) == page.read_text()
