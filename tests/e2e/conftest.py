"""Servers that end with the test, however it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

import pytest
from stack import Collector, Jaeger, Server

S = TypeVar("S", bound=Server)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One after the other: each has several busy processes."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("e2e"))


@pytest.fixture
def started() -> Iterator[Callable[[S], S]]:
    """Starts a server, and kills it at the end."""
    with ExitStack() as stack:

        def start(server: S) -> S:
            server.start()
            stack.callback(server.kill)
            return server

        yield start


@pytest.fixture(scope="session")
def shared_jaeger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jaeger]:
    server = Jaeger(tmp_path_factory.mktemp("jaeger"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def local(started: Any, shared_jaeger: Jaeger, tmp_path: Path) -> Collector:
    """A collector as for one machine, before a Jaeger that all tests share."""
    return started(
        Collector("local.yaml", tmp_path / "collector", environment={"JAEGER_URL": shared_jaeger.http})
    )
