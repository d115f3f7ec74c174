"""`spanscript export`: calls in the forms that others read."""

from __future__ import annotations

import argparse
import os
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from itertools import chain
from typing import Any, Final, TextIO

from spanscript._exchange import Json
from spanscript._exports import FORMATS
from spanscript._exports.exported import NotForThisError
from spanscript._text import clean, clean_json, dump
from spanscript.cli import _filters, _source
from spanscript.transcript.exchanges import Exchanges
from spanscript.transcript.lines import Entry, TranscriptError, read
from spanscript.transcript.reader import Call, Transcript

EXAMPLE: Final = "spanscript export --format markdown --dir ./run -o calls.md"

_OTLP: Final = "otlp"
_JSON_LINES: Final = ("openai-chat", "openai-evals")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument(
        "calls",
        metavar="CALL",
        nargs="*",
        help="a call's id or any beginning of it, or `last` (default: all)",
    )
    _source.add_arguments(parser)
    parser.add_argument(
        "--format", choices=[*FORMATS, _OTLP], required=True, help="what to make of the calls"
    )
    _filters.add_limit(parser)
    _filters.add_arguments(parser)
    parser.add_argument("-o", "--output", metavar="FILE", help="file to write, readable for you alone")
    sending = parser.add_argument_group("with --format otlp")
    sending.add_argument(
        "--endpoint", metavar="URL", help="where to send (default: as OTEL_EXPORTER_OTLP_… say)"
    )
    sending.add_argument("--content", action="store_true", help="prompts and answers on the spans, too")


def run(args: argparse.Namespace) -> int:
    """Export; 1 if something of a call had no place in the form (it is said what)."""
    if args.json and args.format != _OTLP and not args.output:
        raise TranscriptError("--json tells what was done, and needs -o FILE for what was made")
    report = _Report()
    transcript = Transcript()
    services = _read(transcript, _source.path_of(args))
    _source.require_entries(transcript, _source.path_of(args))
    calls = _chosen(args, transcript)
    if args.format == _OTLP:
        _send(args, calls, (transcript, services), report)
    else:
        _write(args, calls, Exchanges(transcript), report)
    report.tell(args, len(calls))
    return _source.code_after(transcript) or int(report.is_lossy)


class _Report:
    """What was exported, and what was not."""

    def __init__(self) -> None:
        self.exported = 0
        self.is_lossy = False
        self._notes: list[dict[str, Json]] = []

    def note(self, call: Call, what: Sequence[str], *, whole: bool = False, lossy: bool = True) -> None:
        """Something of a call is left out, or the *whole*; not *lossy*: it is just no call for this form."""
        self.is_lossy |= lossy
        self._notes.append({"call_id": call.call_id, "whole": whole, "what": list(what)})

    def tell(self, args: argparse.Namespace, calls: int) -> None:
        """Say it: as JSON on stdout, or on stderr, each call in a line."""
        if args.json:
            print(
                dump(
                    {
                        "format": args.format,
                        "calls": calls,
                        "exported": self.exported,
                        "left_out": self._notes,
                    }
                )
            )
            return
        for note in self._notes:
            what = "; ".join(dict.fromkeys(note["what"]))
            line = f"spanscript: call {note['call_id']} {'' if note['whole'] else 'in part '}left out: {what}"
            print(clean(line, one_line=True), file=sys.stderr)
        if args.output or args.format == _OTLP:
            print(f"{self.exported} of {calls} calls exported", file=sys.stderr)


def _read(transcript: Transcript, path: str) -> dict[str | None, str | None]:
    """Take in the transcript; gives the name of each writer's service."""
    services: dict[str | None, str | None] = {}
    for item in read(path):
        transcript.add(item)
        if isinstance(item, Entry) and item.type == "transcript_open":
            name = item.get("service_name")
            services[item.get("writer")] = name if isinstance(name, str) else None
    return services


def _chosen(args: argparse.Namespace, transcript: Transcript) -> list[Call]:
    """Of the calls that are named, in their order, or else of all: those that the filters choose."""
    named = {call.call_id: call for call in map(transcript.find, args.calls)}
    calls = named.values() if args.calls else transcript.calls()
    return list(deque(_filters.chosen(args, transcript, calls), args.limit))


def _write(args: argparse.Namespace, calls: Sequence[Call], exchanges: Exchanges, report: _Report) -> None:
    module = import_module(FORMATS[args.format])
    safe = clean_json if args.format in _JSON_LINES else clean
    with _opened(args.output) as file:
        file.write(module.HEAD)
        for call in calls:
            with _reporting(call, report):
                exported = module.one(exchanges.of_call(call) or _refuse(call))
                file.write(safe(exported.text))
                report.exported += 1
                if exported.left_out:
                    report.note(call, exported.left_out)
        file.write(module.TAIL)


def _send(
    args: argparse.Namespace,
    calls: Sequence[Call],
    source: tuple[Transcript, dict[str | None, str | None]],
    report: _Report,
) -> None:
    otlp = import_module("spanscript._exports.otlp")
    transcript, services = source
    exchanges = Exchanges(transcript)

    def spans(call: Call) -> Iterator[Any]:
        with _reporting(call, report):
            found = exchanges.of_call(call) or _refuse(call)
            lines = [call.requests[exchange.request.attempt] for exchange in found]
            told = [
                otlp.Told(e.request, e.outcome, li) for e, li in zip(found, lines, strict=True) if e.outcome
            ]
            if not told:
                raise NotForThisError("it is unfinished, and a span must have an end")
            if len(told) < len(found):
                report.note(call, ["an attempt that is unfinished, and a span must have an end"])
            service = services.get(lines[-1].get("writer"))
            yield from otlp.spans_of(told, service, with_content=args.content)
            report.exported += 1

    otlp.send(chain.from_iterable(map(spans, calls)), otlp.exporter(args.endpoint))


def _refuse(call: Call) -> Any:
    raise TranscriptError(f"call {call.call_id} has no request line of any attempt")


@contextmanager
def _reporting(call: Call, report: _Report) -> Iterator[None]:
    """A call that cannot be exported is told, and does not keep others from it."""
    try:
        yield
    except NotForThisError as error:
        report.note(call, [str(error)], whole=True, lossy=False)
    except (TranscriptError, ValueError, RecursionError) as error:
        report.note(call, [str(error)], whole=True)


@contextmanager
def _opened(path: str | None) -> Iterator[TextIO]:
    """The file, with mode 0600: it holds what users said; or stdout."""
    if path is None:
        yield sys.stdout
        return
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
        yield file
