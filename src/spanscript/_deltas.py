"""What a streamed answer says from one event to the next: text, thinking and the arguments of tool calls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

import msgspec
from msgspec import Struct

from spanscript._arriving import Arriving
from spanscript._dialects._tools import begun_before
from spanscript._eventstream import METRICS
from spanscript._exchange import ArgumentPiece, Dialect, Event, Json, Reply, Text, Thinking, ToolCall, Usage
from spanscript._json import dumps

Kind = Literal["text", "thinking", "tool_arguments"]

_KINDS: Final[tuple[tuple[type[Text | Thinking], Kind], ...]] = ((Text, "text"), (Thinking, "thinking"))


class Delta(Struct, frozen=True):
    """
    More of one thing, of the first choice.

    Attributes:
        kind: Of what.
        text: What comes; empty where a tool call begins.
        index: Of tool arguments: the call's place among the answer's calls, from 0.
        tool: Likewise: its name.
    """

    kind: Kind
    text: str
    index: int | None = None
    tool: str | None = None


class Deltas:
    """
    One answer, chunk by chunk.

    What comes in no pieces that can be read (a whole answer, a compressed one, a dialect without pieces) is
    told in one by `rest`: so all deltas joined are the whole reply's text, thinking and arguments.
    """

    __slots__ = ("_arguments_told", "_arriving", "_calls", "_dialect", "_told", "usage")

    def __init__(self, dialect: Dialect, content_type: str) -> None:
        self._dialect = dialect
        self._arriving = Arriving(content_type)
        self._told: dict[Kind, int] = {"text": 0, "thinking": 0}
        self._calls: list[ArgumentPiece] = []
        self._arguments_told: list[int] = []
        self.usage = Usage()
        """The counts that have come so far."""

    def take(self, chunk: bytes) -> list[Delta]:
        """Take the next bytes, with no content-encoding; what is new with them."""
        return [delta for event in self._arriving.take(chunk) for delta in self._of(event)]

    def rest(self, reply: Reply) -> list[Delta]:
        """What the whole reply has and was not told."""
        found = [
            self._more(kind, text[self._told[kind] :])
            for part, kind in _KINDS
            if len(text := reply.texts(part) or "") > self._told[kind]
        ]
        for position, call in enumerate(reply.tool_calls):
            place = next((at for at, c in enumerate(self._calls) if c.id and c.id == call.id), position)
            text = _as_text(call.arguments)
            if place >= len(self._calls):
                found.append(self._begin(ArgumentPiece(text, None, call.id, call.name)))
                continue
            told = self._arguments_told[place]
            # What came as text in pieces may stand in the reply as the value that it is, spelt otherwise.
            if len(text) > told and (not told or isinstance(call.arguments, str)):
                found.append(self._argument(place, text[told:]))
        return found

    def _of(self, event: Event) -> Iterator[Delta]:
        dialect = self._dialect
        if event.name == METRICS:
            return
        if dialect.adds is None or dialect.adds(event):
            reply = dialect.decode(dialect.assemble((event,)))
            self._count(reply.usage)
            yield from self._said(reply)
        for piece in dialect.arguments(event) if dialect.arguments else ():
            yield from self._piece(piece)

    def _count(self, usage: Usage) -> None:
        if usage != _UNKNOWN:
            known = {
                name: count for name, count in msgspec.structs.asdict(usage).items() if count is not None
            }
            self.usage = msgspec.structs.replace(self.usage, **known)

    def _said(self, reply: Reply) -> Iterator[Delta]:
        """What one event says, as a reply of its own."""
        parts = (part for c in reply.choices[:1] if c.index == 0 for part in c.message.parts)
        for part in parts:
            if isinstance(part, (Text, Thinking)) and part.text:
                yield self._more("text" if isinstance(part, Text) else "thinking", part.text)
            elif isinstance(part, ToolCall) and self._dialect.arguments is None:
                yield from self._piece(ArgumentPiece(_as_text(part.arguments), None, part.id, part.name))

    def _more(self, kind: Kind, text: str) -> Delta:
        self._told[kind] += len(text)
        return Delta(kind, text)

    def _piece(self, piece: ArgumentPiece) -> Iterator[Delta]:
        place = begun_before(self._calls, piece)
        if place is None and (piece.name or piece.id):
            yield self._begin(piece)
        elif place is not None and piece.text:
            yield self._argument(place, piece.text)

    def _begin(self, piece: ArgumentPiece) -> Delta:
        self._calls.append(piece)
        self._arguments_told.append(0)
        return self._argument(len(self._calls) - 1, piece.text)

    def _argument(self, place: int, text: str) -> Delta:
        self._arguments_told[place] += len(text)
        return Delta("tool_arguments", text, place, self._calls[place].name)


def _as_text(arguments: Json) -> str:
    """Arguments as wire APIs have them that send them in pieces: JSON text, and none if they are empty."""
    return arguments if isinstance(arguments, str) else dumps(arguments).decode() if arguments else ""


_UNKNOWN: Final = Usage()
