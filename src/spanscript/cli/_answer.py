"""What came of a call, as people read it: the answer, what was made of it, what the app said of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from spanscript._exchange import Json, Media, Other, Part, Refusal, Text, Thinking, ToolCall, ToolResult
from spanscript._shapes import sequence
from spanscript._text import brief_json
from spanscript.cli._events import fields_text
from spanscript.cli._message import print_part
from spanscript.cli._screen import Piece, Screen

_SAID: Final = ("thinking", "text", "refusal", "tool_calls")
_TOLD: Final = ("finish_reasons", "error_type", "error_message", "truncated", "empty", "extras")


def print_answer(screen: Screen, answer: Mapping[str, Json], status: str, *, full: bool) -> None:
    """Print the last attempt's answer, each of its choices, and what else its entry tells."""
    if not answer:
        screen.line(Piece(f"  none ({status})", "dim"))
    choices = answer.get("choices")
    if isinstance(choices, list) and choices:
        for number, choice in enumerate(choices):
            screen.line(Piece(f"[choice {number}]", "bold green"))
            _print_parts(
                screen, choice if isinstance(choice, dict) else {"text": brief_json(choice)}, full=full
            )
    else:
        _print_parts(screen, answer, full=full)
    for key in _TOLD:
        if key in answer:
            value = answer[key]
            text = ", ".join(map(brief_json, value)) if isinstance(value, list) else brief_json(value)
            style = "red" if key.startswith("error") else "dim"
            screen.line("  ", Piece(f"{key.replace('_', ' ')}: {text}", style))


def print_interpretation(screen: Screen, found: Mapping[str, Json], *, full: bool) -> None:
    """Print what was made of the answer: the calls that can be run, and what is wrong with others."""
    for call in sequence(found.get("tool_calls")):
        if isinstance(call, dict) and "arguments" not in call:
            screen.line("  ", Piece(f"→ {call.get('name')}", "yellow"), Piece("  as answered", "dim"))
        else:
            print_part(screen, _tool_call(call), full=full)
    for error in sequence(found.get("tool_parse_errors")):
        screen.line("  ", Piece(f"! {brief_json(error)}", "red"))
    if found.get("prose"):
        print_part(screen, Text(brief_json(found["prose"])), full=full)


def print_annotations(screen: Screen, annotations: list[dict[str, Json]], *, full: bool) -> None:
    """Print what the app said of the call: the event and its fields."""
    for found in annotations:
        text = f"{brief_json(found.get('event', '?'))}  {fields_text(found.get('fields'))}"
        print_part(screen, Text(text.rstrip()), full=full)


def _print_parts(screen: Screen, said: Mapping[str, Json], *, full: bool) -> None:
    for part in _parts(said):
        print_part(screen, part, full=full)


def _parts(said: Mapping[str, Json]) -> Iterator[Part]:
    """The parts in their order, where the entry has it; else in the usual one."""
    if "parts" in said:
        yield from map(_part, sequence(said["parts"]))
        return
    for key in _SAID:
        if key == "tool_calls":
            yield from map(_tool_call, sequence(said.get(key)))
        elif key in said:
            yield _KINDS[key](said)


def _part(value: Json) -> Part:
    kind = (
        _KINDS.get(value["type"]) if isinstance(value, dict) and isinstance(value.get("type"), str) else None
    )
    return Other(value) if kind is None else kind(value)


def _tool_call(value: Json) -> Part:
    return _KINDS["tool_call"](value) if isinstance(value, dict) else Other(value)


def _text(value: Mapping[str, Json], key: str) -> str:
    return brief_json(value.get(key, value.get("text", "")))


_KINDS: Final[Mapping[str, Callable[[Mapping[str, Json]], Part]]] = {
    "text": lambda value: Text(_text(value, "text")),
    "thinking": lambda value: Thinking(_text(value, "thinking")),
    "refusal": lambda value: Refusal(_text(value, "refusal")),
    "tool_call": lambda value: ToolCall(value.get("id"), value.get("name"), value.get("arguments")),
    "tool_result": lambda value: ToolResult(value.get("id"), value.get("result")),
    "media": lambda value: Media(
        value.get("modality", "file"), value.get("mime_type"), *map(value.get, ("uri", "file_id", "data"))
    ),
}
"""Type of an entry's part → the part."""
