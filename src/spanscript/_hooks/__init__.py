"""
Where libraries are entered: a table of import names, one file per library patched.

A hook gets the module as an argument once the app has imported it; no library is imported here.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

from msgspec import Struct

from spanscript._calls import Calls
from spanscript._hooks import httpx, stainless
from spanscript._patch import Undo, undo_all, when_imported


class Hook(Struct, frozen=True):
    """
    One library and how it is hooked.

    Attributes:
        library: Its import name and its name on PyPI.
        module: The module whose import triggers the hook.
        install: Puts the wrappers on; returns the undo.
        sees: `attempts` for an HTTP library, `calls` for a client.
    """

    library: str
    module: str
    install: Callable[[ModuleType, Calls], Undo]
    sees: str


TABLE: tuple[Hook, ...] = (
    Hook("httpx", "httpx", httpx.install, "attempts"),
    Hook("httpx2", "httpx2", httpx.install, "attempts"),
    Hook("openai", "openai._base_client", stainless.install, "calls"),
    Hook("anthropic", "anthropic._base_client", stainless.install, "calls"),
)


def install(calls: Calls) -> Undo:
    """
    Hook every library of the table as soon as the app imports it.

    Returns:
        A function that takes all hooks off.
    """
    undos = [_when_imported(hook, calls) for hook in TABLE]
    return lambda: undo_all(undos)


def _when_imported(hook: Hook, calls: Calls) -> Undo:
    return when_imported(hook.module, lambda module: hook.install(module, calls))
