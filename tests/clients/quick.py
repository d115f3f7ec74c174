"""What makes thousands of small runs quick, without touching what they show."""

from __future__ import annotations

import functools
import ssl
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def quick() -> Iterator[None]:
    """Read the certificates once."""
    real = ssl.create_default_context
    ssl.create_default_context = functools.cache(real)
    yield
    ssl.create_default_context = real
