"""
Prints as JSON, library by library, the names that cannot be hooked, or why it cannot be imported.

A process of its own for `spanscript doctor`: it imports every client library that is installed.
"""

from __future__ import annotations

import sys
from importlib import metadata

from spanscript._hooks import TABLE, missing_names
from spanscript._json import dumps


def _findings() -> dict[str, list[str] | str]:
    found: dict[str, list[str] | str] = {}
    for hook in TABLE:
        try:
            metadata.version(hook.library)
            missing = missing_names(hook)
        except metadata.PackageNotFoundError:
            continue
        except ImportError as error:
            found[hook.library] = str(error)
            continue
        others = found.setdefault(hook.library, [])
        if isinstance(others, list):
            others.extend(missing)
    return found


if __name__ == "__main__":
    sys.stdout.buffer.write(dumps(_findings()))
