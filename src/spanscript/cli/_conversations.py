"""
Which call follows which: from the hash chain of messages, and where that breaks, from what else is told.

A call follows the earlier call with which it has the most messages in common. A call that has none in
common with any begins a conversation, unless it keeps messages of another in other places (a history made
short), goes on counting the iterations of a stage (a new history), or begins while a tool that another
call asked for is running, with the tool's arguments or in the same trace (a sub-agent).
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Final, Literal, TypeAlias

from msgspec import Struct, field

from spanscript import _json
from spanscript._exchange import Json
from spanscript.cli._message import arguments_of
from spanscript.cli._search import texts_of
from spanscript.transcript import resolve
from spanscript.transcript.lines import Entry, TranscriptError
from spanscript.transcript.reader import Call, Transcript

Relation: TypeAlias = Literal["begins", "continues", "repeats", "forks", "shortens", "restarts", "sub-agent"]

_TELLING: Final = 8
"""Characters from which a text that two calls have in common says something."""

_LOOKED_BACK: Final = 500
"""Calls before a conversation's first one among which the one is looked for that asked for a sub-agent."""


class Node(Struct, eq=False):
    """
    A call in its place.

    Attributes:
        call: The call.
        relation: How it follows `parent`; `begins`: it does not.
        parent: The call that it follows.
        children: The calls that follow it, in their order.
        messages: Number of messages of its context.
        common: Number of those that it has in common with its parent's.
        last: Its last message, raw; `None` if it has none.
        fault: Why its context could not be followed to its beginning.
    """

    call: Call
    relation: Relation = "begins"
    parent: Node | None = None
    children: list[Node] = field(default_factory=list)
    messages: int = 0
    common: int = 0
    last: bytes | None = None
    fault: str | None = None

    def follow(self, parent: Node, relation: Relation, common: int = 0) -> None:
        """Take a place below another call."""
        self.parent, self.relation, self.common = parent, relation, common
        parent.children.append(self)

    @property
    def next(self) -> Node | None:
        """The first call that continues it."""
        return next((child for child in self.children if child.relation == "continues"), None)


def conversations(transcript: Transcript, calls: Iterable[Call]) -> list[Node]:
    """The first calls of all conversations; the others hang on them. *calls* in the order they began."""
    chains = _Chains(transcript)
    nodes = [chains.place(call) for call in calls]
    _restarts(nodes)
    _sub_agents(transcript, nodes)
    return [node for node in nodes if node.parent is None]


class _Chains:
    """Places calls by their messages. Each message is read once, whichever calls have it."""

    def __init__(self, transcript: Transcript) -> None:
        self._contents = transcript.contents
        self._depths: dict[str, int] = {}
        self._carriers: dict[str, Node] = {}
        self._ends: dict[str, Node] = {}
        self._values: dict[bytes, Node] = {}

    def place(self, call: Call) -> Node:
        node = Node(call)
        context = call.first("context")
        path, known = self._new(context, node)
        for depth, entry in enumerate(reversed(path), self._depths.get(known or "", 0) + 1):
            self._depths[entry.get("hash")] = depth
            self._carriers[entry.get("hash")] = node
        node.messages = self._depths.get(context or "", 0)
        values = [resolve.message_text(entry.raw) for entry in path]
        node.last = values[0] if values else None if context is None else self._text(context)
        if known is not None:
            self._follow(node, known, is_new=bool(path))
        else:
            self._shorten(node, values)
        if context is not None:
            self._ends[context] = node
        self._values.update((_digest(value), node) for value in values)
        return node

    def _new(self, context: str | None, node: Node) -> tuple[list[Entry], str | None]:
        """The messages that no call had before, the last one first, and the hash of the one below them."""
        path: dict[str, Entry] = {}
        name = context
        while name is not None and name not in self._carriers:
            if name in path:
                node.fault = f"the parents of message {name} run in a circle"
                return list(path.values()), None
            try:
                path[name] = self._contents.get("message", name)
            except TranscriptError as error:
                node.fault = str(error)
                return list(path.values()), None
            name = path[name].get("parent")
        return list(path.values()), name

    def _follow(self, node: Node, known: str, *, is_new: bool) -> None:
        common = self._depths[known]
        before = self._ends.get(known)
        if before is None:
            node.follow(self._carriers[known], "forks", common)
        elif not is_new:
            node.follow(before, "repeats", common)
        else:
            node.follow(before, "continues" if before.next is None else "forks", common)

    def _shorten(self, node: Node, values: list[bytes]) -> None:
        kept = [found for value in values if (found := self._values.get(_digest(value))) is not None]
        if kept and len(values) > 1:  # one message alone can be asked anywhere
            node.follow(_latest(kept[0]), "shortens", len(kept))

    def _text(self, name: str) -> bytes:
        return resolve.message_text(self._contents.get("message", name).raw)


def _latest(node: Node) -> Node:
    while node.next is not None:
        node = node.next
    return node


def _digest(value: bytes) -> bytes:
    return blake2b(value, digest_size=16).digest()


def _restarts(nodes: Iterable[Node]) -> None:
    """Calls without a parent that go on counting the iterations of a stage in the same process."""
    counted: dict[tuple[str, str, int], Node] = {}
    for node in nodes:
        request = next(iter(node.call.requests.values()), None)
        writer, stage = (None if request is None else request.get(key) for key in ("writer", "stage"))
        iteration = node.call.first("iteration")
        if writer is None or stage is None or not isinstance(iteration, int):
            continue
        before = counted.get((writer, stage, iteration - 1))
        if node.parent is None and before is not None:
            node.follow(before, "restarts")
        counted[writer, stage, iteration] = node


def _sub_agents(transcript: Transcript, nodes: list[Node]) -> None:
    """Calls without a parent that began while a tool which another call asked for was running."""
    for number, node in enumerate(nodes):
        if node.parent is None:
            near = reversed(nodes[max(0, number - _LOOKED_BACK) : number])
            caller = next((other for other in near if _asked_for(transcript, other, node)), None)
            if caller is not None:
                node.follow(caller, "sub-agent")


def _asked_for(transcript: Transcript, caller: Node, node: Node) -> bool:
    outcome = caller.call.outcomes.get(max(caller.call.attempts, default=0))
    answered = None if outcome is None else outcome.get("timestamp")
    if outcome is None or answered is None or answered > node.call.timestamp:
        return False
    if caller.next is not None and caller.next.call.timestamp < node.call.timestamp:
        return False
    calls = transcript.whole(outcome).get("tool_calls")
    if not calls:
        return False
    trace = caller.call.first("trace_id")
    is_within = caller.next is not None and trace is not None and trace == node.call.first("trace_id")
    return is_within or _says(node, calls)


def _says(node: Node, calls: Json) -> bool:
    """Whether the last message has a text of the arguments in it."""
    told = "" if node.last is None else "\n".join(texts_of(_json.loads(node.last)))
    arguments = [call.get("arguments") for call in calls if isinstance(call, dict)]
    texts = (text for value in arguments for text in texts_of(arguments_of(value)))
    return any(len(text) >= _TELLING and text in told for text in texts)
