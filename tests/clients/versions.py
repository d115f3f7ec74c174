"""
Which releases of which client are tested: the table behind the environments of `nox` and `docs/support.md`.

It imports nothing but the standard library: nox reads it where no client is installed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Client(NamedTuple):
    """
    A client library.

    Attributes:
        oldest: The oldest release that is tested, and so supported.
        between: Releases between it and the newest whose insides differ.
        along: What is installed with it, for all releases.
        unseen: What of it is not seen, and why.
        shared: Whether its oldest release can stand in one environment with those of the others.
    """

    oldest: str
    between: tuple[str, ...] = ()
    along: tuple[str, ...] = ()
    unseen: str = ""
    shared: bool = True


CLIENTS: Mapping[str, Client] = {
    "openai": Client("1.109.1", ("2.54.0",), unseen="realtime and `responses.connect`: WebSockets"),
    "anthropic": Client("0.125.0", ("1.17.0",), along=("boto3", "google-auth")),
    "cohere": Client("5.21.0", unseen="the span around `Client.embed`: threads send its batches"),
    "ollama": Client("0.5.4"),
    "httpx": Client("0.28.1", unseen="uploads that are produced while they are sent"),
    "httpx2": Client("2.16.2", unseen="`.websocket`"),
    "groq": Client("0.37.1"),
    "mistralai": Client("1.12.4", ("2.10.1",), unseen="realtime: WebSockets; conversations, OCR, files"),
    "google-genai": Client("1.75.0", ("2.34.0",), along=("aiohttp",), unseen="live: WebSockets"),
    "together": Client("1.5.35", ("2.42.0",)),
    "huggingface-hub": Client("1.33.0", unseen="tasks that are no chat"),
    "boto3": Client("1.43.0", unseen="other services than bedrock-runtime; CRT"),
    "aiobotocore": Client("3.0.0", shared=False),
    "azure-ai-inference": Client("1.0.0b9", along=("aiohttp",)),
    "litellm": Client(
        "1.100.0",
        along=("boto3", "tenacity", "mcp"),
        unseen="OCR and what `LITELLM_RUST` turns on: Rust sends it; its proxy's own spans",
        shared=False,
    ),
    "requests": Client("2.31.0", unseen="bodies that are produced while they are sent"),
    # Not among the others: google-genai asks for names that aiohttp 3.9 has not.
    "aiohttp": Client("3.9.5", unseen="bodies that are produced while they are sent, forms", shared=False),
}
"""Name on PyPI → what of it is tested."""

NEWEST = ""
"""Stands for whatever release is the newest."""


def environments() -> list[tuple[str, str]]:
    """Every client with every release of it that is tested."""
    return [
        (name, version)
        for name, client in CLIENTS.items()
        for version in (client.oldest, *client.between, NEWEST)
    ]


def requirements(name: str, version: str) -> list[str]:
    """What pip is to install for an environment."""
    return [f"{name}=={version}" if version else name, *CLIENTS[name].along]
