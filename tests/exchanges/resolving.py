"""Rebuilding a body from its split, by the rules of the transcript format and nothing else."""

import json

from spanscript._exchange import Split
from spanscript._json import elements, members


def taken_apart(dialect, content: bytes) -> Split:
    """The split of a body, by the plain parse."""
    fields = members(content)
    value = fields.get(dialect.list_key, b"")
    return dialect.split(fields, elements(value) if value[:1] == b"[" else [])


def resolved_bytes(split: Split) -> bytes:
    """Each reference replaced by the text that it names, once."""
    values = {
        "system_prompt": split.system,
        "tool_schemas": split.tools,
        "context": b",".join(split.items) or None,
        "message": split.items[0] if split.items else None,
    }
    text = split.skeleton
    for name, value in values.items():
        if value is not None:
            text = text.replace(b'{"$transcript":"%s"}' % name.encode(), value, 1)
    return text


def resolved(split: Split):
    """Likewise as a JSON value, lists spliced into arrays."""
    items = [json.loads(item) for item in split.items]
    values = {
        "system_prompt": json.loads(split.system) if split.system is not None else None,
        "tool_schemas": json.loads(split.tools) if split.tools is not None else None,
        "context": items,
        "message": items[0] if items else None,
    }

    def name_of(value):
        return value.get("$transcript") if isinstance(value, dict) and len(value) == 1 else None

    def walk(value):
        if name_of(value):
            return values[name_of(value)]
        if isinstance(value, dict):
            return {key: walk(inner) for key, inner in value.items()}
        if isinstance(value, list):
            found = []
            for inner in value:
                whole = walk(inner)
                found.extend(whole if name_of(inner) == "context" else [whole])
            return found
        return value

    return walk(json.loads(split.skeleton))
