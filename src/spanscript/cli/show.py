"""`spanscript show`."""

from __future__ import annotations

import argparse
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from spanscript import _json
from spanscript._exchange import Json, Message, Text
from spanscript._text import brief_json, dump
from spanscript.cli import _request, _source
from spanscript.cli._answer import print_annotations, print_answer, print_interpretation
from spanscript.cli._message import Shown, print_conversation, print_text
from spanscript.cli._screen import Piece, Screen
from spanscript.cli._screen import status as coloured
from spanscript.cli._timeline import print_timeline
from spanscript.transcript import resolve, summary
from spanscript.transcript.contents import VALUES
from spanscript.transcript.filling import has_blobs
from spanscript.transcript.lines import Entry, TranscriptError
from spanscript.transcript.messages import message_of
from spanscript.transcript.reader import Call, Transcript

EXAMPLE: Final = "spanscript show last --dir ./run"

_NEW: Final = "+ "
_NAMES: Final = {"system_prompt": "system", "tool_schemas": "tools"}
_LOOKED_BACK: Final = 1000
"""Calls among which the one before in the conversation is looked for: not all of a large transcript."""

_BODIES: Final = ("body", "body_text", "body_base64")
_ANSWER: Final = (
    "thinking",
    "text",
    "refusal",
    "tool_calls",
    "parts",
    "choices",
    "finish_reasons",
    "error_type",
    "error_message",
    "truncated",
    "empty",
    "extras",
)
_INTERPRETED: Final = ("tool_format", "prose", "tool_calls", "tool_parse_errors")
_ANNOTATION: Final = ("timestamp", "event", "iteration", "stage", "fields")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    _source.add_call(parser)
    _source.add_arguments(parser)
    parser.add_argument("--new", action="store_true", help="of the prompt, only what the call before had not")
    parser.add_argument("--full", action="store_true", help="long texts in whole")


def run(args: argparse.Namespace) -> int:
    """Show one call. What of it is missing is said in its place."""
    transcript = _source.load(args)
    call = _source.find(args, transcript)
    record = _record(transcript, call)
    if args.json:
        print(dump(record))
    else:
        _print(record, new_only=args.new, full=args.full)
    return _source.code_after(transcript, record["prompt"].get("error"))


def _record(transcript: Transcript, call: Call) -> dict[str, Json]:
    interpreted = {} if call.interpreted is None else _values(transcript, call.interpreted, _INTERPRETED)
    annotations = [_values(transcript, entry, _ANNOTATION) for entry in call.annotations]
    return {
        **summary.of_call(call),
        "prompt": _prompt(transcript, call),
        "answer": _answer(transcript, call),
        **({"interpreted": interpreted} if interpreted else {}),
        **({"annotations": annotations} if annotations else {}),
        "attempt_list": summary.of_attempts(call),
    }


def _prompt(transcript: Transcript, call: Call) -> dict[str, Json]:
    """System prompt, tools and messages of the last attempt, as sent; `error` if they are not there."""
    where = ""
    try:
        request = transcript.request(call)
        where = f"{request.where}: "
        found: dict[str, Json] = {"parameters": _request.parameters(request)}
        for key in ("system_prompt", "tool_schemas"):
            raw = transcript.value(request, key)
            found |= {} if raw is None else {key: _json.loads(raw)}
        context = transcript.contents.context(request.get("context"))
        if context:
            found |= _since(transcript, call, request, [entry.get("hash") for entry in context])
            found["messages"] = [_json.loads(resolve.message_text(entry.raw)) for entry in context]
        elif "system_prompt" not in found:
            found["body"] = _body(transcript, request)
    except (TranscriptError, ValueError, RecursionError) as error:
        return {"error": f"{where}{str(error).removeprefix(where)}"}
    return found


def _since(transcript: Transcript, call: Call, request: Entry, hashes: Sequence[str]) -> dict[str, Json]:
    """Which earlier call's messages are a beginning of these: the one with the most, then the latest."""
    places = {name: number for number, name in enumerate(hashes, 1)}
    known, before = 0, None
    calls = transcript.calls()
    end = bisect_left(
        calls, (call.timestamp, call.call_id), key=lambda other: (other.timestamp, other.call_id)
    )
    for other in calls[max(0, end - _LOOKED_BACK) : end]:
        shared = places.get(other.first("context") or "", 0)
        if shared and shared >= known:
            known, before = shared, other
    if before is None:
        return {}
    changed = [key for key in VALUES if before.first(key) != request.get(key)]
    return {"follows": before.call_id, "known_messages": known, "changed": changed}


def _body(transcript: Transcript, request: Entry) -> Json:
    """A body without messages that stand elsewhere: as JSON, else as text; with marks, as it stands there."""
    if has_blobs(request):
        return next((request.get(key) for key in _BODIES if key in request.raw), None)
    content = transcript.body(request)
    try:
        return _json.loads(content)
    except ValueError:
        return content.decode(errors="replace")


def _answer(transcript: Transcript, call: Call) -> dict[str, Json]:
    outcome = call.outcomes.get(max(call.attempts, default=0))
    return {} if outcome is None else _values(transcript, outcome, _ANSWER)


def _values(transcript: Transcript, brief: Entry, keys: Sequence[str]) -> dict[str, Json]:
    whole = transcript.whole(brief)
    return {key: value for key in keys if (value := whole.get(key)) is not None}


def _print(record: Mapping[str, Json], *, new_only: bool, full: bool) -> None:
    screen = Screen()
    for name, *pieces in _head(record):
        screen.line(Piece(f"{name:<11}", "dim"), *pieces)
    screen.heading("ATTEMPTS")
    print_timeline(screen, record["attempt_list"])
    _print_prompt(screen, record, new_only=new_only, full=full)
    screen.heading("ANSWER")
    print_answer(screen, record["answer"], record["status"], full=full)
    interpreted = record.get("interpreted", {})
    if any(value for key, value in interpreted.items() if key != "tool_format"):
        screen.heading("INTERPRETED", brief_json(interpreted.get("tool_format", "")))
        print_interpretation(screen, interpreted, full=full)
    if "annotations" in record:
        screen.heading("ANNOTATIONS")
        print_annotations(screen, record["annotations"], full=full)


def _head(record: Mapping[str, Json]) -> Iterator[tuple[str | Piece, ...]]:
    """Name of a line, then its pieces; what is not known is left out."""
    prompt = record["prompt"]
    yield "call", Piece(record["call_id"], "bold")
    attempts = f" after {record['attempts']} attempts" if record["attempts"] > 1 else ""
    took = f", {record['ms']:.0f} ms" if "ms" in record else ""
    yield "status", coloured(record["status"]), attempts + took
    lines = {
        "time": _joined(" ", record.get("timestamp")),
        "model": _joined(", ", record.get("model"), "streamed" if record.get("stream") else None),
        "provider": _joined("", record.get("provider")),
        "dialect": _joined(", client ", *map(record.get, ("dialect", "client"))),
        "url": _joined("", record.get("url")),
        "stage": _joined(", ", record.get("stage"), _numbered("iteration", record.get("iteration"))),
        "trace": _joined(", span ", *map(record.get, ("trace_id", "span_id"))),
        "tokens": ", ".join(_tokens(record)),
        "cost": f"${record['cost_usd']:.6f}" if "cost_usd" in record else "",
        "parameters": ", ".join(f"{k} {brief_json(v)[:80]}" for k, v in prompt.get("parameters", {}).items()),
    }
    yield from ((name, text) for name, text in lines.items() if text)


def _joined(separator: str, *values: Json) -> str:
    return separator.join(str(value) for value in values if value is not None)


def _numbered(name: str, value: Json) -> str | None:
    return None if value is None else f"{name} {value}"


def _tokens(record: Mapping[str, Json]) -> Iterator[str]:
    for key, value in record.items():
        if key.endswith("_tokens"):
            yield f"{value} {key.removesuffix('_tokens').replace('_', ' ')}"


def _print_prompt(screen: Screen, record: Mapping[str, Json], *, new_only: bool, full: bool) -> None:
    prompt, dialect = record["prompt"], record.get("dialect")
    known, changed = prompt.get("known_messages", 0), prompt.get("changed", ())
    screen.heading("PROMPT", f"{_NEW}is what {prompt['follows']} had not" if known else "")
    if "error" in prompt:
        screen.line("  ", Piece(f"cannot be shown: {prompt['error']}", "red"))
    shown = []
    if "system_prompt" in prompt:
        system = message_of({"role": "system", "content": prompt["system_prompt"]}, dialect)
        shown.append(Shown(system, _NEW if "system_prompt" in changed else ""))
    if "tool_schemas" in prompt:
        names = ", ".join(_request.tool_names(_json.dumps(prompt["tool_schemas"])))
        shown.append(Shown(Message("tools", (Text(names),)), _NEW if "tool_schemas" in changed else ""))
    for number, value in enumerate(prompt.get("messages", ())):
        shown.append(Shown(message_of(value, dialect), _NEW if 0 < known <= number else ""))
    gone = [name for key, name in _NAMES.items() if key in changed and key not in prompt]
    shown[:0] = [Shown(Message(name, (Text("not here any more"),)), "- ") for name in gone]
    if new_only and known:
        shown = [message for message in shown if message.mark]
    print_conversation(screen, shown, full=full)
    if "body" in prompt:
        print_text(screen, brief_json(prompt["body"]), full=full)
