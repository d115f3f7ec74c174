"""What happens in a transcript, entry by entry, as lines for people, and the calls that are in flight."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from spanscript._exchange import Json
from spanscript._shapes import sequence
from spanscript._text import brief_json
from spanscript.cli._screen import Piece, Pieces, Screen, status
from spanscript.transcript import summary
from spanscript.transcript.lines import Entry

_Lines: TypeAlias = Iterator[tuple[Pieces, ...]]

_ID: Final = 13
"""Characters of a call's id that are shown: the time in it, in milliseconds."""

_MOST_IN_FLIGHT: Final = 1000
_LONGEST: Final = timedelta(hours=1)
"""A call without an end that began before is taken for one whose process died."""

_RECORDED: Final = (
    "type",
    "timestamp",
    "trace_id",
    "span_id",
    "call_id",
    "attempt",
    "iteration",
    "stage",
    "model",
    "provider",
    "status",
    "http_status",
    "error_type",
    "error_message",
    "retry_after_ms",
    "rate_limit_wait_ms",
    "response_ms",
    "first_chunk_ms",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "message_count",
    "tool_calls",
    "tool_parse_errors",
    "event",
    "fields",
    "name",
    "reason",
    "dropped",
)


def record_of(entry: Entry) -> dict[str, Json]:
    """An entry for programs: what happened, without the texts."""
    return {key: value for key in _RECORDED if (value := entry.get(key)) is not None}


class Events:
    """Prints entries as they come, and remembers which calls are in flight."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._in_flight: dict[str, Entry] = {}
        self.ended = self.failed = self.tokens = 0

    def add(self, entry: Entry) -> None:
        """Take an entry in, and print what it tells."""
        at = summary.moment(entry.get("timestamp") or "")
        when = "" if at is None else f"{at:%H:%M:%S}.{at.microsecond // 1000:03d}"
        call_id = entry.get("call_id")
        name = call_id[:_ID] if isinstance(call_id, str) else ""
        for pieces in _LINES.get(entry.type, _nothing)(entry):
            self._screen.line(Piece(f"{when:<12}  ", "dim"), Piece(f"{name:<{_ID}}  ", "bold"), *pieces)
        self._follow(entry)

    def in_flight(self, now: datetime) -> list[tuple[Entry, float]]:
        """The first request of each call that has not ended, and for how many seconds it lasts."""
        began = ((entry, summary.moment(entry.get("timestamp") or "")) for entry in self._in_flight.values())
        ages = [(entry, now - at) for entry, at in began if at is not None]
        return [(entry, age.total_seconds()) for entry, age in ages if age < _LONGEST]

    def _follow(self, entry: Entry) -> None:
        if entry.type == "provider_call_request":
            self._in_flight.setdefault(entry.get("call_id"), entry)
            if len(self._in_flight) > _MOST_IN_FLIGHT:
                del self._in_flight[next(iter(self._in_flight))]
        elif entry.type in {"provider_call_response", "provider_call_error"}:
            self.tokens += sum(summary.sane(entry, f"{kind}_tokens") or 0 for kind in ("input", "output"))
            if entry.get("status") != "retrying":
                self._in_flight.pop(entry.get("call_id"), None)
                self.ended += 1
                self.failed += entry.type == "provider_call_error"


def _request(entry: Entry) -> _Lines:
    if entry.get("attempt"):
        yield Piece("▶ ", "cyan"), f"attempt {entry.get('attempt')}", *_waited(entry)
        return
    place = " ".join(str(value) for key in ("stage", "iteration") if (value := entry.get(key)) is not None)
    count = entry.get("message_count")
    told = [f"  {place}" if place else "", "" if count is None else f"  {count} message{'s' * (count != 1)}"]
    yield Piece("▶ ", "cyan"), str(entry.get("model") or "?"), *told, *_waited(entry)


def _waited(entry: Entry) -> Iterator[Piece]:
    waited = summary.sane(entry, "rate_limit_wait_ms")
    if waited is not None:
        yield Piece(f"  waited {waited:.0f} ms for its turn", "yellow")


def _response(entry: Entry) -> _Lines:
    names = [call.get("name") for call in entry.get("tool_calls") or () if isinstance(call, dict)]
    asks = f"  → {', '.join(map(str, names))}" if names else ""
    yield Piece("✓ ", "green"), status("ok"), *_took(entry), *_tokens(entry), Piece(asks, "yellow")


def _error(entry: Entry) -> _Lines:
    found = entry.get("status") or "error"
    again = found == "retrying"
    asked = summary.sane(entry, "retry_after_ms")
    error = ": ".join(str(value) for key in ("error_type", "error_message") if (value := entry.get(key)))
    yield (
        Piece("↻ " if again else "✗ ", "yellow" if again else "red"),
        status(found),
        f"  {entry.get('http_status') or ''}".rstrip(),
        *_took(entry),
        *_tokens(entry),
        "" if asked is None else f"  asked to wait {asked:.0f} ms",
        f"  {error}",
    )


def _took(entry: Entry) -> Iterator[Pieces]:
    for key, name in (("response_ms", ""), ("first_chunk_ms", "first chunk ")):
        value = summary.sane(entry, key)
        if value is not None:
            yield f"  {name}{value:.0f} ms"


def _tokens(entry: Entry) -> Iterator[Pieces]:
    counts = [summary.sane(entry, key) for key in ("input_tokens", "output_tokens")]
    if any(count is not None for count in counts):
        yield "  " + " → ".join("?" if count is None else str(count) for count in counts) + " tokens"


def _interpreted(entry: Entry) -> _Lines:
    for error in sequence(entry.get("tool_parse_errors")):
        yield Piece("! ", "red"), brief_json(error)


def _annotation(entry: Entry) -> _Lines:
    yield (
        Piece("• ", "magenta"),
        brief_json(entry.get("event") or "?"),
        f"  {fields_text(entry.get('fields'))}",
    )


def fields_text(fields: Json) -> str:
    """The fields of an annotation on one line."""
    if isinstance(fields, dict):
        return " ".join(f"{key}={brief_json(value)}" for key, value in fields.items())
    return "" if fields is None else brief_json(fields)


def _stage(entry: Entry) -> _Lines:
    yield (Piece(f"stage {brief_json(entry.get('name') or '?')}", "bold magenta"),)


def _gap(entry: Entry) -> _Lines:
    yield (Piece(f"! {entry.get('dropped') or 'some'} lines were lost: {entry.get('reason') or '?'}", "red"),)


def _open(entry: Entry) -> _Lines:
    about = [str(value) for key in ("service_name", "host", "pid") if (value := entry.get(key)) is not None]
    yield (Piece(f"writer {entry.get('writer') or '?'}: {' '.join(about)}", "dim"),)


def _nothing(_: Entry) -> _Lines:
    yield from ()


_LINES: Final[Mapping[str, Callable[[Entry], _Lines]]] = {
    "transcript_open": _open,
    "stage": _stage,
    "provider_call_request": _request,
    "provider_call_response": _response,
    "provider_call_error": _error,
    "interpreted_response": _interpreted,
    "annotation": _annotation,
    "gap": _gap,
}
"""Type of an entry → the lines that tell of it."""
