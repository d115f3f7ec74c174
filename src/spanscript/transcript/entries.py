"""
What stands in each line of the transcript: tables from field to source, and no I/O.

A field that is not known is left out; only the `parent` of a root is null. JSON that was sent is
embedded as it was sent, byte for byte, but for line breaks between its tokens.
"""

from __future__ import annotations

import base64
import json
import os
import platform
import socket
import time
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

import msgspec
from msgspec import Struct

from spanscript import _exchange as x
from spanscript import _json
from spanscript._interpretation import Interpreted
from spanscript._version import __version__
from spanscript.transcript.fields import (
    CALL,
    ERROR,
    REFERENCES,
    REQUEST,
    RESPONSE,
    answer,
    fields_of_part,
    own,
    present,
)

VERSION: Final = 1
"""The version of the format that is written here."""

ENVELOPE: Final = frozenset(
    {
        "type",
        "timestamp",
        "writer",
        "seq",
        "trace_id",
        "span_id",
        "hash",
        "parent",
        "iteration",
        "stage",
        "blobs",
        "message",
    }
)
"""Keys of a `message` entry that are not the message's own."""

_LINE_BREAKS: Final = bytes.maketrans(b"\r\n", b"  ")


class SpanIds(Struct, frozen=True):
    """Trace and span of a line, in hex as Jaeger shows them."""

    trace_id: str
    span_id: str


class Entry(Struct, frozen=True):
    """A line but for its stamp: `fields` is the JSON text of all further members, without braces."""

    type: str
    fields: bytes


class References(Struct, frozen=True):
    """
    The hashes that a request line refers to; `context` is its last message's.

    `respelled`: what stands there says the same in other letters (keys in another order, other escapes), so
    that the body must stand in the line as it was sent.
    """

    system_prompt: str | None = None
    tool_schemas: str | None = None
    context: str | None = None
    respelled: bool = False


class Stamp(Struct, frozen=True):
    """Who writes, and when (nanoseconds since the epoch)."""

    writer: str
    time_ns: int


def lines(entries: Iterable[Entry], stamp: Stamp, seq: int) -> bytes:
    """The finished lines, each with its newline, numbered from *seq*."""
    head = f'","timestamp":"{timestamp(stamp.time_ns)}","writer":"{stamp.writer}","seq":'.encode()
    return b"".join(
        b'{"type":"%b%b%d,%b}\n' % (entry.type.encode(), head, number, entry.fields)
        for number, entry in enumerate(entries, seq)
    )


def timestamp(time_ns: int) -> str:
    """ISO 8601 in UTC with microseconds."""
    seconds, rest = divmod(time_ns, 1_000_000_000)
    return f"{_second(seconds)}.{rest // 1000:06d}Z"


@lru_cache(maxsize=16)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def transcript_open(service_name: str | None) -> Entry:
    """The first line of a writer in a file."""
    about = {
        "version": VERSION,
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "service_name": service_name,
        "spanscript": __version__,
        "python": platform.python_version(),
    }
    return _entry("transcript_open", None, about)


def gap(reason: str, dropped: int) -> Entry:
    """Says that *dropped* lines were lost."""
    return _entry("gap", None, {"reason": reason, "dropped": dropped})


def system_prompt(raw: bytes, digest: str, request: x.Request, ids: SpanIds | None) -> Entry:
    """A system prompt, as the JSON value that was sent."""
    return _entry("system_prompt", ids, _named(digest, request), content=one_line(raw))


def stage(request: x.Request, ids: SpanIds | None) -> Entry:
    """The app has entered the stage of *request*, its first one there."""
    return _entry("stage", ids, {"name": request.stage, "iteration": request.iteration})


def tool_schemas(raw: bytes, digest: str, request: x.Request, ids: SpanIds | None) -> Entry:
    """The tools that were offered, as the JSON array that was sent."""
    return _entry("tool_schemas", ids, _named(digest, request), schemas=one_line(raw))


def annotation(event: str, fields: x.Json, about: Mapping[str, x.Json], ids: SpanIds | None) -> Entry:
    """What the app itself says; *about*: where it stands when it does."""
    return _entry("annotation", ids, {"event": event, **about}, fields=one_line(_encode(fields)))


def _named(digest: str, request: x.Request) -> dict[str, x.Json]:
    return {"hash": digest, "iteration": request.iteration, "stage": request.stage}


def message(raw: bytes, digest: str, parent: str | None, request: x.Request, ids: SpanIds | None) -> Entry:
    """A message: its own members beside the envelope's, or whole where they would meet."""
    head = _members(ids, {"hash": digest}) + (b',"parent":' + _encode(parent))
    if request.iteration is not None:
        head += b',"iteration":%d' % request.iteration
    if request.stage is not None:
        head += b',"stage":' + _encode(request.stage)
    return Entry("message", b",".join(filter(None, (head, _own_members(one_line(raw))))))


def _own_members(raw: bytes) -> bytes:
    if not raw.startswith(b"{"):
        role = b'"role":"user",' if raw.startswith(b'"') else b""
        return role + b'"message":' + raw
    keys = _json.members(raw)
    if ENVELOPE.isdisjoint(keys):
        return raw[1:-1].strip()
    role = b'"role":%b,' % one_line(keys["role"]) if "role" in keys else b""
    return role + b'"message":' + raw


def provider_call_request(
    request: x.Request, split: x.Split, references: References, body_sha256: str, ids: SpanIds | None
) -> Entry:
    """A request whose body was taken apart; *references* say where the parts stand."""
    verbatim = references.respelled or _has_own_reference(split)
    parts: dict[str, bytes] = {"body": one_line(request.content if verbatim else split.skeleton)}
    if verbatim:
        parts["verbatim"] = b"true"
    about = {
        **present(REQUEST, request),
        "message_count": len(split.items),
        "prompt_chars": request.prompt_chars,
        **present(REFERENCES, references),
    }
    return _request_entry(request, ids, about, parts, body_sha256)


def unsplit_request(request: x.Request, body_sha256: str, ids: SpanIds | None) -> Entry:
    """A request whose body is no JSON, or none that every reader takes: whole, as text or in base64."""
    try:
        parts = {"body_text": _encode(request.content.decode())}
    except UnicodeDecodeError:
        parts = {"body_base64": _encode(base64.b64encode(request.content).decode())}
    about = {**present(REQUEST, request), "prompt_chars": request.prompt_chars}
    return _request_entry(request, ids, about, parts, body_sha256)


def _request_entry(
    request: x.Request,
    ids: SpanIds | None,
    about: Mapping[str, x.Json],
    parts: Mapping[str, bytes],
    body_sha256: str,
) -> Entry:
    return _entry("provider_call_request", ids, about, **parts, **_proof(request, body_sha256))


def _proof(request: x.Request, body_sha256: str) -> dict[str, bytes]:
    """What tells whether a rebuilt body is the one that was sent."""
    masked = {"masked": b"true"} if request.masked else {}
    if request.summary:
        return {"summary": b"true", **masked}
    length = {"body_bytes": b"%d" % len(request.content)}
    if request.masked:
        return {**length, **masked}  # and no hash of what was sent: it could be used to guess the key
    return {**length, "body_sha256": b'"%b"' % body_sha256.encode()}


def provider_call_outcome(request: x.Request, outcome: x.Outcome, ids: SpanIds | None) -> Entry:
    """How an attempt ended: `provider_call_response` if well, else `provider_call_error`."""
    of_call = present(CALL, request)
    of_reply = {} if outcome.reply is None else answer(outcome.reply)
    if outcome.status == "ok":
        fields = {**of_call, **of_reply, **present(RESPONSE, outcome)}
        return _entry("provider_call_response", ids, fields)
    return _entry("provider_call_error", ids, {**of_call, **present(ERROR, outcome), **of_reply})


def interpreted_response(asked: x.Request, reply: x.Reply, found: Interpreted, ids: SpanIds | None) -> Entry:
    """What was made of the answer to a request, without what the answer's own line says in the same way."""
    sent = {call.id: call.arguments for call in reply.tool_calls}
    fields = {
        **present(own("call_id", "iteration", "stage"), asked),
        "tool_format": found.tool_format,
        "prose": None if found.prose == reply.texts(x.Text) else found.prose or "",
        "tool_calls": [_interpreted_call(call, sent) for call in found.tool_calls],
        "tool_parse_errors": found.tool_parse_errors or None,
    }
    return _entry("interpreted_response", ids, fields)


def _interpreted_call(call: x.ToolCall, sent: Mapping[str | None, x.Json]) -> dict[str, x.Json]:
    fields, arguments = fields_of_part(call), sent.get(call.id) if call.id else None
    if isinstance(arguments, str) and not isinstance(call.arguments, str):
        arguments = _json.loads(arguments.encode("utf-8", "surrogatepass")) if arguments.strip() else None
    if arguments is not None and arguments == call.arguments:
        fields.pop("arguments", None)
    return fields


def one_line(raw: bytes) -> bytes:
    """JSON text on one line. Line breaks stand only between the tokens of a JSON text."""
    if b"\n" in raw or b"\r" in raw:
        raw = raw.translate(_LINE_BREAKS)
    return raw.strip()


def _has_own_reference(split: x.Split) -> bool:
    """Whether the body itself, and not only its taking apart, has objects like our references."""
    ours = (split.system is not None) + (split.tools is not None) + bool(split.items)
    if b"\\" not in split.skeleton and split.skeleton.count(b'"$transcript"') == ours:
        return False
    found = []

    def look(pairs: list[tuple[str, x.Json]]) -> None:
        if {key for key, _ in pairs} == {"$transcript"}:
            found.append(pairs)

    json.loads(split.skeleton.decode(), object_pairs_hook=look)
    return len(found) != ours


def _entry(kind: str, ids: SpanIds | None, fields: Mapping[str, x.Json], /, **raw: bytes) -> Entry:
    """An entry of encoded *fields*, then *raw* ones that are JSON already."""
    members = _members(ids, fields)
    return Entry(kind, members + b"".join(b',"%b":%b' % (k.encode(), v) for k, v in raw.items()))


def _members(ids: SpanIds | None, fields: Mapping[str, x.Json]) -> bytes:
    known = {name: value for name, value in fields.items() if value is not None}
    if ids is not None:
        known = {"trace_id": ids.trace_id, "span_id": ids.span_id, **known}
    return _encode(known)[1:-1]


def _encode(value: x.Json) -> bytes:
    """JSON that every reader takes: surrogates escaped, and null for numbers that JSON has not."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        finite = json.loads(json.dumps(value), parse_constant=lambda _: None)
        return json.dumps(finite, separators=(",", ":")).encode()
