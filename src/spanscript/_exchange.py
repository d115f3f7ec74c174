"""
The records that cross the borders between layers.

Words, one meaning each: a *call* is one invocation of a client's method; an *attempt* is one HTTP
request within it; a *chunk* is bytes and their time of arrival; an *event* is one decoded item of a
stream; an *exchange* is what one attempt asked and what it got; a *message* is an element of the
conversation and a *part* a piece of its content; a *dialect* is a wire API.

Everything here is a frozen value. Identity, time and threads live in `spanscript._calls`. A field that
is not known is `None`: 0 means that the provider said 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

from msgspec import Struct

Json: TypeAlias = Any
"""A JSON value as `spanscript._json.loads` gives it."""

Status = Literal["ok", "retrying", "retries_exhausted", "error", "cancelled", "abandoned"]
"""How an attempt or a call ended. `retrying`: the client will try again. `cancelled`: the app gave up
(task cancelled, interrupt). `abandoned`: a stream that the app stopped reading."""


class Text(Struct, frozen=True, tag=True):
    """Text of any role."""

    text: str


class Thinking(Struct, frozen=True, tag=True):
    """Reasoning that the model shows. Empty where the provider sends it only encrypted."""

    text: str


class ToolCall(Struct, frozen=True, tag=True):
    """
    The model asks for a tool.

    `arguments` is the string exactly as sent where the dialect sends a string, else the JSON value.
    `server_side`: the provider runs the tool itself (web search, code execution …).
    """

    id: str | None
    name: str | None
    arguments: Json
    server_side: bool = False


class ToolResult(Struct, frozen=True, tag=True):
    """What a tool answered, as the JSON value that was sent."""

    id: str | None
    result: Json
    name: str | None = None
    server_side: bool = False


class Media(Struct, frozen=True, tag=True):
    """An image, audio clip or file: by `uri`, by the provider's `file_id`, or `data` in base64."""

    modality: Literal["image", "audio", "video", "file"]
    mime_type: str | None = None
    uri: str | None = None
    file_id: str | None = None
    data: str | None = None


class Refusal(Struct, frozen=True, tag=True):
    """The model says that it will not answer."""

    text: str


class Other(Struct, frozen=True, tag=True):
    """A part of a type that this version does not know, kept as it came."""

    value: Json


Part: TypeAlias = Text | Thinking | ToolCall | ToolResult | Media | Refusal | Other


class Message(Struct, frozen=True):
    """One element of the conversation, normalised for reading. The transcript keeps the original."""

    role: str
    parts: tuple[Part, ...]
    name: str | None = None


class Choice(Struct, frozen=True):
    """One of the alternative answers. `finish_reason` is the provider's own word."""

    message: Message
    finish_reason: str | None = None
    index: int = 0


class Usage(Struct, frozen=True):
    """
    Tokens as OpenTelemetry's GenAI conventions count them.

    `input_tokens` includes cached ones (Anthropic's are added up), `output_tokens` includes reasoning.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None


class Failure(Struct, frozen=True):
    """
    Why an attempt failed.

    `type` is an exception's qualified name, an HTTP status as text, the provider's error code or type,
    or one of ours (`incomplete_stream`). `message` is for people; nothing is decided by it.
    """

    type: str
    message: str | None = None


class Reply(Struct, frozen=True):
    """
    An answer, as far as it came.

    `failure` is an error that the body itself tells (an error body, or an error event inside a stream
    with status 200). `complete` is false for a stream that ended before its dialect's terminal marker.
    `extras` holds the dialect's refinements under their neutral names (`service_tier`,
    `system_fingerprint`, `embedding_dimensions`).
    """

    response_id: str | None = None
    model: str | None = None
    choices: tuple[Choice, ...] = ()
    usage: Usage = Usage()
    failure: Failure | None = None
    complete: bool = True
    extras: Mapping[str, Json] = {}

    @property
    def finish_reasons(self) -> tuple[str, ...]:
        """The finish reasons of all choices that have one, in order."""
        return tuple(c.finish_reason for c in self.choices if c.finish_reason is not None)

    def texts(self, kind: type[Text | Thinking | Refusal]) -> str | None:
        """All text of one kind in the first choice, joined; `None` if it has none."""
        found = [p.text for c in self.choices[:1] for p in c.message.parts if isinstance(p, kind)]
        return "".join(found) if found else None

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tool calls of the first choice."""
        return tuple(p for c in self.choices[:1] for p in c.message.parts if isinstance(p, ToolCall))

    @property
    def says_nothing(self) -> bool:
        """Whether there is neither text nor a tool call, nor anything else for the app, in any choice."""
        parts = (part for choice in self.choices for part in choice.message.parts)
        return not any(_says_something(part) for part in parts)


def _says_something(part: Part) -> bool:
    return bool(part.text.strip()) if isinstance(part, Text) else not isinstance(part, Thinking)


class Split(Struct, frozen=True):
    """
    A request body taken apart, as raw JSON text, so that every byte of it is kept.

    `items` are the messages of the context, oldest first. In `skeleton`, the body in its own key order,
    what stands in `system`, `tools` and `items` is replaced by `{"$transcript": …}` references.
    """

    skeleton: bytes
    items: Sequence[bytes] = ()
    system: bytes | None = None
    tools: bytes | None = None


class Event(Struct, frozen=True):
    """One item of a stream: the SSE event's name (or the event-stream frame's type) and its data, parsed."""

    data: Json
    name: str | None = None


class ArgumentPiece(Struct, frozen=True):
    """
    What one event of a stream says of a tool call: that it begins (its name), more of its arguments, or both.

    Attributes:
        text: The arguments' next characters.
        index: The wire's own number of the call, by which later pieces find it.
        id, name: Of the call, where the event tells them.
    """

    text: str
    index: int | None = None
    id: str | None = None
    name: str | None = None


class Dialect(Struct, frozen=True):
    """
    What the bytes of one wire API mean. All functions are pure.

    Attributes:
        name: The dialect's name, e.g. `chat_completions`.
        operation: `gen_ai.operation.name`.
        list_key: The body's key that holds the list of messages.
        accepts: Whether a request body (its keys and raw values) is of this dialect; keeps other APIs
            with the same path out.
        split: Body (key → raw value) and the raw elements of its list → `Split`.
        params: Neutral parameter name → paths in the request body; the first that has a value counts.
        decode: A whole answer's JSON → `Reply`.
        assemble: The events of a stream → the body that the whole answer would have had. Missing end,
            error events: as far as it came, see `Reply.complete` and `Reply.failure`.
        message: An element of the list (or the system prompt, as `{"role": "system", "content": …}`) →
            `Message`, for reading.
        terminal: Whether whole lines of a stream's raw bytes hold the marker after which nothing of it
            follows; see `spanscript._wire.Marker`. `None` if the dialect does not stream, or
            its streams have none.
        ends: Likewise for an event, of any framing.
        parse: A whole answer's bytes → JSON, where plain parsing would waste time on what `decode` does
            not look at. Raises what `spanscript._json.loads` raises.
        raw: Likewise for a whole answer that is no JSON object (audio, plain text), by its bytes and its
            content type. `None` if the wire API has no such answers.
        adds: Whether what an event says goes on with what the events before it said; others sum up what
            was said, or are about something else. `None`: all go on.
        arguments: The pieces of tool calls in an event. `None`: each call comes whole, in one event.
        tools_in: How many tools an element of the array of tools (raw JSON) offers. `None`: each is one.
        provider: `gen_ai.provider.name` where neither host nor client tells it. `None` for what many speak.
    """

    name: str
    operation: str
    list_key: str
    accepts: Callable[[Mapping[str, bytes]], bool]
    split: Callable[[Mapping[str, bytes], Sequence[bytes]], Split]
    params: Mapping[str, tuple[tuple[str, ...], ...]]
    decode: Callable[[Json], Reply]
    assemble: Callable[[Iterable[Event]], Json]
    message: Callable[[Json], Message]
    terminal: Callable[[bytes], bool] | None = None
    ends: Callable[[Event], bool] | None = None
    parse: Callable[[bytes], Json] | None = None
    raw: Callable[[bytes, str], Json] | None = None
    adds: Callable[[Event], bool] | None = None
    arguments: Callable[[Event], Iterable[ArgumentPiece]] | None = None
    tools_in: Callable[[bytes], int] | None = None
    provider: str | None = None


_CONVERSING: Final = frozenset({"chat", "generate_content"})
"""Operations in which tools can be offered."""


class Request(Struct, frozen=True):
    """
    What one attempt asks, read from the bytes that are sent.

    Attributes:
        call_id: UUIDv7 of the call, in its usual text form.
        attempt: Index of the attempt within its call, from 0.
        dialect: How the body is to be read.
        provider: `gen_ai.provider.name`, or the host's or client's own name.
        client: The library whose call this is (`openai`, or `httpx` for raw HTTP).
        url: Scheme, host, port and path; no query, no credentials.
        server_address, server_port: The host that is asked.
        content: The body, byte for byte as sent, but see `masked` and `summary`.
        masked: Whether a key that this process uses was in the body, and is not in `content`.
        summary: Whether the body is a form with files, and `content` the JSON that tells of it.
        split: The body taken apart; `None` if it is no JSON object.
        model: From the body, or from the URL where the wire API has it there.
        stream: Whether the answer is asked for as a stream.
        params: Neutral name → value, see `Dialect.params`.
        tool_count: Number of native tools offered; `None` if there is no array of them.
        prompt_chars: Characters of system prompt, tools and messages as they stand in the body.
        iteration, stage: What the app says of itself, if it does.
        stage_number: Which entering of a stage this is; see `_words`.
        said_tool_format: How tool calls stand in the answer, if the app or its operator says so.
        rate_limit_wait_ms: How long it waited for its turn under a rate limit of ours; `None`: not at all.
    """

    call_id: str
    attempt: int
    dialect: Dialect
    provider: str
    client: str
    url: str
    server_address: str
    server_port: int | None
    content: bytes
    split: Split | None
    model: str | None = None
    stream: bool = False
    params: Mapping[str, Json] = {}
    masked: bool = False
    summary: bool = False
    tool_count: int | None = None
    prompt_chars: int | None = None
    iteration: int | None = None
    stage: str | None = None
    stage_number: int | None = None
    said_tool_format: str | None = None
    rate_limit_wait_ms: float | None = None

    @property
    def converses(self) -> bool:
        """Whether a model is asked to say something, and may be offered tools."""
        return self.dialect.operation in _CONVERSING

    @property
    def tool_format(self) -> str | None:
        """As the app says, else `native` if tools were offered, else `text`; `None`: no conversation."""
        if not self.converses:
            return None
        return self.said_tool_format or ("native" if self.tool_count else "text")


class Outcome(Struct, frozen=True):
    """
    How an attempt ended.

    Attributes:
        status: See `Status`.
        started_ns, ended_ns: Wall clock, nanoseconds since the epoch.
        first_chunk_ns: Likewise; `None` for an answer that was not streamed.
        http_status: `None` if no response came.
        reply: What had arrived, also of a failed attempt; `None` if nothing could be read.
        request_id: The server's name for the request, to be told to its support.
        failure: Why it failed; `None` if it did not: `ok`, and `abandoned` by the app.
        retryable: Whether trying again could help, by class of failure; `None` if nothing failed.
        retry_after_ms: What the server asked to wait.
        truncated: The answer was longer than what is kept of one.
        empty: The answer to a conversation came well, with neither text nor tool calls.
    """

    status: Status
    started_ns: int
    ended_ns: int
    first_chunk_ns: int | None = None
    http_status: int | None = None
    request_id: str | None = None
    reply: Reply | None = None
    failure: Failure | None = None
    retryable: bool | None = None
    retry_after_ms: int | None = None
    truncated: bool = False
    empty: bool = False
