"""What a listener is told of calls: one record for each thing that happens."""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

from spanscript._deltas import Kind
from spanscript._exchange import Status


class CallStart(Struct, frozen=True):
    """
    A call has begun.

    Attributes:
        call_id: Its id, as in spans and transcript.
        time: Seconds since the epoch.
        client: The library whose call it is, `httpx` for raw HTTP.
        provider: Who is asked; `None`: the first request tells.
        model: As the app names it, if it is known before the first request.
        operation: `chat`, `embeddings` …, as `gen_ai.operation.name`.
        iteration, stage: What the app says of itself.
    """

    call_id: str
    time: float
    client: str
    provider: str | None
    model: str | None
    operation: str
    iteration: int | None
    stage: str | None


class CallProgress(Struct, frozen=True):
    """
    More of an answer, of its first choice.

    The deltas of one attempt, joined by kind and tool call, are what its whole answer says. They come as the
    events of a stream come; what did not come so (an answer that is no stream, or is compressed) comes in
    one when the attempt ends. A listener that lags gets several in one.

    Attributes:
        call_id, attempt: Whose. What an attempt said that failed does not count in the next.
        kind: What *delta* is more of.
        delta: What has come; of a tool call that begins, it may be empty. Of arguments that Google sends in
            pieces that are values, the JSON of these.
        tool: Of `tool_arguments`: the tool's name.
        tool_index: Likewise: which call of the answer's, from 0, in the order in which they began.
        input_tokens, output_tokens: As far as the wire has told them by now; `None` until it did.
    """

    call_id: str
    attempt: int
    kind: Kind
    delta: str
    tool: str | None = None
    tool_index: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None


class AttemptEnd(Struct, frozen=True):
    """
    An HTTP attempt of a call is over.

    Attributes:
        call_id, attempt: Which, counted from 0.
        time: Seconds since the epoch.
        status: `ok`, `error`, `retrying` (the client tries again), `retries_exhausted`, `cancelled` or
            `abandoned` (the app stopped reading).
        seconds: How long it took.
        http_status: `None` if no answer came.
        error_type, error_message: Why it failed, if it did.
        retry_after_ms: What the server asked to wait.
    """

    call_id: str
    attempt: int
    time: float
    status: Status
    seconds: float
    http_status: int | None = None
    error_type: str | None = None
    error_message: str | None = None
    retry_after_ms: int | None = None


class CallEnd(Struct, frozen=True):
    """
    A call is over; nothing of it is told after this.

    Attributes:
        call_id: Which.
        time: Seconds since the epoch.
        status: As of an attempt; of a call never `retrying`.
        seconds: How long it took, waits between attempts included.
        attempts: How many HTTP attempts were seen.
        model: As the answer names it, else as the request does.
        input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens: Of the last
            attempt, if the wire told them. Input includes cached tokens, output includes reasoning.
        error_type, error_message: Why it failed, if it did.
        empty: The answer to a conversation came well, with neither text nor tool calls.
    """

    call_id: str
    time: float
    status: Status
    seconds: float
    attempts: int
    model: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    error_type: str | None = None
    error_message: str | None = None
    empty: bool = False


Record: TypeAlias = CallStart | CallProgress | AttemptEnd | CallEnd
"""What a listener is told."""
