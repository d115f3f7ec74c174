"""The loopback provider as fixtures: `pytest_plugins = ["providers"]`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from spanscript.demo.provider import Provider


@pytest.fixture(scope="session")
def shared_provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


@pytest.fixture
def provider(shared_provider: Provider) -> Iterator[Provider]:
    """A provider with an empty log and no script; one server serves the whole run."""
    shared_provider.reset()
    yield shared_provider
    shared_provider.reset()
