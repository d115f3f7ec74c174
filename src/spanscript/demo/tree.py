"""Spans as a tree of calls with their attempts: pure, from spans to lines or JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from spanscript._exchange import Json
from spanscript.demo.receiver import Span

Style = Literal["good", "bad", "faint", "plain"]


@dataclass(frozen=True)
class Node:
    """A span and those that it is the parent of, by start."""

    span: Span
    children: Sequence[Node]


def grow(spans: Sequence[Span]) -> list[Node]:
    """The trees of spans, by start; a span whose parent is not among them is a root."""
    known = {span.span_id for span in spans}
    below: dict[str | None, list[Span]] = {}
    for span in sorted(spans, key=lambda s: s.started_ns):
        below.setdefault(span.parent_id if span.parent_id in known else None, []).append(span)

    def nodes(parent: str | None) -> list[Node]:
        return [Node(span, nodes(span.span_id)) for span in below.get(parent, [])]

    return nodes(None)


def as_json(nodes: Sequence[Node]) -> Json:
    """The trees as JSON: name, scope, times, status, every attribute, children."""
    return [
        {
            "name": node.span.name,
            "scope": node.span.scope,
            "trace_id": node.span.trace_id,
            "span_id": node.span.span_id,
            "started_ns": node.span.started_ns,
            "ms": _milliseconds(node.span),
            "error": node.span.description if node.span.failed else None,
            "attributes": node.span.attributes,
            "children": as_json(node.children),
        }
        for node in nodes
    ]


def lines(nodes: Sequence[Node], indent: str = "") -> Iterator[list[tuple[str, Style]]]:
    """The trees for a terminal: lines of (text, style)."""
    earlier: Span | None = None
    for index, node in enumerate(nodes):
        last = index == len(nodes) - 1
        branch, below = _BRANCHES[last] if indent or _is_attempt(node.span) else ("", "  ")
        if earlier is not None and _is_attempt(node.span):
            yield [(f"{indent}{_BRANCHES[False][1]}{_wait(earlier, node.span)}", "faint")]
        yield [(indent + branch, "faint"), *_described(node.span)]
        yield from lines(node.children, indent + below)
        earlier = node.span


_BRANCHES = {False: ("├─ ", "│  "), True: ("└─ ", "   ")}


def _is_attempt(span: Span) -> bool:
    return "llm.call_id" in span.attributes and "gen_ai.operation.name" not in span.attributes


def _milliseconds(span: Span) -> int:
    return round((span.ended_ns - span.started_ns) / 1e6)


def _wait(earlier: Span, later: Span) -> str:
    waited = round((later.started_ns - earlier.ended_ns) / 1e6)
    asked = earlier.attributes.get("llm.retry_after_ms")
    return f"waited {waited} ms" + ("" if asked is None else f" (asked to wait {asked} ms)")


def _described(span: Span) -> Iterator[tuple[str, Style]]:
    values = span.attributes
    yield f"{span.name:<{12 if _is_attempt(span) else 34}}", "plain"
    status = values.get("llm.status")
    if status is not None:
        yield f" {status:<9}", "good" if status == "ok" else "bad"
    if "http.response.status_code" in values:
        yield f" {values['http.response.status_code']}", "plain"
    yield f" {_milliseconds(span):>5} ms", "plain"
    if not _is_attempt(span):
        yield "".join(f"  {mark}" for mark in _marks(values)), "faint"
    if span.failed and span.description:
        yield f"  {span.description}", "bad"


def _marks(values: Mapping[str, Any]) -> Iterator[str]:
    counts = (values.get(f"gen_ai.usage.{way}_tokens") for way in ("input", "output"))
    if known := [str(count) for count in counts if count is not None]:
        yield f"{' → '.join(known)} tokens"
    if values.get("gen_ai.request.stream"):
        yield "streamed"
    if "tool_call" in (values.get("gen_ai.response.finish_reasons") or ()):
        yield "tool call"
    if values.get("llm.attempt"):
        yield f"{values['llm.attempt'] + 1} attempts"
