"""Libraries that only some of spanscript needs: imported when it is asked for, by the extra that has them."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def needed(module: str, extra: str) -> Any:
    """
    Import *module*.

    Raises:
        ModuleNotFoundError: It is not installed; the text says how to install it.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if not f"{module}.".startswith(f"{error.name}."):
            raise
        text = f"{module} is not installed: pip install 'spanscript[{extra}]'"
        raise ModuleNotFoundError(text, name=module) from None
