"""`spanscript diff`."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from spanscript import _json
from spanscript._exchange import Json
from spanscript._text import brief_json, dump
from spanscript.cli import _changes, _request, _source
from spanscript.cli._changes import Change
from spanscript.cli._message import Shown, print_conversation, print_role, whole_text
from spanscript.cli._screen import Piece, Screen
from spanscript.transcript import summary
from spanscript.transcript.lines import TranscriptError
from spanscript.transcript.messages import message_of
from spanscript.transcript.reader import Call, Transcript

EXAMPLE: Final = "spanscript diff 01a21d18-d7 01a21d18-da --dir ./run"

_TOLD: Final = ("model", "provider", "dialect", "client", "url", "stream", "stage", "iteration")
"""What entries tell of a call that is compared like parameters."""

_STYLES: Final = {"-": "red", "+": "green", "@": "cyan"}


class Side(Struct, frozen=True):
    """What the model was given in one call."""

    call: Call
    parameters: Mapping[str, Json]
    system_prompt: Json
    tool_schemas: Json
    messages: Sequence[Json]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("before", metavar="A", help="a call's id or any beginning of it; or `last`")
    parser.add_argument("after", metavar="B", help="the call that is compared with it")
    _source.add_arguments(parser)
    parser.add_argument("--full", action="store_true", help="long texts in whole")


def run(args: argparse.Namespace) -> int:
    """Print what is different in the second call's context, as it was sent at its last attempt."""
    transcript = _source.load(args)
    calls = [_source.find_named(args, transcript, name) for name in (args.before, args.after)]
    before, after = (_side(transcript, call) for call in calls)
    parameters = _changes.of_parameters(before.parameters, after.parameters)
    system = _changes.of_texts(before.system_prompt, after.system_prompt)
    tools = _changes.of_texts(before.tool_schemas, after.tool_schemas)
    messages = _changes.of_messages(before.messages, after.messages)
    if args.json:
        print(
            dump(
                {
                    "before": before.call.call_id,
                    "after": after.call.call_id,
                    "parameters": {name: _pair(*values) for name, values in parameters.items()},
                    "system_prompt": system,
                    "tool_schemas": tools,
                    "messages": [_record(change) for change in messages],
                }
            )
        )
    else:
        screen = Screen()
        _print_heads(screen, before, after)
        _print_parameters(screen, parameters)
        _print_text(screen, "SYSTEM PROMPT", system)
        _print_text(screen, "TOOLS", tools)
        _print_messages(screen, messages, (before, after), full=args.full)
    return _source.code_after(transcript)


def _side(transcript: Transcript, call: Call) -> Side:
    request = transcript.request(call)
    told = {key: value for key in _TOLD if (value := request.get(key)) is not None}
    try:
        raw = {key: transcript.value(request, key) for key in ("system_prompt", "tool_schemas")}
        values = {key: None if found is None else _json.loads(found) for key, found in raw.items()}
        messages = [_json.loads(message) for message in transcript.messages(request)]
        return Side(call, {**told, **_request.parameters(request)}, messages=messages, **values)
    except (TranscriptError, ValueError, RecursionError) as error:
        text = str(error).removeprefix(f"{request.where}: ")
        raise TranscriptError(f"{request.where}: the context cannot be rebuilt: {text}") from error


def _pair(before: Sequence[Json], after: Sequence[Json]) -> dict[str, Json]:
    return {**({"before": before[0]} if before else {}), **({"after": after[0]} if after else {})}


def _record(change: Change) -> dict[str, Json]:
    record = {"change": change.kind, "at": change.at, "count": change.count}
    values = {"before": change.before, "after": change.after}
    return record | {key: value for key, value in values.items() if value is not None}


def _print_heads(screen: Screen, before: Side, after: Side) -> None:
    for mark, side in (("-", before), ("+", after)):
        about = summary.of_call(side.call)
        keys = ("timestamp", "model", "stage", "iteration", "status")
        told = "  ".join(str(about[key]) for key in keys if key in about)
        screen.line(Piece(f"{mark} {side.call.call_id}", _STYLES[mark]), f"  {told}")


def _print_parameters(screen: Screen, changes: Mapping[str, Sequence[Sequence[Json]]]) -> None:
    if changes:
        screen.heading("PARAMETERS")
    for name, (before, after) in changes.items():
        mark = "~" if before and after else "-" if before else "+"
        values = " → ".join(brief_json(value)[:200] for value in (*before, *after))
        screen.line(Piece(f"{mark} {name}", _STYLES.get(mark, "yellow")), f"  {values}")


def _print_text(screen: Screen, title: str, lines: Iterable[str]) -> None:
    for number, line in enumerate(lines):
        if not number:
            screen.heading(title)
        screen.line(Piece(line, _STYLES.get(line[:1], "")))


def _print_messages(
    screen: Screen, changes: Sequence[Change], sides: tuple[Side, Side], *, full: bool
) -> None:
    counts = Counter({change.kind: 0 for change in changes})
    for change in changes:
        counts[change.kind] += change.count
    screen.heading("MESSAGES", ", ".join(f"{number} {kind}" for kind, number in counts.items()) or "none")
    old, new = (side.call.first("dialect") for side in sides)
    for change in changes:
        if change.kind == "same":
            screen.line(Piece(f"= {change.count} of the same", "dim"))
        elif change.kind == "edited":
            print_role(screen, Shown(message_of(change.after, new), "~ "))
            texts = (whole_text(message_of(change.before, old)), whole_text(message_of(change.after, new)))
            for line in _changes.of_texts(*texts) or _changes.of_texts(change.before, change.after):
                screen.line("  ", Piece(line, _STYLES.get(line[:1], "")))
        elif change.kind == "dropped":
            print_conversation(screen, [Shown(message_of(change.before, old), "- ")], full=full)
        else:
            print_conversation(screen, [Shown(message_of(change.after, new), "+ ")], full=full)
