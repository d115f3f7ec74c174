"""The lines of a transcript without what was said: a table from field to what becomes of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

from spanscript import _json
from spanscript._anonymous.pseudonyms import Pseudonyms
from spanscript._anonymous.values import Values
from spanscript._exchange import Json
from spanscript._providers import NAMES
from spanscript.transcript.entries import ENVELOPE, timestamp
from spanscript.transcript.exchanges import time_ns
from spanscript.transcript.filling import has_blobs
from spanscript.transcript.lines import NEEDED, Entry, TranscriptError

KEEPS: Final[Mapping[str, str]] = {
    "system": "the text of system prompts",
    "tools": "names of tools and of their parameters",
    "urls": "addresses and names of hosts",
    "stages": "the app's words for its stages and annotations",
    "times": "days and hours",
}
"""What can be kept on demand."""

_PATH_WORDS: Final = re.compile(
    r"v\d\w*|api|openai|chat|completions|responses|messages|embeddings|embed|models|generate|rerank|complete"
    r"|moderations|images|generations|edits|audio|speech|transcriptions|translations|converse|converse-stream"
    r"|invoke|model|deployments|interactions|fim|agents"
)
_VERB: Final = re.compile(r":[a-zA-Z]{1,40}$")
_MARK: Final = b"$blob{"
_TYPE: Final = re.compile(r"[a-z_]{1,40}")
_TOOL_FORMATS: Final = frozenset({"native", "text", "json", "hermes"})
_NEW_BEGINNING: Final = int(datetime(2000, 1, 1, tzinfo=timezone.utc).timestamp()) * 1_000_000_000


class Context(Struct, frozen=True):
    """
    What the replacing of lines needs.

    Attributes:
        keeps: Keys of `KEEPS`.
        pseudonyms, values: What replaces.
        begins_ns: When the transcript begins: that becomes the year 2000.
        name_of: Type and hash of what is named by hash → its new hash.
    """

    keeps: frozenset[str]
    pseudonyms: Pseudonyms
    values: Values
    begins_ns: int
    name_of: Callable[[str, str], str]

    @property
    def shift_ns(self) -> int:
        """How far times are moved."""
        return 0 if "times" in self.keeps else _NEW_BEGINNING - self.begins_ns


def own_keys(entry: Entry) -> list[str]:
    """The keys of a `message` entry that are the message's."""
    return ["message"] if "message" in entry.raw else [key for key in entry.raw if key not in ENVELOPE]


def content(entry: Entry, context: Context) -> dict[str, bytes]:
    """
    The content of an entry that is named by hash: raw values by (new) key.

    Raises:
        RecursionError: It is nested too deeply.
    """
    if entry.type != "message":
        key = {"system_prompt": "content", "tool_schemas": "schemas"}[entry.type]
        kept = entry.type == "system_prompt" and "system" in context.keeps and not has_blobs(entry)
        return {key: entry.raw[key] if kept else _replaced(entry, key, context)}
    if "message" in entry.raw:
        return {"message": _replaced(entry, "message", context)}
    return {context.values.key(key): _replaced(entry, key, context) for key in own_keys(entry)}


def line(entry: Entry, context: Context, given: Mapping[str, bytes]) -> dict[str, bytes]:
    """
    All fields of an entry's line, in their order.

    Args:
        entry: Whole, with marks in the place of blobs.
        context: See there.
        given: Values that are known already, by key; an empty one leaves the field out.
    """
    kind = entry.type if entry.type in NEEDED or _TYPE.fullmatch(entry.type) else "unknown"
    found: dict[str, bytes] = {"type": _json.dumps(kind)}
    rest = set(own_keys(entry)) if entry.type == "message" else set()
    is_marked = has_blobs(entry)
    for key in entry.raw:
        if key in rest or key == "type":
            continue  # a message's own keys are given, and come last in their own order
        if key in given:
            found[key] = given[key]
        elif (treat := _FIELDS.get(key)) is not None and not (is_marked and _MARK in entry.raw[key]):
            value = entry.get(key)
            treated = None if value is None else treat(value, context)
            found[key] = b"" if treated is None and value is not None else _json.dumps(treated)
        else:
            found[context.values.key(key)] = _replaced(entry, key, context)
    found |= {key: value for key, value in given.items() if key not in found}
    return {key: value for key, value in found.items() if value}


def _replaced(entry: Entry, key: str, context: Context, *, parameters: bool = False) -> bytes:
    value = _json.loads(entry.raw[key])
    marked = has_blobs(entry)
    return _json.dumps(context.values.replaced(value, key, parameters=parameters, marked=marked))


def body(entry: Entry, context: Context) -> dict[str, bytes]:
    """The body of a request entry, under the key that it has; references stay."""
    if "body" in entry.raw:
        return {"body": _replaced(entry, "body", context, parameters=True)}
    if "body_text" in entry.raw:
        return {"body_text": _json.dumps(context.pseudonyms.text(entry.get("body_text")))}
    if "body_base64" in entry.raw:
        return {"body_base64": _json.dumps(context.pseudonyms.base64(entry.get("body_base64")))}
    return {}


_Treat = Callable[[Json, Context], Json]


def _keep(value: Json, _: Context) -> Json:
    return value


def _drop(_: Json, __: Context) -> Json:
    return None


def _hexadecimal(value: Json, context: Context) -> Json:
    return context.pseudonyms.hexadecimal(value)


def _text(value: Json, context: Context) -> Json:
    return context.pseudonyms.text(value)


def _ident(value: Json, context: Context) -> Json:
    return context.pseudonyms.ident(value) if isinstance(value, str) else None


def _time(value: Json, context: Context) -> Json:
    try:
        return timestamp(time_ns(value) + context.shift_ns)
    except (TranscriptError, ValueError, OverflowError):  # none, or beyond the calendar
        return timestamp(_NEW_BEGINNING)


def _stage(value: Json, context: Context) -> Json:
    if not isinstance(value, str):
        return None
    return value if "stages" in context.keeps else context.pseudonyms.name(value)


def _url(value: Json, context: Context) -> Json:
    """An address without its host, and without what names a customer's own in its path."""
    if "urls" in context.keeps:
        return value
    try:
        parts = urlsplit(value)
        host, path = parts.hostname or "", parts.path
    except ValueError:
        return context.pseudonyms.text(value)
    segments = (_segment(segment, context) for segment in path.split("/"))
    return f"https://{context.pseudonyms.name(host)}.example{'/'.join(segments)}"


def _segment(segment: str, context: Context) -> str:
    if not segment or _PATH_WORDS.fullmatch(segment):
        return segment
    verb = _VERB.search(segment)
    return context.pseudonyms.name(segment) + (verb[0] if verb else "")


def _provider(value: Json, context: Context) -> Json:
    known = value in NAMES or "urls" in context.keeps
    return value if known else context.pseudonyms.name(value)


def _inner(key: str, *, parameters: bool = False) -> _Treat:
    return lambda value, context: context.values.replaced(value, key, parameters=parameters)


def _hash(kind: str) -> _Treat:
    return lambda value, context: context.name_of(kind, value)


_FIELDS: Final[Mapping[str, _Treat]] = {
    "timestamp": _time,
    **dict.fromkeys(("writer", "trace_id", "span_id"), _hexadecimal),
    **dict.fromkeys(("pid", "host", "service_name"), _drop),
    **dict.fromkeys(("version", "spanscript", "python"), _keep),
    **dict.fromkeys(("seq", "blobs", "iteration", "attempt", "dialect", "client", "stream"), _keep),
    **dict.fromkeys(("verbatim", "summary", "masked", "retryable", "truncated", "empty", "status"), _keep),
    **dict.fromkeys(("message_count", "native_tool_count", "prompt_chars", "body_bytes"), _keep),
    **dict.fromkeys(("input_tokens", "output_tokens", "cache_read_tokens"), _keep),
    **dict.fromkeys(("cache_write_tokens", "reasoning_tokens", "cost_usd"), _keep),
    **dict.fromkeys(("response_ms", "first_chunk_ms", "retry_after_ms", "rate_limit_wait_ms"), _keep),
    **dict.fromkeys(("http_status", "dropped"), _keep),
    **dict.fromkeys(("context", "parent"), _hash("message")),
    "system_prompt": _hash("system_prompt"),
    "tool_schemas": _hash("tool_schemas"),
    "call_id": lambda value, context: context.pseudonyms.uuid(value, context.shift_ns // 1_000_000),
    **dict.fromkeys(("stage", "name", "event"), _stage),
    "model": lambda value, context: context.values.model(value),
    "provider": _provider,
    "url": _url,
    "max_tokens": _inner("max_tokens", parameters=True),
    "temperature": _inner("temperature", parameters=True),
    "tool_choice": _inner("tool_choice", parameters=True),
    "tool_format": lambda value, context: value if value in _TOOL_FORMATS else context.pseudonyms.name(value),
    **dict.fromkeys(("response_id", "request_id"), _ident),
    **dict.fromkeys(("text", "thinking", "refusal", "prose", "error_message", "reason"), _text),
    "error_type": lambda value, context: context.values.word(value),
    **{key: _inner(key) for key in ("tool_calls", "parts", "choices", "tool_parse_errors")},
    "finish_reasons": _inner("finish_reasons"),
    "extras": _inner("extras", parameters=True),
}
"""
Field → its treatment, whatever the type: a name means the same in all of them. What is not here is replaced
as content is, and so is a value that has marks of blobs in it.
"""
