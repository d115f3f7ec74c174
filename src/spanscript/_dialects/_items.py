"""Folding the events of the responses API into the body of the whole answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from spanscript._dialects._bodies import error_of, kind_of
from spanscript._exchange import ArgumentPiece, Event, Json
from spanscript._shapes import integer, mapping, sequence, string

_FINAL: Final = frozenset({"response.completed", "response.failed", "response.incomplete"})


class _Delta(NamedTuple):
    """Where a delta belongs: the item's field, or the field of a block in one of its arrays."""

    item: str
    field: str
    blocks: str | None = None
    block: str | None = None
    position: str = "content_index"


_DELTAS: Final[Mapping[str, _Delta]] = {
    "response.output_text.delta": _Delta("message", "text", "content", "output_text"),
    "response.refusal.delta": _Delta("message", "refusal", "content", "refusal"),
    "response.audio.delta": _Delta("message", "data", "content", "output_audio"),
    "response.audio.transcript.delta": _Delta("message", "transcript", "content", "output_audio"),
    "response.output_audio.delta": _Delta("message", "data", "content", "output_audio"),
    "response.output_audio_transcript.delta": _Delta("message", "transcript", "content", "output_audio"),
    "response.reasoning_text.delta": _Delta("reasoning", "text", "content", "reasoning_text"),
    "response.reasoning_summary_text.delta": _Delta(
        "reasoning", "text", "summary", "summary_text", "summary_index"
    ),
    "response.function_call_arguments.delta": _Delta("function_call", "arguments"),
    "response.custom_tool_call_input.delta": _Delta("custom_tool_call", "input"),
    "response.mcp_call_arguments.delta": _Delta("mcp_call", "arguments"),
    "response.code_interpreter_call_code.delta": _Delta("code_interpreter_call", "code"),
}
_PARTS: Final[Mapping[str, tuple[str, str]]] = {
    "response.content_part.added": ("content", "content_index"),
    "response.content_part.done": ("content", "content_index"),
    "response.reasoning_summary_part.added": ("summary", "summary_index"),
    "response.reasoning_summary_part.done": ("summary", "summary_index"),
}


def ends(event: Event) -> bool:
    """Whether nothing follows an event."""
    kind = kind_of(event)
    return kind in _FINAL or kind == "error"


def adds(event: Event) -> bool:
    """Whether an event goes on with an item. Those of an item's end, and of the whole's, say it again."""
    return (kind_of(event) or "").endswith(".delta")


def argument_pieces(event: Event) -> Iterator[ArgumentPiece]:
    """More of the arguments of a call that has begun before."""
    data = mapping(event.data)
    delta = _DELTAS.get(kind_of(event) or "")
    if delta is not None and delta.blocks is None:
        yield ArgumentPiece(string(data.get("delta")) or "", integer(data.get("output_index")))


def assemble(events: Iterable[Event]) -> Json:
    """
    The body of the whole answer; see `Dialect.assemble`.

    The last event carries it whole. Where it did not come, or came without the output, the output is put
    together from what came before.
    """
    body: dict[str, Any] = {}
    items: dict[int, dict[str, Any]] = {}
    for event in events:
        kind, data = kind_of(event), mapping(event.data)
        if kind == "error":
            body["error"] = error_of(event)
        elif kind is not None and mapping(data.get("response")):
            body = {**body, **data["response"]}
        elif kind is not None:
            _fold_item(items, kind, data)
    if items and not sequence(body.get("output")):
        body["output"] = [items[index] for index in sorted(items)]
    return body


def _fold_item(items: dict[int, dict[str, Any]], kind: str, data: dict[str, Any]) -> None:
    index = integer(data.get("output_index")) or 0
    if kind in ("response.output_item.added", "response.output_item.done"):
        items[index] = dict(mapping(data.get("item")))
    elif kind in _DELTAS:
        delta = _DELTAS[kind]
        item = items.setdefault(index, {"type": delta.item})
        if delta.blocks:
            at = integer(data.get(delta.position)) or 0
            _grow(_block(item, delta.blocks, at, {"type": delta.block}), delta.field, data)
        else:
            _grow(item, delta.field, data)
    elif kind in _PARTS:
        key, index_key = _PARTS[kind]
        block = _block(items.setdefault(index, {}), key, integer(data.get(index_key)) or 0, {})
        block.update(mapping(data.get("part")))
    elif kind == "response.output_text.annotation.added":
        at = integer(data.get("content_index")) or 0
        item = items.setdefault(index, {"type": "message"})
        block = _block(item, "content", at, {"type": "output_text"})
        block["annotations"] = [*sequence(block.get("annotations")), data.get("annotation")]


def _grow(target: dict[str, Any], field: str, data: dict[str, Any]) -> None:
    target[field] = (string(target.get(field)) or "") + (string(data.get("delta")) or "")


def _block(item: dict[str, Any], key: str, index: int, new: dict[str, Any]) -> dict[str, Any]:
    """The block of an item's array, copied so that the event stays as it is; a new one at the end."""
    blocks = list(sequence(item.get(key)))
    at = min(index, len(blocks))
    block = dict(mapping(blocks[at])) if at < len(blocks) else new
    item[key] = [*blocks[:at], block, *blocks[at + 1 :]]
    return block
