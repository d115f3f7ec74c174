"""Folding the events of the interactions API into the body of the whole answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from spanscript._dialects._bodies import error_of
from spanscript._dialects._parts import Block
from spanscript._exchange import ArgumentPiece, Event, Json
from spanscript._json import loads
from spanscript._shapes import integer, mapping, sequence, string
from spanscript._wire import is_done

_LAST: Final = frozenset({"interaction.complete", "interaction.completed", "error"})
_LISTS: Final[Mapping[str, str]] = {"step": "steps", "content": "outputs"}
"""What begins, goes on and stops in a stream → where it stands in the whole answer."""
_PIECES: Final = "\0pieces"
"""Where the text of arguments is gathered: no key of theirs."""


def _kind(event: Event) -> str | None:
    data = mapping(event.data)
    return string(data.get("event_type")) or event.name or ("error" if data.get("error") else None)


def ends(event: Event) -> bool:
    """Whether nothing follows an event."""
    return _kind(event) in _LAST or is_done(event)


def adds(event: Event) -> bool:
    """Whether an event goes on with a step or a content; the last one can say it all again."""
    return (_kind(event) or "").partition(".")[0] in _LISTS


def argument_pieces(event: Event) -> Iterator[ArgumentPiece]:
    """More of the arguments of a call that has begun before."""
    data = mapping(event.data)
    delta = mapping(data.get("delta"))
    if delta.get("type") == "arguments_delta":
        yield ArgumentPiece(string(delta.get("arguments")) or "", integer(data.get("index")))


def assemble(events: Iterable[Event]) -> Json:
    """
    The body of the whole answer; see `Dialect.assemble`.

    The last event carries it without what was said in pieces before.
    """
    body: dict[str, Any] = {}
    slots: dict[str, dict[int, dict[str, Any]]] = {}
    for event in events:
        kind, data = _kind(event) or "", mapping(event.data)
        subject, _, action = kind.partition(".")
        if kind == "error":
            body["error"] = error_of(event)
        elif subject in _LISTS:
            _fold(slots.setdefault(_LISTS[subject], {}), subject, action, data)
            body = _with_usage(body, data)
        elif subject == "interaction":
            body = _with_usage({**body, **_status(data), **mapping(data.get("interaction"))}, data)
    for key, found in slots.items():
        if not sequence(body.get(key)):
            body[key] = [_finished(found[index]) for index in sorted(found)]
    return body


def _with_usage(body: dict[str, Any], data: Block) -> dict[str, Any]:
    return {**body, "usage": data["usage"]} if mapping(data.get("usage")) else body


def _status(data: Block) -> Block:
    told = {"id": data.get("interaction_id"), "status": data.get("status")}
    return {key: value for key, value in told.items() if value}


def _fold(slots: dict[int, dict[str, Any]], subject: str, action: str, data: Block) -> None:
    index = integer(data.get("index")) or 0
    if action == "start":
        slots[index] = dict(mapping(data.get(subject)))
    elif action == "delta":
        delta = mapping(data.get("delta"))
        kind = str(delta.get("type"))
        slot = slots.setdefault(index, _begun(kind, subject))
        _DELTAS.get(kind, _update)(slot, delta)


def _begun(kind: str, subject: str) -> dict[str, Any]:
    """What did not begin in sight, as far as its first delta tells of it."""
    if kind.startswith("thought_"):
        return {"type": "thought"}
    if kind == "arguments_delta":
        return {"type": "function_call"}
    return {"type": "model_output" if subject == "step" and kind in _CONTENTS else kind}


def _update(slot: dict[str, Any], delta: Block) -> None:
    slot.update({**delta, "type": slot.get("type") or delta.get("type")})


def _add_content(slot: dict[str, Any], delta: Block) -> None:
    """To a step that has contents, or to the content itself."""
    if slot.get("type") == delta.get("type"):
        slot.update(_joined(slot, delta) or delta)
        return
    slot["content"] = _extended(sequence(slot.get("content")), delta)


def _add_summary(slot: dict[str, Any], delta: Block) -> None:
    slot["summary"] = _extended(sequence(slot.get("summary")), mapping(delta.get("content")))


def _add_annotations(slot: dict[str, Any], delta: Block) -> None:
    contents = list(sequence(slot.get("content")))
    target = dict(mapping(contents.pop())) if contents else slot
    target["annotations"] = [*sequence(target.get("annotations")), *sequence(delta.get("annotations"))]
    if target is not slot:
        slot["content"] = [*contents, target]


def _add_arguments(slot: dict[str, Any], delta: Block) -> None:
    slot[_PIECES] = slot.get(_PIECES, "") + (string(delta.get("arguments")) or "")


def _sign(slot: dict[str, Any], delta: Block) -> None:
    slot["signature"] = delta.get("signature")


def _extended(contents: list[Any], more: Block) -> list[Any]:
    joined = _joined(mapping(contents[-1]), more) if contents else None
    return [*contents[:-1], joined] if joined is not None else [*contents, more]


def _joined(old: Block, new: Block) -> Block | None:
    """One content of two pieces; `None` if the second is another one."""
    texts = old.get("text"), new.get("text")
    if old.get("type") != "text" or not all(isinstance(text, str) for text in texts):
        return None
    return {**old, **new, "text": "".join(map(str, texts))}


def _finished(slot: dict[str, Any]) -> Block:
    """With the pieces of its arguments put together; arguments that were cut stay the text that they are."""
    pieces = slot.pop(_PIECES, "")
    if pieces:
        try:
            slot["arguments"] = loads(pieces.encode("utf-8", "surrogatepass"))
        except (ValueError, RecursionError):
            slot["arguments"] = pieces
    return slot


_CONTENTS: Final = frozenset({"text", "image", "audio", "video", "document"})
_DELTAS: Final[Mapping[str, Callable[[dict[str, Any], Block], None]]] = {
    **dict.fromkeys(_CONTENTS, _add_content),
    "thought_summary": _add_summary,
    "thought_signature": _sign,
    "text_annotation": _add_annotations,
    "text_annotation_delta": _add_annotations,
    "arguments_delta": _add_arguments,
}
