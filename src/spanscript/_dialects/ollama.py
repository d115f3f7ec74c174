"""Ollama's own API: `POST /api/chat`, `/api/generate` and `/api/embed`; it streams JSON lines unless told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from spanscript._dialects import chat_completions
from spanscript._dialects._bodies import reply_of
from spanscript._dialects._chunks import fold
from spanscript._dialects._parts import parts_of, prompt, thinking
from spanscript._dialects._splitting import FirstOf, Splitter
from spanscript._dialects._usage import Paths, first_integer
from spanscript._dialects._vectors import DIMENSIONS, length_of, parse_first_of
from spanscript._dialects.embeddings import assemble as assemble_embed
from spanscript._exchange import Choice, Dialect, Event, Json, Media, Message, Reply, Usage
from spanscript._shapes import mapping, sequence, string
from spanscript._wire import terminal

_COUNTS: Final[Mapping[str, Paths]] = {
    "input_tokens": (("prompt_eval_count",),),
    "output_tokens": (("eval_count",),),
}
_IN_CHAT: Final = {"thinking": "reasoning", "tool_name": "name"}
"""Key of a message here → the same in `chat_completions`."""
_PIECES: Final = frozenset({"message", "response", "thinking", "logprobs"})
"""Keys whose values come in pieces. Of any other the last value counts."""


def accepts_chat(body: Mapping[str, bytes]) -> bool:
    """Whether the body names a model and has messages with roles."""
    messages = body.get("messages", b"")
    return messages.startswith(b"[") and b'"role"' in messages and _names_model(body)


def accepts_generate(body: Mapping[str, bytes]) -> bool:
    """Whether the body names a model and has a prompt."""
    return body.get("prompt", b"").startswith(b'"') and _names_model(body)


def accepts_embed(body: Mapping[str, bytes]) -> bool:
    """Whether the body names a model and has something to embed."""
    given = body.get("input") or body.get("prompt") or b""
    return given.startswith((b'"', b"[")) and _names_model(body)


def _names_model(body: Mapping[str, bytes]) -> bool:
    return body.get("model", b"").startswith(b'"')


def decode_chat(body: Json) -> Reply:
    """The reply of a whole answer of `/api/chat`."""
    said = mapping(mapping(body).get("message"))
    return _reply(body, message({"role": "assistant", **said}))


def decode_generate(body: Json) -> Reply:
    """The reply of a whole answer of `/api/generate`."""
    fields = mapping(body)
    parts = (*thinking(fields.get("thinking")), *parts_of(fields.get("response"), {}))
    return _reply(body, Message("assistant", (*parts, *_images([fields.get("image")]))))


def decode_embed(body: Json) -> Reply:
    """The reply of a whole answer of `/api/embed` or `/api/embeddings`; it has no choices."""
    fields = mapping(body)
    vector = next(iter(sequence(fields.get("embeddings"))), fields.get("embedding"))
    return reply_of({**fields, "embedding_dimensions": length_of(vector)}, (), DIMENSIONS, usage=_usage(body))


def _reply(body: Json, said: Message) -> Reply:
    finish = string(mapping(body).get("done_reason"))
    choices = [Choice(said, finish)] if said.parts or finish else []
    return reply_of(body, choices, {}, usage=_usage(body))


def _usage(body: Json) -> Usage:
    return Usage(**{name: first_integer(body, paths) for name, paths in _COUNTS.items()})


def message(value: Json) -> Message:
    """A message of the list, a prompt, or the answer itself."""
    fields = {_IN_CHAT.get(key, key): inner for key, inner in mapping(value).items()} or {"content": value}
    images = sequence(fields.pop("images", None))
    read = chat_completions.message(fields)
    return Message(read.role, (*read.parts, *_images(images)), read.name)


def _images(images: list[Json]) -> list[Media]:
    return [Media("image", data=image) for image in images if isinstance(image, str) and image]


def ends(event: Event) -> bool:
    """Whether nothing follows an event."""
    data = mapping(event.data)
    return data.get("done") is True or bool(data.get("error"))


def assemble(events: Iterable[Event]) -> Json:
    """The body of the whole answer; see `Dialect.assemble`."""
    body: dict[str, Any] = {}
    for event in events:
        for key, value in mapping(event.data).items():
            body[key] = fold(key, body.get(key), value) if key in _PIECES else value
    return body


_PARAMS: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "model": (("model",),),
    "max_tokens": (("options", "num_predict"),),
    "temperature": (("options", "temperature"),),
    "top_p": (("options", "top_p"),),
    "top_k": (("options", "top_k"),),
    "frequency_penalty": (("options", "frequency_penalty"),),
    "presence_penalty": (("options", "presence_penalty"),),
    "seed": (("options", "seed"),),
    "stop_sequences": (("options", "stop"),),
    "stream": (("stream",),),
    "reasoning_level": (("think",),),
    "output_type": (("format",),),
}
_TERMINAL: Final = terminal(ends, (b'"done":true', b'"done": true', b'"error"'))

OLLAMA_CHAT: Final = Dialect(
    name="ollama_chat",
    operation="chat",
    list_key="messages",
    accepts=accepts_chat,
    split=Splitter("messages", leading=True),
    params=_PARAMS,
    decode=decode_chat,
    assemble=assemble,
    message=message,
    terminal=_TERMINAL,
    ends=ends,
    provider="ollama",
)

OLLAMA_GENERATE: Final = Dialect(
    name="ollama_generate",
    operation="text_completion",
    list_key="prompt",
    accepts=accepts_generate,
    split=Splitter("prompt", system_key="system"),
    params=_PARAMS,
    decode=decode_generate,
    assemble=assemble,
    message=message,
    terminal=_TERMINAL,
    ends=ends,
    provider="ollama",
)

OLLAMA_EMBED: Final = Dialect(
    name="ollama_embed",
    operation="embeddings",
    list_key="input",
    accepts=accepts_embed,
    split=FirstOf("input", "prompt"),
    params={"model": (("model",),), "dimensions": (("dimensions",),)},
    decode=decode_embed,
    assemble=assemble_embed,
    message=prompt,
    parse=parse_first_of("embeddings"),
    provider="ollama",
)
