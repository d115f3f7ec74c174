"""The chat completions API: `POST …/chat/completions`, spoken by OpenAI and most others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from spanscript._dialects._bodies import Extras, reply_of
from spanscript._dialects._chunks import TERMINAL, arguments, assemble, ends
from spanscript._dialects._parts import (
    Block,
    Builder,
    leftovers,
    media_at,
    parts_of,
    refusal_block,
    text_block,
    thinking,
)
from spanscript._dialects._splitting import Splitter
from spanscript._exchange import (
    Choice,
    Dialect,
    Json,
    Media,
    Message,
    Other,
    Part,
    Reply,
    Text,
    ToolCall,
    ToolResult,
)
from spanscript._shapes import integer, mapping, sequence, string
from spanscript._wire import failure_in

EXTRAS: Final[Extras] = {
    "service_tier": ("service_tier",),
    "system_fingerprint": ("system_fingerprint",),
}


def accepts(body: Mapping[str, bytes]) -> bool:
    """Whether the body has a list of messages; no other API has this path."""
    return body.get("messages", b"").startswith(b"[")


def decode(body: Json) -> Reply:
    """The reply of a whole answer."""
    choices = sequence(mapping(body).get("choices"))
    # A gateway tells of one upstream's error inside the choice.
    failure = next(filter(None, map(failure_in, choices)), None)
    return reply_of(body, _choices(choices), EXTRAS, failure=failure)


def message(value: Json) -> Message:
    """A message of the list, or of a choice."""
    fields = {"content": value} if isinstance(value, str) else mapping(value)
    role = string(fields.get("role")) or "user"
    return Message(role, _parts(fields, role), string(fields.get("name")))


def _choices(choices: list[Json]) -> Iterator[Choice]:
    for position, choice in enumerate(map(mapping, choices)):
        index = integer(choice.get("index"))
        yield Choice(
            message({"role": "assistant", **mapping(choice.get("message"))}),
            # Mistral's on Bedrock has the other; elsewhere that is what made it stop, beside the reason.
            finish_reason=string(choice.get("finish_reason", choice.get("stop_reason"))),
            index=position if index is None else index,
        )


def _parts(fields: Block, role: str) -> tuple[Part, ...]:
    content = fields.get("content")
    rest = leftovers(fields, tuple(key for key in fields if key not in _READ))
    if role in ("tool", "function"):
        result = ToolResult(string(fields.get("tool_call_id")), content, string(fields.get("name")))
        return result, *rest
    legacy = mapping(fields.get("function_call"))
    calls = [*sequence(fields.get("tool_calls")), *([{"function": legacy}] if legacy.get("name") else [])]
    return (
        *(thinking(fields.get("reasoning_content")) or thinking(fields.get("reasoning"))),
        *parts_of(content, _BLOCKS),
        *(refusal_block(fields) if fields.get("refusal") else ()),
        *_audio(mapping(fields.get("audio"))),
        *(part for call in calls for part in _tool_call(call)),
        *rest,
    )


def _tool_call(call: Json) -> tuple[Part, ...]:
    fields = mapping(call)
    inner = mapping(fields.get(string(fields.get("type")) or "function"))
    if not inner:
        return (Other(call),)
    arguments = inner.get("arguments", inner.get("input"))
    return (ToolCall(string(fields.get("id")), string(inner.get("name")), arguments),)


def _audio(audio: Block) -> tuple[Part, ...]:
    """A spoken answer, and what it says."""
    file_id, data = string(audio.get("id")), string(audio.get("data"))
    clip = (Media("audio", file_id=file_id, data=data),) if file_id or data else ()
    return *clip, *parts_of(audio.get("transcript"), _BLOCKS)


def _image_url(block: Block) -> tuple[Part, ...]:
    image = block.get("image_url")
    return media_at("image", image if isinstance(image, str) else mapping(image).get("url"))


def _input_audio(block: Block) -> tuple[Part, ...]:
    audio = mapping(block.get("input_audio"))
    kind = string(audio.get("format"))
    if not isinstance(audio.get("data"), str):
        return ()
    return (Media("audio", mime_type=f"audio/{kind}" if kind else None, data=audio["data"]),)


def _file(block: Block) -> tuple[Part, ...]:
    file = mapping(block.get("file")) or block  # Mistral's are not nested
    if isinstance(file.get("file_id"), str):
        return (Media("file", file_id=file["file_id"]),)
    return media_at("file", file.get("file_data"))


def _thinking(block: Block) -> tuple[Part, ...]:
    """Mistral's: its text is content itself."""
    inner = parts_of(block.get("thinking"), {"text": text_block})
    return thinking("".join(part.text for part in inner if isinstance(part, Text)))


_READ: Final = frozenset(
    {
        "role",
        "content",
        "name",
        "refusal",
        "tool_calls",
        "tool_call_id",
        "function_call",
        "audio",
        "reasoning_content",
        "reasoning",
    }
)
_BLOCKS: Final[Mapping[str, Builder]] = {
    "text": text_block,
    "refusal": refusal_block,
    "image_url": _image_url,
    "input_audio": _input_audio,
    "video_url": lambda block: media_at("video", mapping(block.get("video_url")).get("url")),
    "file": _file,
    "document_url": lambda block: media_at("file", block.get("document_url")),
    "thinking": _thinking,
}

SAMPLING: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "temperature": (("temperature",),),
    "top_p": (("top_p",),),
    "top_k": (("top_k",),),
    "frequency_penalty": (("frequency_penalty",),),
    "presence_penalty": (("presence_penalty",),),
    "seed": (("seed",), ("random_seed",)),
    "stop_sequences": (("stop",),),
    "choice_count": (("n",),),
    "stream": (("stream",),),
}
"""What completions of chats and of prompts have in common."""

CHAT_COMPLETIONS: Final = Dialect(
    name="chat_completions",
    operation="chat",
    list_key="messages",
    accepts=accepts,
    split=Splitter("messages", leading=True),
    params={
        "model": (("model",),),
        "max_tokens": (("max_completion_tokens",), ("max_tokens",)),
        **SAMPLING,
        "reasoning_level": (("reasoning_effort",), ("reasoning", "effort")),
        "output_type": (("response_format", "type"),),
        "tool_choice": (("tool_choice",),),
        "service_tier": (("service_tier",),),
    },
    decode=decode,
    assemble=assemble,
    message=message,
    terminal=TERMINAL,
    ends=ends,
    arguments=arguments,
)
