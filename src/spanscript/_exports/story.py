"""A call as people read it, in the order in which it happened; `markdown` and `html` lay it out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from msgspec import Struct

from spanscript import _json
from spanscript._blobs import without_base64
from spanscript._exchange import (
    Json,
    Media,
    Message,
    Outcome,
    Part,
    Refusal,
    Request,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from spanscript._messages import part_json
from spanscript._offered import declarations
from spanscript.transcript.entries import timestamp
from spanscript.transcript.exchanges import Exchange


class Piece(Struct, frozen=True):
    """
    A part of what was said.

    Attributes:
        label: What it is, in a word or two; empty for text.
        text: What it says.
        media: The image or sound itself, if there is one.
    """

    label: str
    text: str
    media: Media | None = None


class Section(Struct, frozen=True):
    """What one of them said."""

    title: str
    pieces: Sequence[Piece]


class Story(Struct, frozen=True):
    """A call: facts by name, its attempts as rows, and what was said."""

    call_id: str
    facts: Mapping[str, str]
    attempts: Sequence[Mapping[str, str]]
    sections: Sequence[Section]


def story(exchanges: Sequence[Exchange]) -> Story:
    """The story of a call, by its attempts; what was said is the last one's."""
    last = exchanges[-1]
    request = last.request
    return Story(
        call_id=request.call_id,
        facts={name: str(value) for name, value in _facts(last) if value not in {None, ""}},
        attempts=[_attempt(exchange) for exchange in exchanges],
        sections=[*_asked(request), *_answers(last.outcome)],
    )


def _facts(last: Exchange) -> Iterator[tuple[str, Json]]:
    request, outcome = last.request, last.outcome
    yield "model", request.model
    yield "provider", request.provider
    yield "dialect", request.dialect.name
    yield "client", request.client
    yield "stage", request.stage
    yield "iteration", request.iteration
    if outcome is not None:
        yield "began", timestamp(outcome.started_ns)
    yield "parameters", _text({k: v for k, v in request.params.items() if k != "model"} or None)
    reply = outcome.reply if outcome is not None else None
    for name in reply.usage.__struct_fields__ if reply is not None else ():
        yield name.replace("_", " "), getattr(reply.usage if reply else None, name)


def _attempt(exchange: Exchange) -> dict[str, str]:
    outcome = exchange.outcome
    found: dict[str, Json] = {"attempt": exchange.request.attempt, "status": "unfinished"}
    if outcome is not None:
        found |= {
            "status": outcome.status,
            "http": outcome.http_status,
            "ms": round((outcome.ended_ns - outcome.started_ns) / 1e6),
            "error": outcome.failure and (outcome.failure.message or outcome.failure.type),
        }
    return {name: "" if value is None else str(value) for name, value in found.items()}


def _asked(request: Request) -> Iterator[Section]:
    split = request.split
    if split is None or not (split.items or split.system):
        text = without_base64(request.content).decode("utf-8", "replace")
        yield Section("request", [Piece("body", text)])
        return
    if split.system is not None:
        content = _json.loads(split.system)
        yield _section(request.dialect.message({"role": "system", "content": content}))
    if split.tools is not None:
        names = [tool.name or "?" for tool in declarations(split.tools) or ()]
        yield Section("tools", [Piece("", ", ".join(names))])
    for item in split.items:
        yield _section(request.dialect.message(_json.loads(item)))


def _answers(outcome: Outcome | None) -> Iterator[Section]:
    reply = outcome.reply if outcome is not None else None
    choices = reply.choices if reply is not None else ()
    for choice in choices:
        title = "answer" if len(choices) == 1 else f"answer {choice.index}"
        reason = [Piece("finish reason", choice.finish_reason)] if choice.finish_reason else []
        yield Section(title, [*map(_piece, choice.message.parts), *reason])
    failure = outcome.failure if outcome is not None else None
    if failure is not None:
        yield Section("error", [Piece(failure.type, failure.message or "")])


def _section(message: Message) -> Section:
    return Section(message.role, [_piece(part) for part in message.parts])


def _piece(part: Part) -> Piece:
    label, text = _LABELS.get(type(part), ""), getattr(part, "text", None)
    if isinstance(part, ToolCall):
        arguments = part.arguments if isinstance(part.arguments, str) else _text(part.arguments)
        return Piece(f"calls {part.name or '?'} ({part.id or 'no id'})", arguments or "")
    if isinstance(part, ToolResult):
        result = part.result if isinstance(part.result, str) else _text(part.result)
        return Piece(f"result ({part.id or part.name or 'no id'})", result or "")
    if isinstance(part, Media):
        return Piece(part.modality, _text({k: v for k, v in part_json(part).items() if v}) or "", part)
    return Piece(label or "other", _text(part_json(part)) or "") if text is None else Piece(label, text)


_LABELS: Final[Mapping[type, str]] = {Text: "", Thinking: "thinking", Refusal: "refusal"}


def _text(value: Json) -> str | None:
    return None if value is None else without_base64(_json.dumps(value)).decode("utf-8", "replace")
