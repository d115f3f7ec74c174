"""
Put a wrapper on a function of a library, and take it off again.

What is put on can be taken off in any order: if somebody wrapped after us, our wrapper stays in the
chain and does nothing. Patching twice patches once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, Final

import wrapt

from spanscript._guard import guarded

Undo = Callable[[], None]
Wrapper = Callable[[Callable[..., Any], Any, tuple[Any, ...], dict[str, Any]], Any]
"""`(wrapped, instance, args, kwargs) -> result`, as wrapt calls it."""

_LOG = logging.getLogger("spanscript")
_MARK: Final = "_self_spanscript"  # wrapt keeps attributes with this prefix on the wrapper itself


def patch(module: ModuleType, path: str, wrapper: Wrapper) -> Undo:
    """
    Wrap the function at *path* (`Class.method`) of *module*.

    A name that is not there is logged with the library's version, and the rest goes on without it.

    Returns:
        A function that takes the wrapper off.
    """
    try:
        owner, name, original = wrapt.resolve_path(module, path)
    except AttributeError:
        _LOG.warning(
            "%s.%s is not there in the version installed: what goes through it is not recorded. "
            "See `spanscript doctor`.",
            module.__name__,
            path,
        )
        return _nothing
    undos = [_put_on(owner, name, original, wrapper)]
    undos += [_put_on(cls, name, own, wrapper) for cls, own in _taken_over(owner, name, original)]
    return lambda: undo_all(undos)


def _put_on(owner: Any, name: str, original: Any, wrapper: Wrapper) -> Undo:
    if _is_ours(original):
        return _nothing
    switch = _Switch()
    ours = wrapt.FunctionWrapper(original, wrapper, enabled=switch)
    setattr(ours, _MARK, switch)
    wrapt.apply_patch(owner, name, ours)

    def undo() -> None:
        switch.on = False
        if vars(owner).get(name) is ours:
            setattr(owner, name, original)

    return undo


def _taken_over(owner: Any, name: str, original: Any) -> Iterator[tuple[type, Any]]:
    """
    Subclasses on which somebody put a wrapper around *original* before us, and those wrappers.

    Other instrumentation wraps `OpenAI.request` where we wrap its base class's: calls would pass us by.
    """
    if not isinstance(owner, type):
        return
    subclasses: list[type] = type.__subclasses__(owner)
    for cls in subclasses:
        own = vars(cls).get(name)
        if own is not None and _innermost(own) is _innermost(original):
            yield cls, own
        yield from _taken_over(cls, name, original)


def is_there(module: ModuleType, path: str) -> bool:
    """Whether *module* has what is to be wrapped."""
    try:
        wrapt.resolve_path(module, path)
    except AttributeError:
        return False
    return True


def when_imported(name: str, install: Callable[[ModuleType], Undo]) -> Undo:
    """
    Call *install* with module *name* as soon as the app imports it, or now if it has.

    Returns:
        A function that undoes what was installed, and keeps it from being installed later.
    """
    undos: list[Undo] = []
    # Undoing gives it up: a hook on a module that never comes is kept for ever, with all that it refers to.
    wanted = [install]

    @guarded
    def imported(module: ModuleType) -> None:
        undos.extend(each(module) for each in wanted)

    def undo() -> None:
        wanted.clear()
        undo_all(undos)

    wrapt.register_post_import_hook(imported, name)
    return undo


def undo_all(undos: list[Undo]) -> None:
    """Undo everything, last first."""
    while undos:
        undos.pop()()


class _Switch:
    """Whether a wrapper acts; wrapt asks on every call."""

    __slots__ = ("on",)

    def __init__(self) -> None:
        self.on = True

    def __call__(self) -> bool:
        return self.on


def _is_ours(function: object) -> bool:
    """Whether a wrapper of ours that acts is anywhere in the chain."""
    switches = (getattr(link, _MARK, None) for link in _chain(function))
    return any(isinstance(switch, _Switch) and switch.on for switch in switches)


def _innermost(function: object) -> object:
    """What is left without all wrappers."""
    *_, last = _chain(function)
    return last


def _chain(function: object) -> Iterator[object]:
    """A function and what it is wrapped around, outermost first."""
    while function is not None:
        yield function
        function = getattr(function, "__wrapped__", None)


def _nothing() -> None:
    """Undo nothing."""
