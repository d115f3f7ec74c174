"""HTTP libraries as they are, without a client of a provider: each request is a call of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from apps import COLOURS, App

from rows.anthropic import MESSAGES
from rows.row import CHAT, Kind, Row, Told

_BODIES: Mapping[str, tuple[str, Mapping[str, Any], str]] = {
    "chat": ("/v1/chat/completions", CHAT, "chat_completions"),
    "messages": ("/v1/messages", MESSAGES, "messages"),
}

Modes = Mapping[str, tuple[Callable[..., Any], Kind]]
"""Name of a mode → who asks by it, given a path and a body beside the app and the client; its kind."""


def rows(
    library: str,
    create: Callable[[App], Any],
    modes: Modes,
    *,
    colours: tuple[str, ...] = COLOURS,
    skips: frozenset[str] = frozenset(),
) -> Iterator[Row]:
    """The rows of one library, for each body in each mode."""
    for name, (path, body, dialect) in _BODIES.items():
        for mode, (ask, kind) in modes.items():
            yield Row(
                name=f"{library}-{name}-{mode}",
                client=library,
                api=Told(dialect, "127.0.0.1", str(body["model"])),
                create=create,
                ask=partial(ask, path, body),
                kind=kind,
                colours=colours,
                skips=skips,
                thorough=True,
            )
