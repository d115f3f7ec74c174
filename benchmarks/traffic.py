"""What is no LLM call: requests of an app through a hooked HTTP library."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpcore
import httpx

from benchmarks.measure import Block, Case, one_by_one


class _Pool:
    """Answers at once, in the place of httpcore's pool: httpx's own transport, hooked too, runs."""

    def handle_request(self, _: Any) -> httpcore.Response:
        return httpcore.Response(200, headers=[(b"content-type", b"application/json")], content=b"{}")

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


@contextmanager
def _client() -> Iterator[httpx.Client]:
    transport = httpx.HTTPTransport()
    transport._pool = _Pool()  # type: ignore[assignment]
    with httpx.Client(transport=transport) as client:
        yield client


@contextmanager
def _get() -> Iterator[Block]:
    with _client() as client:
        yield one_by_one(lambda: client.get("https://api.example.com/v1/items/17?fields=name"))


@contextmanager
def _post() -> Iterator[Block]:
    with _client() as client:
        yield one_by_one(
            lambda: client.post("https://api.example.com/v1/items", json={"name": "one", "tags": ["a", "b"]})
        )


CASES = (
    Case("other-get", _get, variants="AD", calls=200, rounds=20, goal=3, pair="AD"),
    Case("other-post", _post, variants="AD", calls=200, rounds=20, goal=3, pair="AD"),
)
