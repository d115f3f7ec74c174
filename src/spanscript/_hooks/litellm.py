"""
Calls of litellm, which asks by the openai SDK, or by handlers of its own over httpx.

Its functions are module attributes. It tries again by calling itself, and its router by calling them, so what
is entered first is the call. Who is asked is told by the requests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any, Final

from spanscript._call import CallInfo
from spanscript._calls import Calls
from spanscript._hooks._calling import around, around_async
from spanscript._patch import Wrapper

_OPERATIONS: Final[Mapping[str, str]] = {
    "completion": "chat",
    "text_completion": "text_completion",
    "responses": "chat",
    "embedding": "embeddings",
}
"""Function → `gen_ai.operation.name`. Each has an asynchronous one, with an `a` before its name."""

_OWNERS: Final = ("", "Router.")
_NO_METHODS: Final = frozenset({"Router.responses"})
"""What a router makes for each object, and calls the module's functions."""


def wrappers(module: ModuleType, calls: Calls) -> Mapping[str, Wrapper]:
    """What goes around which function of *module*, which is litellm."""
    return dict(_wrappers(calls))


def _wrappers(calls: Calls) -> Iterator[tuple[str, Wrapper]]:
    for owner in _OWNERS:
        for name, operation in _OPERATIONS.items():
            if f"{owner}{name}" not in _NO_METHODS:
                describe = _describer(name, operation)
                yield f"{owner}{name}", around(calls, describe)
                yield f"{owner}a{name}", around_async(calls, describe)


def _describer(name: str, operation: str) -> Callable[..., CallInfo | None]:
    def describe(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> CallInfo | None:
        if kwargs.get(f"a{name}") is True:
            return None  # its own asynchronous function asks it for a coroutine
        model = kwargs.get("model", args[0] if args else None)
        return CallInfo(
            client="litellm",
            operation=operation,
            provider=None,
            model=model if isinstance(model, str) else None,
            lazy=kwargs.get("stream") is True,  # Gemini's streams are
        )

    return describe
