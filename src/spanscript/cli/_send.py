"""`spanscript replay --send`: asks again, and shows the new answer beside the old one."""

from __future__ import annotations

import argparse
import difflib
import os
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Final

from msgspec import Struct

from spanscript import _json
from spanscript._exchange import Json, Reply, Request, Text, Thinking
from spanscript._resending.asking import Answer, ask
from spanscript._resending.targets import Target, Wanted, target
from spanscript._text import clean, dump
from spanscript.cli._message import text_of
from spanscript.cli._table import print_table
from spanscript.transcript import resolve
from spanscript.transcript.exchanges import Exchange
from spanscript.transcript.lines import TranscriptError

_NEEDS_SEND: Final = ("model", "base_url", "key_env", "yes", "timeout")
_SECONDS: Final = 120.0
_WIDE: Final = 100
"""Columns from which two answers stand side by side."""
_GAP: Final = 3
_FACTS: Final = {
    "status": "status",
    "model": "model",
    "input_tokens": "in",
    "output_tokens": "out",
    "reasoning_tokens": "reasoning",
    "first_chunk_ms": "first chunk ms",
    "ms": "ms",
}
"""Key of a told answer → heading."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What only `--send` takes."""
    sending = parser.add_argument_group("with --send")
    sending.add_argument("--model", metavar="NAME", help="ask this model instead")
    sending.add_argument("--base-url", metavar="URL", help="ask there (default: the provider's own address)")
    sending.add_argument(
        "--key-env",
        metavar="NAME",
        help="environment variable that holds the key (default: the usual one of the provider that is asked)",
    )
    sending.add_argument("--timeout", type=float, metavar="S", help=f"seconds to wait ({_SECONDS:.0f})")
    sending.add_argument("--yes", action="store_true", help="do not ask before it is sent: it may cost money")


def require_send(args: argparse.Namespace) -> None:
    """
    Refuse what would have no effect.

    Raises:
        TranscriptError: An option of `--send` without it.
    """
    given = [name for name in _NEEDS_SEND if getattr(args, name) not in {None, False}]
    if given and not args.send:
        raise TranscriptError(f"--{given[0].replace('_', '-')} is for --send, which sends the request again")


class _Told(Struct, frozen=True):
    """An answer as it is shown: facts by key, and what was said."""

    facts: dict[str, Json]
    text: str


def run(args: argparse.Namespace, exchange: Exchange) -> int:
    """Send the request of *exchange*; 1 if the answer is a failure."""
    request = exchange.request
    body = request.content if args.model is None else _with_model(request, args.model)
    wanted = Wanted(
        provider=request.provider,
        dialect=request.dialect.name,
        model=args.model or request.model,
        stream=request.stream,
        base_url=args.base_url,
        key_env=args.key_env,
    )
    found = target(wanted, os.environ)
    if not args.yes and not _is_confirmed(found, wanted.model, body):
        print("spanscript: nothing was sent", file=sys.stderr)
        return 1
    seconds = _SECONDS if args.timeout is None else args.timeout
    answer = ask(found, body, request.dialect, seconds=seconds, stream=request.stream)
    old, new = _old(exchange), _new(answer)
    if args.json:
        print(dump(_record(request, found, old, new)))
    else:
        _print(request, found, old, new)
    return 1 if answer.reply.failure is not None else 0


def _with_model(request: Request, model: str) -> bytes:
    """The body with another model; as it is, where the address names the model."""
    try:
        members = _json.members(request.content)
    except ValueError as error:
        raise TranscriptError("the body is no JSON object, so --model has no place in it") from error
    if "model" not in members:
        return request.content
    return resolve.object_text({**members, "model": _json.dumps(model)}, resolve.COMPACT)


def _is_confirmed(found: Target, model: str | None, body: bytes) -> bool:
    """
    Whether a person says yes.

    Raises:
        TranscriptError: There is none to be asked.
    """
    if not sys.stdin.isatty():
        raise TranscriptError("--yes is needed where nobody can be asked: to send a request may cost money")
    what = f"Send {len(body):,} bytes to {found.url.partition('?')[0]}, model {model or '?'}? [y/N] "
    print(clean(what, one_line=True), end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _old(exchange: Exchange) -> _Told:
    outcome = exchange.outcome
    if outcome is None:
        return _Told({"status": "unfinished"}, "")
    started, first = outcome.started_ns, outcome.first_chunk_ns
    facts = {
        "status": outcome.status,
        "http_status": outcome.http_status,
        "ms": (outcome.ended_ns - started) / 1e6,
        "first_chunk_ms": None if first is None else (first - started) / 1e6,
        "error_type": outcome.failure and outcome.failure.type,
        "error_message": outcome.failure and outcome.failure.message,
    }
    return _told(outcome.reply or Reply(), facts)


def _new(answer: Answer) -> _Told:
    failure = answer.reply.failure
    facts = {
        "status": "ok" if failure is None else "error",
        "http_status": answer.http_status,
        "ms": answer.response_ms,
        "first_chunk_ms": answer.first_chunk_ms,
        "error_type": failure and failure.type,
        "error_message": failure and failure.message,
    }
    return _told(answer.reply, facts)


def _told(reply: Reply, facts: dict[str, Json]) -> _Told:
    usage = {name: getattr(reply.usage, name) for name in reply.usage.__struct_fields__}
    found = {
        **facts,
        "model": reply.model,
        "finish_reasons": list(reply.finish_reasons) or None,
        "thinking": reply.texts(Thinking),
        "text": reply.texts(Text),
        "tool_calls": [{"name": c.name, "arguments": c.arguments} for c in reply.tool_calls] or None,
        **usage,
    }
    error = " ".join(filter(None, (facts.get("error_type"), facts.get("error_message"))))
    text = "\n".join(_lines(reply) if reply.choices else [error])
    return _Told({key: value for key, value in found.items() if value is not None}, clean(text))


def _lines(reply: Reply) -> Iterator[str]:
    for choice in reply.choices:
        for part in choice.message.parts:
            yield text_of(part)
        if len(reply.choices) > 1:
            yield f"({choice.index}: {choice.finish_reason or ''})"


def _record(request: Request, found: Target, old: _Told, new: _Told) -> dict[str, Json]:
    about = {"call_id": request.call_id, "attempt": request.attempt, "url": found.url.partition("?")[0]}
    return {**about, "old": old.facts, "new": new.facts, "same_text": old.text == new.text}


def _print(request: Request, found: Target, old: _Told, new: _Told) -> None:
    print(clean(f"call {request.call_id}, attempt {request.attempt}, sent to {found.host}\n"))
    keys = [key for key in _FACTS if key in old.facts or key in new.facts]
    rows = [[name, *(told.facts.get(key) for key in keys)] for name, told in (("old", old), ("new", new))]
    print_table(["", *(_FACTS[key] for key in keys)], rows)
    width = shutil.get_terminal_size().columns
    if sys.stdout.isatty() and width >= _WIDE:
        print()
        for line in _side_by_side(old.text, new.text, (width - _GAP) // 2):
            print(line)
    else:
        for name, told in (("OLD", old), ("NEW", new)):
            print(f"\n{name}\n{textwrap.indent(told.text, '  ')}")
    print("\nDIFFERENCE")
    for line in _difference(old.text.splitlines(), new.text.splitlines()):
        print(f"  {line}")
    if "error_type" in new.facts:
        error = f"{new.facts['error_type']}: {new.facts.get('error_message', '')}"
        print(clean(f"spanscript: the new answer is an error: {error}", one_line=True), file=sys.stderr)


def _side_by_side(old: str, new: str, width: int) -> Iterator[str]:
    columns = [["OLD", *_wrapped(old, width)], ["NEW", *_wrapped(new, width)]]
    for left, right in zip_longest(*columns, fillvalue=""):
        yield f"{left:<{width}}{' ' * _GAP}{right}".rstrip()


def _wrapped(text: str, width: int) -> list[str]:
    return [piece for line in text.splitlines() for piece in textwrap.wrap(line, width) or [""]]


def _difference(old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    if list(old) == list(new):
        yield "none: both say the same"
        return
    lines = difflib.unified_diff(old, new, n=2, lineterm="")
    yield from list(lines)[3:]  # without the names of files and the first place
