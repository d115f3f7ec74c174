"""
Prints as JSON, library by library, the names that cannot be hooked, or why it cannot be imported.

A process of its own for `spanscript doctor`: it imports every client library that is installed.
"""

from __future__ import annotations

import sys

from spanscript._hooks import TABLE, Hook, missing_names
from spanscript._json import dumps


def _finding(hook: Hook) -> list[str] | str | None:
    try:
        return missing_names(hook)
    except ImportError as error:
        return None if error.name == hook.library else str(error)


if __name__ == "__main__":
    sys.stdout.buffer.write(dumps({hook.library: _finding(hook) for hook in TABLE}))
