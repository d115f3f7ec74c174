"""What a request entry says besides its conversation: parameters, and the names of its tools."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from spanscript import _json
from spanscript._dialects import DIALECTS
from spanscript._exchange import Json
from spanscript._offered import offered
from spanscript._text import brief_json
from spanscript.transcript.lines import Entry

_REFERENCE: Final = b'"$transcript"'
_OWN: Final = frozenset({"model", "stream"})
"""Keys of a body that the entry tells itself."""

_DEPTH: Final = 4


def parameters(request: Entry) -> dict[str, Json]:
    """
    The parameters of a whole request entry's body: dotted path → value.

    Not what stands elsewhere (messages, system prompt, tools), nor model and `stream`.
    """
    try:
        body = _json.members(request.raw.get("body", b"{}"))
    except ValueError:  # a body that is no object
        return {}
    dialect = DIALECTS.get(request.get("dialect") or "")
    apart = _OWN | ({dialect.list_key} if dialect is not None else set())
    found: dict[str, Json] = {}
    for key, raw in body.items():
        if key not in apart and _REFERENCE not in raw:
            found.update(_flat(key, _json.loads(raw), _DEPTH))
    return found


def _flat(path: str, value: Json, depth: int) -> Iterator[tuple[str, Json]]:
    if not isinstance(value, dict) or not value or not depth:
        yield path, value
        return
    for key, inner in value.items():
        yield from _flat(f"{path}.{key}", inner, depth - 1)


def tool_names(raw: bytes) -> list[str]:
    """The names of the tools in raw JSON; what stands there, if its shape is unknown."""
    names = offered(raw).names
    if names is not None:
        return list(names)
    tools = _json.loads(raw)
    return [_name(tool) for tool in (tools if isinstance(tools, list) else [tools])]


def _name(tool: Json) -> str:
    """The name of a tool as most dialects write it, its type, or the tool itself."""
    found = tool if isinstance(tool, dict) else {}
    inner = found.get("function")
    names = (found.get("name"), inner.get("name") if isinstance(inner, dict) else None, found.get("type"))
    return next((name for name in names if isinstance(name, str)), None) or brief_json(tool)
