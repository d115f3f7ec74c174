"""A message as text for people, by the dialect it was sent in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from spanscript._blobs import FOLDER, marks
from spanscript._dialects import DIALECTS
from spanscript._exchange import (
    Json,
    Media,
    Message,
    Other,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from spanscript.cli._text import brief_json, clean


def blocks_of(value: Json, dialect: str | None) -> Iterator[str]:
    """The role at the left edge, then its parts, two spaces in: no text can forge a role."""
    message = read(value, dialect)
    name = f" {message.name}" if message.name else ""
    yield clean(f"[{message.role}]{name}", one_line=True)
    for part in message.parts:
        yield indented(text_of(part))


def text_of(part: Part) -> str:
    """A part in a few words or many; not yet cleaned."""
    return _PARTS[type(part)](part)


def indented(text: str) -> str:
    """Cleaned lines, two spaces in."""
    return "  " + clean(text).replace("\n", "\n  ")


def call_line(name: str | None, arguments: Json, call_id: str | None) -> str:
    """A tool call on one line."""
    return f"→ {name or '?'} {brief_json(arguments)}" + (f"  ({call_id})" if call_id else "")


def read(value: Json, dialect: str | None) -> Message:
    """A message normalised by its dialect; as it is, if the dialect is unknown or cannot read it."""
    known = DIALECTS.get(dialect or "")
    try:
        if known is not None:
            return known.message(value)
    except (ValueError, TypeError, LookupError, AttributeError):
        pass  # a transcript that was damaged or forged; shown as it stands
    role = value.get("role") if isinstance(value, dict) else None
    content = value.get("content", value) if isinstance(value, dict) else value
    return Message(str(role or "?"), (Other(content),))


def _media(part: Media) -> str:
    where = part.uri or part.file_id or place_of(part.data)
    return f"({part.modality} {part.mime_type or ''}: {where[:200]})".replace(" :", ":")


def place_of(data: str | None) -> str:
    """What there is of base64: how much, and where it is kept if it was cut out."""
    if data is None:
        return "no data"
    kept = next(iter(marks(data.encode(errors="replace"))), None)
    if kept is None:
        return f"{len(data)} base64 characters"
    return f"{kept.size} bytes, {FOLDER}/{kept.sha256}"


_PARTS: Final[Mapping[type, Callable[[Any], str]]] = {
    Text: lambda part: part.text,
    Thinking: lambda part: f"(thinking) {part.text}",
    ToolCall: lambda part: call_line(part.name, part.arguments, part.id),
    ToolResult: lambda part: f"← {brief_json(part.result)}" + (f"  ({part.id})" if part.id else ""),
    Media: _media,
    Refusal: lambda part: f"(refusal) {part.text}",
    Other: lambda part: brief_json(part.value),
}
