"""
Text that others wrote, made safe for a terminal.

What a model, a tool or a file says may hold escape sequences that write to the clipboard, hide text or
forge what a command prints. All that people are shown goes through `clean`; line feeds and tabs stay.
"""

from __future__ import annotations

import json
import re
from typing import Final

from spanscript._exchange import Json

_UNSAFE: Final = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but for tab and line feed, DEL, C1
    "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"  # bidirectional controls, line separators
    "\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"  # marks that show nothing and can carry hidden text
    "\ud800-\udfff"  # lone surrogates, which no terminal encoding has
    "]"
)
_DEEPEST: Final = 50
_BREAKS: Final = str.maketrans({"\n": "\\n", "\t": "\\t"})


def clean(text: str, *, one_line: bool = False) -> str:
    r"""Replace what a terminal would obey by a visible escape (`\x1b`); with *one_line*, breaks too."""
    safe = _UNSAFE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)
    return safe.translate(_BREAKS) if one_line else safe


def clean_json(text: str) -> str:
    """The same for JSON text, by JSON's own escapes: it stays the same value."""
    return _UNSAFE.sub(lambda match: _json_escape(match[0]), text)


def dump(value: Json) -> str:
    """A JSON value for programs: ASCII alone, so nothing in it needs cleaning."""
    return json.dumps(value, indent=indentation(value)).replace("\x7f", "\\u007f")


def indentation(value: Json) -> int | None:
    """Spaces for each level; none for what is so deep that it would become many times as long."""
    level = [value]
    for _ in range(_DEEPEST):
        containers = [item for item in level if isinstance(item, (dict, list))]
        if not containers:
            return 2
        level = [
            inner for item in containers for inner in (item.values() if isinstance(item, dict) else item)
        ]
    return None


def dump_line(value: Json) -> str:
    """The same on one line."""
    return json.dumps(value).replace("\x7f", "\\u007f")


def brief_json(value: Json) -> str:
    """A JSON value within a text for people: a string as it is, anything else as JSON on one line."""
    try:
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return "(nested too deeply to be shown)"


def _json_escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
