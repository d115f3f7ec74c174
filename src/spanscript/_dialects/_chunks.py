"""
Folding the chunks of chat_completions and completions into the body of the whole answer.

Deltas of keys that are not known fold by their kind: strings are joined, arrays extended, objects
merged, anything else replaced.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from spanscript._dialects._bodies import error_of
from spanscript._dialects._tools import begun_before
from spanscript._exchange import ArgumentPiece, Event, Json
from spanscript._json import dumps
from spanscript._shapes import integer, mapping, sequence, string
from spanscript._wire import is_done, terminal

_SAID_ONCE: Final = frozenset({"id", "type", "role", "index", "format", "channel", "model"})
"""Keys whose value is whole at once, and which some providers repeat in every delta."""

_LEGACY_CALL: Final = -1
"""Stands for the index of the one call of an older form, which has none."""


def ends(event: Event) -> bool:
    """Whether nothing follows an event: after an error clients read no further."""
    return is_done(event) or event.name == "error" or bool(mapping(event.data).get("error"))


TERMINAL: Final = terminal(ends, (b"[DONE]", b'"error"', b"event: error"))


def assemble(events: Iterable[Event]) -> Json:
    """The body of the whole answer; see `Dialect.assemble`."""
    body: dict[str, Any] = {}
    choices: dict[int, dict[str, Any]] = {}
    for event in events:
        chunk = mapping(event.data)
        if event.name == "error":
            body["error"] = error_of(event)
        for key, value in chunk.items():
            if key == "choices":
                for position, choice in enumerate(sequence(value)):
                    _fold_choice(choices, mapping(choice), position)
            elif value and value != body.get(key):
                body[key] = _fold_head(key, body.get(key), value)
    if choices:
        body["choices"] = [choices[index] for index in sorted(choices)]
    return body


def arguments(event: Event) -> Iterator[ArgumentPiece]:
    """The pieces of tool calls in a chunk, of the first choice; see `Dialect.arguments`."""
    for choice in map(mapping, sequence(mapping(event.data).get("choices"))):
        if integer(choice.get("index")):
            continue
        delta = mapping(choice.get("delta"))
        for call in map(mapping, sequence(delta.get("tool_calls"))):
            inner = next((value for value in call.values() if isinstance(value, dict)), {})
            yield _piece(inner, integer(call.get("index")), string(call.get("id")))
        if mapping(delta.get("function_call")):
            yield _piece(delta["function_call"], _LEGACY_CALL)


def _known(call: Json) -> ArgumentPiece:
    """What a call, or a piece of one, is known by."""
    fields = mapping(call)
    name = next((name for part in fields.values() if (name := string(mapping(part).get("name")))), None)
    return ArgumentPiece("", integer(fields.get("index")), string(fields.get("id")), name)


def _piece(function: dict[str, Any], index: int | None, ident: str | None = None) -> ArgumentPiece:
    said = function.get("arguments", function.get("input"))
    text = said if isinstance(said, str) else dumps(said).decode() if said else ""
    return ArgumentPiece(text, index, ident, string(function.get("name")))


def _fold_head(key: str, old: Json, new: Json) -> Json:
    """Beside the choices nothing comes in pieces: the last value counts, of ids the first."""
    if key in _SAID_ONCE and old:
        return old
    return {**old, **new} if isinstance(old, dict) and isinstance(new, dict) else new


def _fold_choice(choices: dict[int, dict[str, Any]], choice: dict[str, Any], position: int) -> None:
    index = integer(choice.get("index"))
    index = position if index is None else index
    slot = choices.setdefault(index, {"index": index})
    for key, value in choice.items():
        if key == "delta":
            slot["message"] = _fold_message(slot.get("message") or {}, mapping(value))
        elif key in ("text", "logprobs"):
            slot[key] = fold(key, slot.get(key), value)
        elif key == "message" and "delta" in choice:
            continue  # some send the message so far beside each delta
        elif value is not None:
            slot[key] = value


def _fold_message(message: dict[str, Any], delta: dict[str, Any]) -> dict[str, Any]:
    for key, value in delta.items():
        if key == "content" and isinstance(value, str) and isinstance(message.get(key), str):
            message[key] += value  # nearly all of them
        elif key == "tool_calls":
            message[key] = _fold_calls(sequence(message.get(key)), sequence(value))
        elif key == "content":
            message[key] = _fold_content(message.get(key), value)
        else:
            message[key] = fold(key, message.get(key), value)
    return message


def fold(key: str, old: Json, new: Json) -> Json:
    """What has come of the value of *key*, with one more piece of it."""
    if new is None or (old and key in _SAID_ONCE):
        return old
    if isinstance(new, dict):
        merged = dict(mapping(old))
        for name, value in new.items():
            merged[name] = fold(name, merged.get(name), value)
        return merged
    if isinstance(new, list):
        return _fold_list(sequence(old), new)
    if isinstance(old, str) and isinstance(new, str):
        return old if key == "name" and old == new else old + new
    return new


def _fold_list(old: list[Any], new: list[Any]) -> list[Any]:
    """Elements that name their index are pieces of one another; others follow."""
    merged = list(old)
    for element in new:
        index = integer(mapping(element).get("index"))
        at = next((i for i, e in enumerate(merged) if index is not None and _is_at(e, element)), None)
        if at is None:
            merged.append(fold("", None, element))
        else:
            merged[at] = fold("", merged[at], element)
    return merged


def _is_at(old: Json, new: Json) -> bool:
    return isinstance(old, dict) and all(old.get(key) == new.get(key) for key in ("index", "type"))


def _fold_content(old: Json, new: Json) -> Json:
    """Content is a string, or blocks: then blocks of one type that follow one another are one."""
    if not isinstance(old, list) and not isinstance(new, list):
        return fold("content", old, new)
    blocks = list(_as_blocks(old))
    for block in _as_blocks(new):
        kind = mapping(block).get("type")
        last = mapping(blocks[-1]) if blocks else {}
        if kind in ("text", "thinking") and last.get("type") == kind:
            inner = {kind: _fold_content(last.get(kind), block.get(kind))}
            blocks[-1] = {**last, **fold("", None, block), **inner}
        else:
            blocks.append(fold("", None, block))
    return blocks


def _as_blocks(content: Json) -> list[Any]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return sequence(content)


def _fold_calls(calls: list[Any], deltas: list[Any]) -> list[Any]:
    folded = list(calls)
    for delta in deltas:
        at = begun_before(list(map(_known, folded)), _known(delta))
        if at is None:
            folded.append(fold("", None, delta))
        else:
            folded[at] = fold("", folded[at], delta)
    return sorted(folded, key=lambda call: integer(mapping(call).get("index")) or 0)
