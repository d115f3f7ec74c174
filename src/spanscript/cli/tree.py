"""`spanscript tree`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from spanscript import _json
from spanscript._exchange import Json
from spanscript._text import clean
from spanscript.cli import _filters, _source
from spanscript.cli._conversations import Node, conversations
from spanscript.cli._ids import id_length
from spanscript.cli._message import whole_text
from spanscript.cli._screen import Piece, Screen, cut, dump_list, status, width_of
from spanscript.transcript import summary
from spanscript.transcript.messages import message_of

EXAMPLE: Final = "spanscript tree --dir ./run"

_SHORTEST: Final = 10
"""Columns of the text beside a call, at least."""

_DEEPEST: Final = 12
"""Levels that are drawn further in than the one above."""

_ANEW: Final = ("shortens", "restarts")
_NOTES: Final[Mapping[str, Callable[[Node], str]]] = {
    "begins": lambda _: "",
    "continues": lambda node: f"+{node.messages - node.common}",
    "repeats": lambda _: "the same again",
    "forks": lambda node: f"forks after message {node.common}",
    "shortens": lambda node: f"history made short, {node.common} kept, {node.messages} in all",
    "restarts": lambda node: f"new history, {node.messages} in all",
    "sub-agent": lambda _: "sub-agent",
}
"""Relation → what is said of it."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    _source.add_arguments(parser)
    parser.add_argument("--ids", action="store_true", help="also print trace and span ids, to open in Jaeger")
    _filters.add_limit(parser)
    _filters.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print the conversations in which there is a call that was asked for, the newest last."""
    transcript = _source.load(args)
    calls = transcript.calls()
    wanted = _filters.test_of(args, transcript)
    roots = [root for root in conversations(transcript, calls) if any(wanted(n.call) for n, _ in _walk(root))]
    roots = roots[-args.limit :] if args.limit else roots
    if args.json:
        dump_list(_record(node) for root in roots for node, _ in _walk(root))
    elif not roots:
        print(f"none of {len(calls)} calls is so" if calls else "no calls yet")
    else:
        _print(roots, id_length(calls), ids=args.ids)
    return _source.code_after(transcript)


def _walk(root: Node) -> Iterator[tuple[Node, int]]:
    """Every call of a conversation and its level: what goes on stands on the same level, below the forks."""
    left = [(root, 0)]
    while left:
        node, level = left.pop()
        yield node, level
        onward = node.next or next((child for child in node.children if child.relation in _ANEW), None)
        if onward is not None:
            left.append((onward, level))
        left.extend((child, level + 1) for child in reversed(node.children) if child is not onward)


def _record(node: Node) -> dict[str, Json]:
    found = {
        **summary.of_call(node.call),
        "relation": node.relation,
        "parent_call_id": None if node.parent is None else node.parent.call.call_id,
        "message_count": node.messages,
        "messages_in_common": node.common,
        "fault": node.fault,
    }
    return {key: value for key, value in found.items() if value is not None}


def _print(roots: Iterable[Node], length: int, *, ids: bool) -> None:
    screen = Screen()
    for number, root in enumerate(roots):
        if number:
            screen.line()
        for node, level in _walk(root):
            edge = _edge(level)
            screen.line(*_line(screen, node, edge, length))
            if ids:
                where = (node.call.first(key) for key in ("trace_id", "span_id"))
                told = "  span ".join(filter(None, where))
                screen.line(" " * len(edge), Piece(f"  trace {told}" if told else "  no trace", "dim"))


def _edge(level: int) -> str:
    shown = min(level, _DEEPEST)
    return "" if not shown else "│ " * (shown - 1) + "├─"


def _line(screen: Screen, node: Node, edge: str, length: int) -> Iterator[Piece | str]:
    call = node.call
    about = summary.of_call(call)
    place = " ".join(str(about[key]) for key in ("stage", "iteration") if key in about)
    told = [edge, call.call_id[:length], "  ", about.get("model", "?"), f"  {place}" if place else "", "  "]
    relation = node.fault or _NOTES[node.relation](node)
    used = sum(width_of(clean(text, one_line=True)) for text in (*told, about["status"], relation)) + 4
    yield Piece(edge, "dim")
    yield Piece(told[1], "bold")
    yield from told[2:]
    yield status(about["status"])
    yield Piece(f"  {relation}" if relation else "", "red" if node.fault else "yellow")
    yield Piece("  " + cut(_said(node), max(screen.width - used, _SHORTEST)), "dim")


def _said(node: Node) -> str:
    """What the last message says, on one line."""
    if node.last is None:
        return ""
    try:
        text = whole_text(message_of(_json.loads(node.last), node.call.first("dialect")))
    except (ValueError, RecursionError):
        return "(cannot be read)"
    return clean(" ".join(text[:500].split()), one_line=True)
