"""Providers written by others, as servers of their own."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from servers import free_port, wait_until_up


class LlMock:
    """`llmock`, driven through its own control API."""

    def __init__(self, url: str) -> None:
        self.url = url

    def control(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_llmock/{path}", data, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def behave(self, *behaviors: dict[str, Any]) -> None:
        self.control("POST", "scenario", {"behaviors": list(behaviors)})

    @property
    def requests(self) -> list[dict[str, Any]]:
        return self.control("GET", "requests")["requests"]


@pytest.fixture(scope="session")
def llmock_server() -> Iterator[LlMock]:
    pytest.importorskip("llmock")
    port = free_port()
    command = [Path(sys.executable).parent / "llmock", "serve", "--port", str(port), "--log-level", "error"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        wait_until_up(f"http://127.0.0.1:{port}/_llmock/scenario", process)
        yield LlMock(f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def llmock(llmock_server: LlMock) -> LlMock:
    llmock_server.control("POST", "reset")
    return llmock_server
