"""What the dialects share in reading content: blocks → parts, by a table of block types."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, TypeAlias

from spanscript._exchange import (
    ArgumentPiece,
    Json,
    Media,
    Message,
    Other,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
)
from spanscript._shapes import sequence

Block: TypeAlias = dict[str, Any]
Builder: TypeAlias = Callable[[Block], tuple[Part, ...]]
"""The parts of one block; none if the block is not what its type promises: then it is kept as it is."""


def parts_of(content: Json, builders: Mapping[str, Builder]) -> tuple[Part, ...]:
    """
    The parts of a piece of content: a string, a block, or an array of them.

    Args:
        content: As it stands in the body. Empty content has no parts.
        builders: Block type → builder. Blocks of other types are kept as `Other`.
    """
    if isinstance(content, str):
        return (Text(content),) if content else ()
    found: list[Part] = []
    for block in sequence(content) or [content]:
        found += _block_parts(block, builders)
    return tuple(found)


def _block_parts(block: Json, builders: Mapping[str, Builder]) -> tuple[Part, ...]:
    if isinstance(block, str):
        return (Text(block),)
    if not isinstance(block, dict):
        return (Other(block),) if block else ()
    builder = builders.get(str(block.get("type")))
    built = builder(block) if builder else ()
    return built or (Other(block),)


def prompt(value: Json) -> Message:
    """A prompt that is no message: text, or what stands for text, such as tokens."""
    return Message("user", parts_of(value, {}) if isinstance(value, str) else (Other(value),))


def text_block(block: Block) -> tuple[Part, ...]:
    """Text, and what is cited for it."""
    text = block.get("text")
    if not isinstance(text, str):
        return ()
    return Text(text), *leftovers(block, ("citations", "annotations"))


def refusal_block(block: Block) -> tuple[Part, ...]:
    """A refusal among the content."""
    text = block.get("refusal")
    return (Refusal(text),) if isinstance(text, str) else ()


def leftovers(block: Block, keys: tuple[str, ...]) -> tuple[Part, ...]:
    """Those of the keys that have a value worth keeping, sorted, each as an `Other` of its own."""
    return tuple(Other({key: block[key]}) for key in sorted(keys) if block.get(key))


def thinking(text: Json) -> tuple[Part, ...]:
    """A `Thinking` of a string that is not empty."""
    return (Thinking(text),) if isinstance(text, str) and text else ()


def media_at(modality: Literal["image", "audio", "video", "file"], address: Json) -> tuple[Part, ...]:
    """Media by a URL, where a data URL carries the bytes themselves."""
    if not isinstance(address, str):
        return ()
    head, comma, data = address.partition(",")
    if address.startswith("data:") and comma:
        return (Media(modality, mime_type=head[5:].partition(";")[0] or None, data=data),)
    return (Media(modality, uri=address),)


def calls_begun(parts: Iterable[Part], index: int | None) -> Iterator[ArgumentPiece]:
    """What an event says that tells of tool calls whose arguments are still to come."""
    for part in parts:
        if isinstance(part, ToolCall):
            yield ArgumentPiece("", index, part.id, part.name)
