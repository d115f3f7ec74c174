"""What makes thousands of small runs quick, without touching what they show; and the matrix that they make."""

from __future__ import annotations

import functools
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.register_assert_rewrite("proof", "twice")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("clients")
    group.addoption("--client", help="run the rows of this client alone, by its name on PyPI")
    group.addoption("--every-fault", action="store_true", help="run every client with every fault")
    group.addoption("--matrix", type=Path, help="print a row per client and mode, and add them to this file")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    file = config.getoption("--matrix", default=None)
    if file is None or hasattr(config, "workerinput"):  # the workers' parts are in the whole's
        return
    import matrix
    from rows import ROWS

    found = matrix.rows_of(terminalreporter.stats, {row.name: row.client for row in ROWS})
    matrix.add(file, found)
    terminalreporter.section("clients")
    terminalreporter.write_line(matrix.table(found))


@pytest.fixture(scope="session", autouse=True)
def certificates_read_once() -> Iterator[None]:
    """Every client reads them when it is made."""
    real = ssl.create_default_context
    ssl.create_default_context = functools.cache(real)
    yield
    ssl.create_default_context = real
