"""
Where libraries are entered: a table of import names, one file per library patched.

A hook gets the module as an argument once the app has imported it; no library is imported here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from msgspec import Struct

from spanscript._patch import Undo, Wrapper, is_there, patch, undo_all, when_imported

if TYPE_CHECKING:
    from spanscript._calls import Calls


class Hook(Struct, frozen=True):
    """
    One library and how it is hooked.

    Attributes:
        library: Its name on PyPI.
        modules: The module whose import triggers the hook, by the names that it has had in the versions
            that are supported, the newest first.
        home: Our module for it. Its `wrappers(module, calls)` tells what goes around which function.
        sees: `attempts` for an HTTP library, `calls` for a client.
    """

    library: str
    modules: tuple[str, ...]
    home: str
    sees: str


_MISTRALAI = (
    "mistralai.client.basesdk",
    "mistralai.basesdk",
    "mistralai.azure.client.basesdk",
    "mistralai.gcp.client.basesdk",
    "mistralai_azure.basesdk",
    "mistralai_gcp.basesdk",
)
_GOOGLE_INTERACTIONS = ("google.genai._gaos.basesdk", "google.genai._interactions._base_client")
_TOGETHER = ("together._base_client", "together.abstract.api_requestor")

TABLE: tuple[Hook, ...] = (
    Hook("httpx", ("httpx",), "spanscript._hooks.httpx", "attempts"),
    Hook("httpx2", ("httpx2",), "spanscript._hooks.httpx", "attempts"),
    Hook("requests", ("requests",), "spanscript._hooks.requests", "attempts"),
    Hook("aiohttp", ("aiohttp",), "spanscript._hooks.aiohttp", "attempts"),
    Hook("botocore", ("botocore.httpsession",), "spanscript._hooks.botocore", "attempts"),
    Hook("openai", ("openai._base_client",), "spanscript._hooks.stainless", "calls"),
    Hook("anthropic", ("anthropic._base_client",), "spanscript._hooks.stainless", "calls"),
    Hook("groq", ("groq._base_client",), "spanscript._hooks.stainless", "calls"),
    Hook("together", _TOGETHER, "spanscript._hooks.together", "calls"),
    Hook("azure-ai-inference", ("azure.core.pipeline",), "spanscript._hooks.azure_core", "calls"),
    Hook("mistralai", _MISTRALAI, "spanscript._hooks.mistralai", "calls"),
    Hook("litellm", ("litellm",), "spanscript._hooks.litellm", "calls"),
    Hook("google-genai", ("google.genai._api_client",), "spanscript._hooks.google_genai", "calls"),
    Hook("google-genai", _GOOGLE_INTERACTIONS, "spanscript._hooks.google_interactions", "calls"),
    Hook("cohere", ("cohere.core.http_client",), "spanscript._hooks.cohere", "calls"),
    Hook("boto3", ("botocore.client",), "spanscript._hooks.bedrock", "calls"),
    Hook("aiobotocore", ("aiobotocore.client",), "spanscript._hooks.bedrock", "calls"),
)


def install(calls: Callable[[], Calls]) -> Undo:
    """
    Hook every library of the table as soon as the app imports it.

    Args:
        calls: Gives what the hooks report to; asked when the first library is there.

    Returns:
        A function that takes all hooks off.
    """
    undos = [_when_imported(hook, calls) for hook in TABLE]
    return lambda: undo_all(undos)


def missing_names(hook: Hook) -> list[str]:
    """
    The names that *hook* wants to wrap and that the version installed does not have. Imports the library.

    Raises:
        ImportError: The library is there and cannot be imported.
    """
    module = _first_there(hook.modules)
    if module is None:
        return [hook.modules[0]]
    return [path for path in _wrappers(hook, module, None) if not is_there(module, path)]


def _first_there(names: tuple[str, ...]) -> ModuleType | None:
    return next((module for name in names if (module := _maybe_imported(name)) is not None), None)


def _maybe_imported(name: str) -> ModuleType | None:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if f"{name}.".startswith(f"{error.name}."):
            return None
        raise


def _when_imported(hook: Hook, calls: Callable[[], Calls]) -> Undo:
    undos = [when_imported(name, lambda module: _put_on(hook, module, calls())) for name in hook.modules]
    return lambda: undo_all(undos)


def _put_on(hook: Hook, module: ModuleType, calls: Calls) -> Undo:
    undos = [patch(module, path, wrapper) for path, wrapper in _wrappers(hook, module, calls).items()]
    return lambda: undo_all(undos)


def _wrappers(hook: Hook, module: ModuleType, calls: Calls | None) -> Mapping[str, Wrapper]:
    found: Mapping[str, Wrapper] = import_module(hook.home).wrappers(module, calls)
    return found
