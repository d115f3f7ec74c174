"""Which calls a command is about: options that `ls`, `stats` and `tree` share."""

from __future__ import annotations

import argparse
import fnmatch
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, Final, TypeAlias

from spanscript.cli._search import Search
from spanscript.transcript import summary
from spanscript.transcript.reader import Call, Transcript

Test: TypeAlias = Callable[[Call], bool]

_STATUSES: Final = ("ok", "error", "retries_exhausted", "retrying", "cancelled", "abandoned", "unfinished")
_FAILED: Final = "failed"
_UNITS: Final[Mapping[str, str]] = {
    "s": "seconds",
    "m": "minutes",
    "h": "hours",
    "d": "days",
    "w": "weeks",
}
_AGE: Final = re.compile(rf"(\d+(?:\.\d+)?)([{''.join(_UNITS)}])", re.ASCII)
_CLOCK: Final = re.compile(r"\d\d?:\d\d(:\d\d)?", re.ASCII)
_CLOCKS: Final = {1: len("hh:mm"), 2: len("hh:mm:ss")}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Let a command be about some of the calls."""
    group = parser.add_argument_group("which calls (all that is given must be true of a call)")
    text: dict[str, Any] = {"metavar": "GLOB"}
    group.add_argument("--model", **text, help="model asked for or answering, e.g. 'gpt-*'")
    group.add_argument("--provider", **text, help="provider, e.g. openai, 'aws*'")
    group.add_argument("--stage", **text, help="stage that the app named")
    known = ", ".join((*_STATUSES, _FAILED))
    group.add_argument(
        "--status",
        type=_status,
        metavar="STATUS",
        help=f"how it ended, several with commas: {known} (all but ok)",
    )
    when = "2h or 3d ago, 14:30 (today), 2026-11-27 or 2026-11-27T14:30; UTC if it names no zone"
    group.add_argument("--since", type=_moment, metavar="WHEN", help=f"began then or later: {when}")
    group.add_argument("--until", type=_moment, metavar="WHEN", help="began before")
    group.add_argument("--retried", action="store_true", help="more than one attempt")
    group.add_argument("--slow", type=_milliseconds, metavar="MS", help="took so many milliseconds or more")
    group.add_argument("--trace", type=_trace, metavar="ID", help="trace id, or its beginning")
    group.add_argument(
        "--grep",
        dest="pattern",
        type=_words,
        metavar="TEXT",
        help="in its prompt, its answer or its errors; upper and lower case are the same",
    )
    group.add_argument(
        "--regex", dest="pattern", type=_pattern, metavar="RE", help="likewise, a regular expression"
    )


def add_limit(parser: argparse.ArgumentParser, default: int | None = None) -> None:
    """Let a command be about the newest calls."""
    said = "all" if default is None else default
    parser.add_argument(
        "-n",
        "--limit",
        type=_count,
        default=default,
        metavar="N",
        help=f"the newest N (default: {said})",
    )


def chosen(args: argparse.Namespace, transcript: Transcript, calls: Iterable[Call]) -> Iterator[Call]:
    """Those of *calls* that were asked for, in their order."""
    return filter(test_of(args, transcript), calls)


def test_of(args: argparse.Namespace, transcript: Transcript) -> Test:
    """Whether a call is one of those that were asked for."""
    made = (make(value, transcript) for name, make in _TESTS.items() if (value := getattr(args, name)))
    tests = tuple(made)
    return lambda call: all(test(call) for test in tests)


def _glob(*values: Callable[[Call], Any]) -> Callable[[str, Transcript], Test]:
    def make(glob: str, _: Transcript) -> Test:
        matches = re.compile(fnmatch.translate(glob), re.IGNORECASE).match
        return lambda call: any(matches(str(get(call) or "")) for get in values)

    return make


def _answered_by(call: Call) -> Any:
    last = call.outcomes.get(max(call.attempts, default=0))
    return None if last is None else last.get("model")


def _has_status(wanted: frozenset[str], _: Transcript) -> Test:
    return lambda call: call.status in wanted or (_FAILED in wanted and call.status != "ok")


def _began(compare: Callable[[datetime, datetime], bool]) -> Callable[[datetime, Transcript], Test]:
    def make(limit: datetime, _: Transcript) -> Test:
        def test(call: Call) -> bool:
            began = summary.moment(call.timestamp)
            return began is not None and compare(began, limit)

        return test

    return make


def _took(limit: float, _: Transcript) -> Test:
    return lambda call: (summary.of_call(call).get("ms") or 0) >= limit


def _in_trace(beginning: str, _: Transcript) -> Test:
    def test(call: Call) -> bool:
        lines = (*call.requests.values(), *call.outcomes.values())
        return any((entry.get("trace_id") or "").startswith(beginning) for entry in lines)

    return test


_TESTS: Final[Mapping[str, Callable[[Any, Transcript], Test]]] = {
    "model": _glob(lambda call: call.first("model"), _answered_by),
    "provider": _glob(lambda call: call.first("provider")),
    "stage": _glob(lambda call: call.first("stage")),
    "status": _has_status,
    "since": _began(lambda began, limit: began >= limit),
    "until": _began(lambda began, limit: began < limit),
    "retried": lambda _, __: lambda call: len(call.attempts) > 1,
    "slow": _took,
    "trace": _in_trace,
    "pattern": lambda pattern, transcript: Search(transcript, pattern).finds,
}
"""Name of an option → from its value, a test. The cheapest come first."""


def _status(text: str) -> frozenset[str]:
    wanted = frozenset(part.strip() for part in text.split(","))
    unknown = sorted(wanted - {*_STATUSES, _FAILED})
    if unknown:
        known = ", ".join((*_STATUSES, _FAILED))
        raise argparse.ArgumentTypeError(f"{', '.join(map(repr, unknown))} is no status; there are {known}")
    return wanted


def _moment(text: str) -> datetime:
    now = datetime.now(timezone.utc)
    age = _AGE.fullmatch(text)
    try:
        if age is not None:
            return now - timedelta(**{_UNITS[age[2]]: float(age[1])})
        found = summary.moment(
            f"{now:%Y-%m-%d}T{text.zfill(_CLOCKS[text.count(':')])}" if _CLOCK.fullmatch(text) else text
        )
    except OverflowError:
        found = None
    if found is None:
        hint = "give 90s, 30m, 2h, 3d or 1w (ago), 14:30 (today), 2026-11-27 or 2026-11-27T14:30"
        raise argparse.ArgumentTypeError(f"{text!r} is no time; {hint}")
    return found


def _milliseconds(text: str) -> float:
    try:
        found = float(text.removesuffix("ms"))
    except ValueError:
        found = -1
    if not 0 <= found < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of milliseconds, e.g. 2000")
    return found


def _trace(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{1,32}", text.lower()):
        raise argparse.ArgumentTypeError(f"{text!r} is no trace id; one has 32 hex digits")
    return text.lower()


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text[:12]) > 0 and len(text) <= 12):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of calls, 1 or more")
    return int(text)


def _words(text: str) -> re.Pattern[str]:
    if not text:
        raise argparse.ArgumentTypeError("there is no text to look for")
    return re.compile(re.escape(text), re.IGNORECASE)


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        hint = "--grep looks for text as it stands"
        raise argparse.ArgumentTypeError(f"{text!r} is no regular expression: {error}; {hint}") from error
