"""Messages as people read them, by the dialect they were sent in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from spanscript import _json
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
from spanscript._text import brief_json
from spanscript.cli._screen import Piece, Screen
from spanscript.transcript.messages import place_of

LONG: Final = 2000
"""Characters of a part that are shown, if not all are asked for."""

_MARKS: Final = {"+ ": "bold green", "- ": "bold red", "~ ": "bold yellow"}
_ROLES: Final[Mapping[str, str]] = {
    "system": "bold magenta",
    "user": "bold cyan",
    "assistant": "bold green",
    "model": "bold green",
    "tool": "bold yellow",
}


class Shown(Struct, frozen=True):
    """A message, and what stands before its role: `+ ` if it is new, `- ` if gone, `~ ` if changed."""

    message: Message
    mark: str = ""


def print_conversation(screen: Screen, messages: Sequence[Shown], *, full: bool) -> None:
    """Print messages. The result of a tool stands below its call, and not again in its own message."""
    results: dict[tuple[str, str], ToolResult] = {}
    calls = {(shown.mark, part.id) for shown, part in _parts(messages) if isinstance(part, ToolCall)}
    for shown, part in _parts(messages):
        if isinstance(part, ToolResult) and part.id and (shown.mark, part.id) in calls:
            results.setdefault((shown.mark, part.id), part)
    moved = set(map(id, results.values()))
    for shown in messages:
        parts = [part for part in shown.message.parts if id(part) not in moved]
        if parts or not shown.message.parts:
            print_role(screen, shown)
            for part in parts:
                print_part(screen, part, full=full)
                key = (shown.mark, part.id) if isinstance(part, ToolCall) and part.id else None
                result = None if key is None else results.pop(key, None)
                if result is not None:
                    print_part(screen, result, full=full, indent=4)


def _parts(messages: Iterable[Shown]) -> Iterator[tuple[Shown, Part]]:
    return ((shown, part) for shown in messages for part in shown.message.parts)


def print_role(screen: Screen, shown: Shown) -> None:
    """Print who speaks, at the left edge: what is said stands further in, so no text can forge it."""
    message = shown.message
    name = f" {message.name}" if message.name else ""
    role = Piece(f"[{message.role}]{name}", _ROLES.get(message.role, "bold"))
    screen.line(Piece(shown.mark, _MARKS.get(shown.mark, "")), role)


def print_part(screen: Screen, part: Part, *, full: bool, indent: int = 2) -> None:
    """Print one part of a message, *indent* columns in; if it is long and not *full*, its beginning."""
    text, style = _PARTS[type(part)](part)
    print_text(screen, text, full=full, indent=indent, style=style)


def text_of(part: Part) -> str:
    """A part in a few words or many; not yet cleaned."""
    return _PARTS[type(part)](part)[0]


def whole_text(message: Message) -> str:
    """All that a message says, part by part; not yet cleaned."""
    return "\n".join(map(text_of, message.parts))


def print_text(screen: Screen, text: str, *, full: bool, indent: int = 2, style: str = "") -> None:
    """Print text, or its beginning and how much is left."""
    shown = text if full or len(text) <= LONG + LONG // 10 else text[:LONG]
    screen.block(shown, indent, style)
    if len(shown) < len(text):
        note = f"… {len(text) - len(shown)} more characters; --full shows them"
        screen.line(" " * indent, Piece(note, "dim italic"))


def arguments_of(value: Json) -> Json:
    """A tool call's arguments: what is JSON in a string, as that; any other string as it is."""
    if not isinstance(value, str):
        return value
    try:
        return _json.loads(value.encode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError):
        return value


def _call(part: ToolCall) -> tuple[str, str]:
    return f"→ {part.name or '?'} {brief_json(arguments_of(part.arguments))}" + _id(part.id), "yellow"


def _result(part: ToolResult) -> tuple[str, str]:
    return f"← {brief_json(part.result)}" + _id(part.id), ""


def _id(name: str | None) -> str:
    return f"  ({name})" if name else ""


def _media(part: Media) -> tuple[str, str]:
    where = part.uri or part.file_id or place_of(part.data)
    kind = " ".join(filter(None, (part.modality, part.mime_type)))
    return f"({kind}: {where[:200]})", "blue"


_PARTS: Final[Mapping[type, Callable[[Any], tuple[str, str]]]] = {
    Text: lambda part: (part.text, ""),
    Thinking: lambda part: (f"(thinking) {part.text}", "dim italic"),
    ToolCall: _call,
    ToolResult: _result,
    Media: _media,
    Refusal: lambda part: (f"(refusal) {part.text}", "red"),
    Other: lambda part: (brief_json(part.value), ""),
}
"""Kind of part → its text, and the style of it."""
