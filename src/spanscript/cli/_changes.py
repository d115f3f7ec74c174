"""What is different between the contexts of two calls. Pure: JSON values in, changes out."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal

from msgspec import Struct

from spanscript import _json
from spanscript._exchange import Json
from spanscript._text import indentation
from spanscript.cli._search import texts_of

_SIMILAR: Final = 0.4
"""Share of words that two messages have in common if one is the other, edited."""

_WINDOW: Final = 8
"""Messages among which the one that was edited is looked for."""

_MOST_WORDS: Final = 1000
_MOST_COMPARED: Final = 20_000
"""Lines of a text, or messages, that are compared one by one: the time grows with their square."""


class Change(Struct, frozen=True):
    """
    A message that is not the same on both sides, or a run of messages that is.

    Attributes:
        kind: `same`: `count` messages in a row; `added` to the second call; `dropped` from the first one;
            `edited`: in the place of another with the same role.
        at: Index in the second call's messages; of `dropped` ones, in the first call's.
        before, after: The message as it was and as it is.
    """

    kind: Literal["same", "added", "dropped", "edited"]
    at: int
    count: int = 1
    before: Json = None
    after: Json = None


def of_messages(before: Sequence[Json], after: Sequence[Json]) -> list[Change]:
    """The changes, in order, by the longest common subsequence of the messages' values."""
    keys = [[_json.canonical(value) for value in side] for side in (before, after)]
    changes: list[Change] = []
    for tag, a, a_end, b, b_end in _opcodes(*keys):
        if tag == "equal":
            changes.append(Change("same", b, b_end - b))
        else:
            changes.extend(_replaced(before[a:a_end], after[b:b_end], a, b))
    return changes


def _replaced(before: Sequence[Json], after: Sequence[Json], a: int, b: int) -> Iterator[Change]:
    """Messages in the place of others: what reads like one of them is edited, the rest dropped and added."""
    old_from = new_from = 0
    for new, message in enumerate(after):
        near = range(old_from, min(old_from + _WINDOW, len(before)))
        old = next((at for at in near if _is_edit(before[at], message)), None)
        if old is not None:
            yield from _apart(before[old_from:old], after[new_from:new], a + old_from, b + new_from)
            yield Change("edited", b + new, before=before[old], after=message)
            old_from, new_from = old + 1, new + 1
    yield from _apart(before[old_from:], after[new_from:], a + old_from, b + new_from)


def _apart(before: Sequence[Json], after: Sequence[Json], a: int, b: int) -> Iterator[Change]:
    yield from (Change("dropped", at, before=message) for at, message in enumerate(before, a))
    yield from (Change("added", at, after=message) for at, message in enumerate(after, b))


def _is_edit(before: Json, after: Json) -> bool:
    if _role(before) != _role(after):
        return False
    old, new = (" ".join(texts_of(value)).split()[:_MOST_WORDS] for value in (before, after))
    return bool(difflib.SequenceMatcher(None, old, new, autojunk=False).ratio() >= _SIMILAR)


def of_parameters(before: Mapping[str, Json], after: Mapping[str, Json]) -> dict[str, list[Json]]:
    """Name → the value before and after, each a list of one value, or of none if it was not there."""
    found = {}
    for name in dict.fromkeys((*before, *after)):
        pair = [[side[name]] if name in side else [] for side in (before, after)]
        if _json.canonical(pair[0]) != _json.canonical(pair[1]):
            found[name] = pair
    return found


def of_texts(before: Json, after: Json) -> list[str]:
    """A unified diff, three lines around each change; of what is no text, by its JSON, indented."""
    if before == after:
        return []
    old, new = _lines(before), _lines(after)
    if len(old) + len(new) > _MOST_COMPARED:
        return [*(f"-{line}" for line in old), *(f"+{line}" for line in new)]
    return list(difflib.unified_diff(old, new, lineterm=""))[2:]


def _opcodes(a: Sequence[bytes], b: Sequence[bytes]) -> Iterator[tuple[str, int, int, int, int]]:
    """As `difflib`'s. What both begin and end with, mostly all of it, is not looked at twice."""
    shortest = min(len(a), len(b))
    head = next((at for at in range(shortest) if a[at] != b[at]), shortest)
    left = shortest - head
    tail = next((at for at in range(left) if a[-1 - at] != b[-1 - at]), left)
    a_end, b_end = len(a) - tail, len(b) - tail
    if head:
        yield "equal", 0, head, 0, head
    if a_end - head + b_end - head > _MOST_COMPARED:
        yield "replace", head, a_end, head, b_end
    else:
        matcher = difflib.SequenceMatcher(None, a[head:a_end], b[head:b_end], autojunk=False)
        for tag, *places in matcher.get_opcodes():
            first, first_end, second, second_end = (place + head for place in places)
            yield tag, first, first_end, second, second_end
    if tail:
        yield "equal", a_end, len(a), b_end, len(b)


def _lines(value: Json) -> list[str]:
    if value is None:
        return []
    if isinstance(value, str):
        return value.split("\n")
    return json.dumps(value, indent=indentation(value), ensure_ascii=False).split("\n")


def _role(message: Json) -> Json:
    return message.get("role") if isinstance(message, dict) else None
