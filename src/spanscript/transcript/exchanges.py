"""From the entries of an attempt back to the records that the wire gave: what was asked and what came."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from typing import Final, cast
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from spanscript import _exchange as x
from spanscript._asked import Asked, AskedReader
from spanscript._dialects import DIALECTS, Match
from spanscript._shapes import integer, mapping, sequence, string
from spanscript.transcript.fields import PART_TYPES
from spanscript.transcript.lines import Entry, TranscriptError
from spanscript.transcript.reader import Call, Transcript

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND: Final = timedelta(microseconds=1)

_PARTS: Final[Mapping[str, type[Struct]]] = {name: kind for kind, name in PART_TYPES.items()}
_SAID: Final[Mapping[str, type[x.Thinking | x.Text | x.Refusal]]] = {
    "thinking": x.Thinking,
    "text": x.Text,
    "refusal": x.Refusal,
}
"""Key of an outcome → the part that it joins, in the order in which answers have them."""


class Exchange(Struct, frozen=True):
    """What one attempt asked and what it got; `outcome` is `None` for one that is unfinished."""

    request: x.Request
    outcome: x.Outcome | None


class Exchanges:
    """
    Reads exchanges from a transcript.

    Raises:
        TranscriptError: A body cannot be rebuilt, a line is not there any more, or the dialect is unknown.
    """

    def __init__(self, transcript: Transcript) -> None:
        self._transcript = transcript
        self._reader = AskedReader()

    def of_call(self, call: Call) -> list[Exchange]:
        """All attempts of which there is a request, from the first."""
        return [self.of_attempt(call, attempt) for attempt in sorted(call.requests)]

    def of_attempt(self, call: Call, attempt: int | None = None) -> Exchange:
        """One attempt; the last one if *attempt* is `None`."""
        entry = self._transcript.request(call, attempt)
        found = call.outcomes.get(entry.get("attempt"))
        request = self._request(entry)
        return Exchange(request, None if found is None else self._outcome(entry, found))

    def _request(self, entry: Entry) -> x.Request:
        dialect = DIALECTS.get(entry.get("dialect") or "")
        if dialect is None:
            raise TranscriptError(f"{entry.where}: the dialect {entry.get('dialect')!r} is not known")
        rebuilt = self._transcript.rebuild(entry)
        match = Match((dialect,), entry.get("model"), entry.get("stream"))
        asked = self._reader.read(match, rebuilt.content) or Asked(dialect)
        host, port = _server(entry.get("url"))
        return x.Request(
            call_id=entry.get("call_id"),
            attempt=entry.get("attempt"),
            dialect=dialect,
            provider=entry.get("provider") or "",
            client=entry.get("client") or "",
            url=entry.get("url") or "",
            server_address=host,
            server_port=port,
            content=rebuilt.content,
            split=asked.split,
            model=entry.get("model") or asked.model,
            stream=bool(entry.get("stream")),
            params=asked.params,
            masked=rebuilt.proof == "masked",
            summary=rebuilt.proof == "summary",
            tool_count=asked.tool_count,
            prompt_chars=entry.get("prompt_chars"),
            iteration=integer(entry.get("iteration")),
            stage=entry.get("stage"),
            said_tool_format=entry.get("tool_format"),
            rate_limit_wait_ms=entry.get("rate_limit_wait_ms"),
        )

    def _outcome(self, request: Entry, brief: Entry) -> x.Outcome:
        entry = self._transcript.fill(self._transcript.whole(brief))
        started = time_ns(request.get("timestamp"))
        ended = _after(started, entry.get("response_ms"))
        is_ok = entry.type == "provider_call_response"
        failure = x.Failure(entry.get("error_type") or "error", entry.get("error_message"))
        return x.Outcome(
            status="ok" if is_ok else entry.get("status") or "error",
            started_ns=started,
            ended_ns=time_ns(entry.get("timestamp")) if ended is None else ended,
            first_chunk_ns=_after(started, entry.get("first_chunk_ms")),
            http_status=entry.get("http_status"),
            request_id=string(entry.get("request_id")),
            reply=_reply(entry),
            failure=None if is_ok or entry.get("error_type") is None else failure,
            retryable=entry.get("retryable"),
            retry_after_ms=entry.get("retry_after_ms"),
            truncated=entry.get("truncated") is True,
            empty=entry.get("empty") is True,
        )


def time_ns(timestamp: str | None) -> int:
    """
    Nanoseconds since the epoch of an entry's `timestamp`.

    Raises:
        TranscriptError: It is none.
    """
    try:
        # Python 3.10 does not read the Z.
        moment = datetime.fromisoformat((timestamp or "").replace("Z", "+00:00"))
        return (moment - _EPOCH) // _MICROSECOND * 1000
    except (ValueError, TypeError, OverflowError) as error:
        raise TranscriptError(f"{timestamp!r} is no timestamp") from error


def _after(started: int, milliseconds: float | None) -> int | None:
    """A moment so long after another; `None` if it is not known how long, or beyond all sense."""
    if milliseconds is None or not 0 <= milliseconds < 1e12:
        return None
    return started + round(milliseconds * 1e6)


def _server(url: str | None) -> tuple[str, int | None]:
    try:
        parts = urlsplit(url or "")
        return parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:  # forged: brackets that hold no address, a port that is no number
        return "", None


def _reply(entry: Entry) -> x.Reply:
    usage = {name: entry.get(name) for name in x.Usage.__struct_fields__}
    return x.Reply(
        response_id=entry.get("response_id"),
        model=entry.get("model"),
        choices=tuple(_choices(entry)),
        usage=x.Usage(**usage),
        extras=mapping(entry.get("extras")),
    )


def _choices(entry: Entry) -> Iterator[x.Choice]:
    told = entry.get("choices")
    if told:
        for position, choice in enumerate(map(mapping, told)):
            index = integer(choice.get("index"))
            role = string(choice.get("role")) or "assistant"
            message = x.Message(role, tuple(_parts(choice)))
            reason = string(choice.get("finish_reason"))
            yield x.Choice(message, reason, position if index is None else index)
        return
    said = {key: entry.get(key) for key in (*_SAID, "tool_calls", "parts") if key in entry.raw}
    reason = next(iter(sequence(entry.get("finish_reasons"))), None)
    if said or reason:
        yield x.Choice(x.Message("assistant", tuple(_parts(said))), string(reason))


def _parts(said: Mapping[str, x.Json]) -> Iterator[x.Part]:
    """The parts of what one choice says: as they are told in their order, else in the usual one."""
    if sequence(said.get("parts")):
        yield from (_part(mapping(part).get("type"), mapping(part)) for part in said["parts"])
        return
    for key, kind in _SAID.items():
        if isinstance(said.get(key), str):
            yield kind(said[key])
    yield from (_part("tool_call", mapping(call)) for call in sequence(said.get("tool_calls")))


def _part(name: x.Json, fields: Mapping[str, x.Json]) -> x.Part:
    kind = _PARTS.get(name) if isinstance(name, str) else None
    if kind is None:
        return x.Other(dict(fields))
    optional = {field.name: None for field in msgspec.structs.fields(kind) if field.required}
    try:
        # What is `None` is left out of an entry.
        return cast("x.Part", msgspec.convert({**optional, **fields, "type": kind.__name__}, kind))
    except msgspec.ValidationError:
        return x.Other(dict(fields))
