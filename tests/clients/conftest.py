"""What makes thousands of small runs quick, without touching what they show."""

from __future__ import annotations

import functools
import ssl
from collections.abc import Iterator

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--every-fault", action="store_true", help="run every client with every fault")


pytest.register_assert_rewrite("proof", "twice")


@pytest.fixture(scope="session", autouse=True)
def certificates_read_once() -> Iterator[None]:
    """Every client reads them when it is made."""
    real = ssl.create_default_context
    ssl.create_default_context = functools.cache(real)
    yield
    ssl.create_default_context = real
