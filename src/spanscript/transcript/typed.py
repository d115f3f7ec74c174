"""
The entries of a transcript as typed values, for programs: `spanscript.read`.

One frozen struct for each type of docs/format.md, with its fields; `None` is a key that is absent. Keys
that the format does not know are in `more`. Where blobs were cut out, marks stand in the values.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from msgspec import Struct, field

from spanscript import _json
from spanscript._exchange import Json
from spanscript.transcript import lines, resolve
from spanscript.transcript.lines import Entry, Problem


class TranscriptWarning(UserWarning):
    """Something in a transcript that could not be read."""


class AnyEntry(Struct, frozen=True, kw_only=True):
    """
    What every entry has. An entry of a type that is not known is one of these, all else in `more`.

    Attributes:
        file, line, offset: Where it stands: path, line from 1, byte from 0.
        type: Its type.
        timestamp: UTC, as it stands there: ISO 8601.
        writer, seq: Which process wrote it, and its number among that one's.
        trace_id, span_id: The OpenTelemetry span, in hex.
        iteration, stage: What the app said of itself.
        blobs: Number of marks in it.
        more: All keys that have no field here, in their order.
    """

    file: str
    line: int
    offset: int
    type: str
    timestamp: str | None = None
    writer: str | None = None
    seq: int | None = None
    trace_id: str | None = None
    span_id: str | None = None
    iteration: Json = None
    stage: Json = None
    blobs: int | None = None
    more: dict[str, Json] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Json]:
        """Type and fields that are known, with those of `more`: what stands in the line."""
        names = (name for name in self.__struct_fields__ if name not in _NOT_KEYS)
        found = {name: value for name in names if (value := getattr(self, name)) is not None}
        return {**found, **self.more}


class TranscriptOpen(AnyEntry, frozen=True, kw_only=True):
    """The first entry of a writer in a file."""

    version: int
    pid: int | None = None
    host: str | None = None
    service_name: str | None = None
    spanscript: str | None = None
    python: str | None = None


class SystemPrompt(AnyEntry, frozen=True, kw_only=True):
    """A system prompt, named by its hash."""

    hash: str
    content: Json


class ToolSchemas(AnyEntry, frozen=True, kw_only=True):
    """Tools that were offered, named by their hash."""

    hash: str
    schemas: Json


class Message(AnyEntry, frozen=True, kw_only=True):
    """
    A message in its place of a conversation; `parent` is the hash of the one before it.

    `message` is what was sent, an object as a rule; `more` is empty.
    """

    hash: str
    parent: str | None = None
    message: Json = None

    @property
    def role(self) -> Json:
        """The message's role, if it says one."""
        return self.message.get("role") if isinstance(self.message, dict) else None


class ProviderCallRequest(AnyEntry, frozen=True, kw_only=True):
    """An attempt begins. `body` is with references: `Transcript.call` has it as it was sent."""

    call_id: str
    attempt: int
    model: str | None = None
    provider: str | None = None
    dialect: str | None = None
    client: str | None = None
    url: str | None = None
    stream: bool | None = None
    max_tokens: Json = None
    temperature: Json = None
    tool_choice: Json = None
    tool_format: str | None = None
    native_tool_count: int | None = None
    message_count: int | None = None
    rate_limit_wait_ms: float | None = None
    prompt_chars: int | None = None
    system_prompt: str | None = None
    tool_schemas: str | None = None
    context: str | None = None
    body: Json = None
    body_text: str | None = None
    body_base64: str | None = None
    body_bytes: int | None = None
    body_sha256: str | None = None
    verbatim: bool | None = None
    summary: bool | None = None
    masked: bool | None = None


class ProviderCallResponse(AnyEntry, frozen=True, kw_only=True):
    """An attempt ended well, with what the model said."""

    call_id: str
    attempt: int
    http_status: int | None = None
    model: str | None = None
    response_id: str | None = None
    request_id: str | None = None
    text: str | None = None
    thinking: str | None = None
    refusal: Json = None
    tool_calls: list[Any] | None = None
    parts: Json = None
    finish_reasons: list[Any] | None = None
    choices: list[Any] | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: float | None = None
    response_ms: float | None = None
    first_chunk_ms: float | None = None
    truncated: bool | None = None
    empty: bool | None = None
    extras: Json = None


class ProviderCallError(ProviderCallResponse, frozen=True, kw_only=True):
    """An attempt ended in any other way; what had arrived of the answer has the same names."""

    status: str | None = None
    retryable: bool | None = None
    error_type: str | None = None
    error_message: str | None = None
    retry_after_ms: float | None = None


class InterpretedResponse(AnyEntry, frozen=True, kw_only=True):
    """What the app made of an answer."""

    call_id: str
    tool_format: str | None = None
    prose: str | None = None
    tool_calls: list[Any] | None = None
    tool_parse_errors: Json = None


class Stage(AnyEntry, frozen=True, kw_only=True):
    """The app has entered a stage."""

    name: Json = None


class Annotation(AnyEntry, frozen=True, kw_only=True):
    """Something that the app says happened, with fields of its own; of a call, if it says so."""

    event: str
    call_id: str | None = None
    fields: Json = None


class Gap(AnyEntry, frozen=True, kw_only=True):
    """So many entries could not be written before this one."""

    reason: str | None = None
    dropped: int | None = None


TYPES: Final[Mapping[str, type[AnyEntry]]] = {
    "transcript_open": TranscriptOpen,
    "system_prompt": SystemPrompt,
    "tool_schemas": ToolSchemas,
    "message": Message,
    "provider_call_request": ProviderCallRequest,
    "provider_call_response": ProviderCallResponse,
    "provider_call_error": ProviderCallError,
    "interpreted_response": InterpretedResponse,
    "stage": Stage,
    "annotation": Annotation,
    "gap": Gap,
}
_NOT_KEYS: Final = frozenset({"file", "line", "offset", "more"})
_OF_MESSAGE: Final = (
    "timestamp",
    "writer",
    "seq",
    "trace_id",
    "span_id",
    "iteration",
    "stage",
    "blobs",
    "hash",
    "parent",
)


def warn(problem: Problem) -> None:
    """Tell of a problem as a `TranscriptWarning`; notes are no problems."""
    if not problem.note:
        warnings.warn(str(problem), TranscriptWarning, stacklevel=3)


def read(path: str | os.PathLike[str], on_problem: Callable[[Problem], object] = warn) -> Iterator[AnyEntry]:
    """
    Every entry of a transcript file, or of a directory read as one, oldest first. One line is in memory.

    Args:
        path: File or directory.
        on_problem: Is told what could not be read, and notes; by default each problem is a warning.

    Raises:
        TranscriptError: *path* is missing, or a directory that holds no transcript.
    """
    for item in lines.read(path):
        if isinstance(item, Problem):
            on_problem(item)
        else:
            yield typed(item)


def typed(entry: Entry) -> AnyEntry:
    """An entry as the struct of its type."""
    kind = TYPES.get(entry.type, AnyEntry)
    place: dict[str, Any] = {
        "file": entry.file,
        "line": entry.line,
        "offset": entry.offset,
        "type": entry.type,
    }
    if kind is Message:
        place |= {name: entry.get(name) for name in _OF_MESSAGE}
        return Message(**place, message=_json.loads(resolve.message_text(entry.raw)))
    fields = {*kind.__struct_fields__} - _NOT_KEYS - {"type"}
    values = {name: entry.get(name) for name in entry.raw if name in fields}
    more = {name: entry.get(name) for name in entry.raw if name not in fields and name != "type"}
    return kind(**place, **values, more=more)
