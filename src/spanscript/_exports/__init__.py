"""
Calls in the forms that others read: a table of (format → module).

A module has `HEAD` and `TAIL`, which stand around all calls, and `one`, which gives a call's text. It is
imported when its format is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

FORMATS: Final[Mapping[str, str]] = {
    "openai-chat": "spanscript._exports.openai_chat",
    "openai-evals": "spanscript._exports.openai_evals",
    "markdown": "spanscript._exports.markdown",
    "html": "spanscript._exports.html",
}
"""Format of text → the module that writes it."""
