"""`spanscript show`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import Final

from spanscript import _json
from spanscript._exchange import Json
from spanscript.cli import _source, _summary
from spanscript.cli._message import blocks_of, call_line, indented
from spanscript.cli._table import print_table
from spanscript.cli._text import brief_json, clean, dump
from spanscript.transcript.filling import has_blobs
from spanscript.transcript.lines import Entry, TranscriptError
from spanscript.transcript.reader import Call, Transcript

EXAMPLE: Final = "spanscript show last --dir ./run"

_HEAD: Final = (
    "call_id",
    "timestamp",
    "model",
    "provider",
    "dialect",
    "client",
    "url",
    "stage",
    "trace_id",
)
_ATTEMPTS: Final = {
    "attempt": "attempt",
    "status": "status",
    "http_status": "http",
    "response_ms": "ms",
    "retry_after_ms": "asked to wait ms",
    "waited_ms": "waited ms",
    "error_message": "error",
}
"""Key of the record → heading."""

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
    "extras",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    _source.add_call(parser)
    _source.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Show one call. What of it is missing is said in its place."""
    transcript = _source.load(args)
    call = _source.find(args, transcript)
    record: dict[str, Json] = {
        **_summary.of_call(call),
        "prompt": _prompt(transcript, call),
        "answer": _answer(transcript, call),
        "attempt_list": _summary.of_attempts(call),
    }
    if args.json:
        print(dump(record))
    else:
        _print(record)
    return _source.code_after(transcript, record["prompt"].get("error"))


def _prompt(transcript: Transcript, call: Call) -> dict[str, Json]:
    """System prompt, tools and messages of the last attempt, as sent; `error` if they are not there."""
    where = ""
    try:
        request = transcript.request(call)
        where = f"{request.where}: "
        values = {key: transcript.value(request, key) for key in ("system_prompt", "tool_schemas")}
        found: dict[str, Json] = {key: _json.loads(raw) for key, raw in values.items() if raw is not None}
        messages = transcript.messages(request)
        if messages:
            found["messages"] = [_json.loads(raw) for raw in messages]
        elif "system_prompt" not in found:
            found["body"] = _body(transcript, request)
    except (TranscriptError, ValueError, RecursionError) as error:
        return {"error": f"{where}{str(error).removeprefix(where)}"}
    return found


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
    if outcome is None:
        return {}
    whole = transcript.whole(outcome)
    return {key: value for key in _ANSWER if (value := whole.get(key)) is not None}


def _print(record: Mapping[str, Json]) -> None:
    for key in _HEAD:
        if key in record:
            print(f"{key:<10} {clean(str(record[key]), one_line=True)}")
    print()
    attempts = record["attempt_list"]
    keys = [key for key in _ATTEMPTS if any(key in attempt for attempt in attempts)]
    print_table([_ATTEMPTS[key] for key in keys], [[a.get(key) for key in keys] for a in attempts])
    print("\nPROMPT")
    for block in _prompt_blocks(record["prompt"], record.get("dialect")):
        print(block)
    print("\nANSWER")
    for block in _answer_blocks(record["answer"], record):
        print(block)


def _prompt_blocks(prompt: Mapping[str, Json], dialect: str | None) -> Iterator[str]:
    if "error" in prompt:
        yield f"  cannot be shown: {clean(prompt['error'], one_line=True)}"
    if "system_prompt" in prompt:
        yield from blocks_of({"role": "system", "content": prompt["system_prompt"]}, dialect)
    if "tool_schemas" in prompt:
        tools = prompt["tool_schemas"]
        names = map(_tool_name, tools if isinstance(tools, list) else [tools])
        yield f"tools: {clean(', '.join(names), one_line=True)}"
    for message in prompt.get("messages", ()):
        yield from blocks_of(message, dialect)
    if "body" in prompt:
        yield indented(brief_json(prompt["body"]))


def _tool_name(tool: Json) -> str:
    """The name of a tool as the dialects write it, or the tool itself."""
    if isinstance(tool, dict):
        inner = tool.get("function")
        name = tool.get("name") or (inner.get("name") if isinstance(inner, dict) else tool.get("type"))
        if isinstance(name, str):
            return name
    return brief_json(tool)


def _answer_blocks(answer: Mapping[str, Json], record: Mapping[str, Json]) -> Iterator[str]:
    if not answer:
        yield f"  none ({record['status']})"
    for key, value in answer.items():
        if key == "tool_calls" and isinstance(value, list):
            for call in value:
                yield indented(_tool_call(call))
        elif key == "text":
            yield indented(brief_json(value))
        else:
            yield indented(f"{key}: {brief_json(value)}")
    tokens = [f"{key} {record[key]}" for key in record if key.endswith("_tokens")]
    if tokens:
        yield f"  {', '.join(tokens)}"


def _tool_call(call: Json) -> str:
    if not isinstance(call, dict):
        return brief_json(call)
    return call_line(call.get("name"), call.get("arguments"), call.get("id"))
