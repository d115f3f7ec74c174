"""
Text in, text out on Amazon Bedrock: `POST …/model/ID/invoke`, with the body that the model's maker wants.

The requests of Llama, Mistral, Cohere's Command, DeepSeek and Jurassic differ by their options, so that the
answer tells whose it is; Titan's has its prompt under a key of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from spanscript._dialects._bodies import error_of, reply_of
from spanscript._dialects._parts import parts_of, prompt
from spanscript._dialects._splitting import FirstOf
from spanscript._dialects._usage import Paths, first_integer, usage_in
from spanscript._exchange import Choice, Dialect, Event, Json, Message, Reply, Usage
from spanscript._shapes import dig, integer, mapping, sequence, string

_LISTS: Final = ("outputs", "results", "generations", "choices", "completions")
"""Where the alternatives stand; where they do not, the body itself is one."""
_TEXTS: Final[Paths] = (("text",), ("outputText",), ("generation",), ("data", "text"))
_FINISHES: Final[Paths] = (
    ("stop_reason",),
    ("completionReason",),
    ("finish_reason",),
    ("finishReason", "reason"),
)
_COUNTS: Final[Mapping[str, Paths]] = {
    "input_tokens": (("prompt_token_count",), ("inputTextTokenCount",)),
    "output_tokens": (("generation_token_count",), ("totalOutputTextTokenCount",)),
}


def accepts(body: Mapping[str, bytes]) -> bool:
    """Whether the body has a prompt."""
    return any(body.get(key, b"").startswith(b'"') for key in ("prompt", "inputText"))


def decode(body: Json) -> Reply:
    """The reply of a whole answer."""
    fields = mapping(body)
    return reply_of(body, _choices(fields), {}, usage=_usage(fields))


def _choices(body: dict[str, Any]) -> Iterator[Choice]:
    for position, one in enumerate(_alternatives(body)):
        index = integer(one.get("index"))
        text, finish = _first(one, _TEXTS), _first(one, _FINISHES)
        message = Message("assistant", parts_of(text or "", {}))
        yield Choice(message, finish, position if index is None else index)


def _alternatives(body: dict[str, Any]) -> list[dict[str, Any]]:
    found = next((sequence(body[key]) for key in _LISTS if key in body), [body])
    return [one for one in map(mapping, found) if _is_said(one)]


def _is_said(one: dict[str, Any]) -> bool:
    return any(_first(one, paths) is not None for paths in (_TEXTS, _FINISHES))


def _first(one: dict[str, Any], paths: Paths) -> str | None:
    return next((text for path in paths if (text := string(dig(one, path)))), None)


def _usage(body: dict[str, Any]) -> Usage:
    usage = Usage(**{name: first_integer(body, paths) for name, paths in _COUNTS.items()})
    if usage == Usage():
        return usage_in(body)
    if usage.output_tokens is None:  # Titan counts each result
        counts = [integer(mapping(one).get("tokenCount")) for one in sequence(body.get("results"))]
        known = [count for count in counts if count is not None]
        usage = msgspec.structs.replace(usage, output_tokens=sum(known) if known else None)
    return usage


def ends(event: Event) -> bool:
    """Whether nothing follows an event: Bedrock's own last word is told apart (see `_eventstream`)."""
    return bool(mapping(event.data).get("error"))


def assemble(events: Iterable[Event]) -> Json:
    """The body of the whole answer; see `Dialect.assemble`."""
    body: dict[str, Any] = {}
    begun: dict[int, dict[str, Any]] = {}
    for event in events:
        data = mapping(event.data)
        if ends(event):
            body["error"] = error_of(event)
        else:
            body |= {key: value for key, value in data.items() if key not in _LISTS and value is not None}
            for position, one in enumerate(_alternatives(data)):
                _fold(begun, one, position)
    if begun:
        body["outputs"] = [begun[index] for index in sorted(begun)]
    return body


def _fold(begun: dict[int, dict[str, Any]], one: dict[str, Any], position: int) -> None:
    index = integer(one.get("index"))
    index = position if index is None else index
    slot = begun.setdefault(index, {"index": index, "text": ""})
    slot["text"] += _first(one, _TEXTS) or ""
    finish = _first(one, _FINISHES)
    if finish is not None:
        slot["stop_reason"] = finish


INVOKE_TEXT: Final = Dialect(
    name="invoke_text",
    operation="text_completion",
    list_key="prompt",
    accepts=accepts,
    split=FirstOf("prompt", "inputText"),
    params={
        "max_tokens": (
            ("max_gen_len",),
            ("max_tokens",),
            ("maxTokens",),
            ("textGenerationConfig", "maxTokenCount"),
        ),
        "temperature": (("temperature",), ("textGenerationConfig", "temperature")),
        "top_p": (("top_p",), ("p",), ("topP",), ("textGenerationConfig", "topP")),
        "top_k": (("top_k",), ("k",)),
        "stop_sequences": (
            ("stop",),
            ("stop_sequences",),
            ("stopSequences",),
            ("textGenerationConfig", "stopSequences"),
        ),
        "choice_count": (("num_generations",), ("numResults",)),
    },
    decode=decode,
    assemble=assemble,
    message=prompt,
    ends=ends,
    provider="aws.bedrock",
)
