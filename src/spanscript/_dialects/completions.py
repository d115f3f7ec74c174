"""
The completions API: `POST …/completions`, a prompt in, text out.

Mistral's to fill in the middle (`POST …/fim/completions`) is asked like it, and answers like a chat.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from spanscript._dialects._bodies import reply_of
from spanscript._dialects._chunks import TERMINAL, arguments, assemble, ends
from spanscript._dialects._parts import parts_of, prompt
from spanscript._dialects._splitting import Splitter
from spanscript._dialects.chat_completions import EXTRAS, SAMPLING
from spanscript._dialects.chat_completions import decode as decode_chat
from spanscript._exchange import Choice, Dialect, Json, Message, Reply
from spanscript._shapes import integer, mapping, sequence, string


def accepts(body: Mapping[str, bytes]) -> bool:
    """Whether the body has a prompt: text, tokens, or several of them."""
    return body.get("prompt", b"").startswith((b'"', b"["))


def decode(body: Json) -> Reply:
    """The reply of a whole answer."""
    return reply_of(body, _choices(sequence(mapping(body).get("choices"))), EXTRAS)


def _choices(choices: list[Json]) -> Iterator[Choice]:
    for position, choice in enumerate(map(mapping, choices)):
        index = integer(choice.get("index"))
        yield Choice(
            Message("assistant", parts_of(choice.get("text"), {})),
            finish_reason=string(choice.get("finish_reason")),
            index=position if index is None else index,
        )


COMPLETIONS: Final = Dialect(
    name="completions",
    operation="text_completion",
    list_key="prompt",
    accepts=accepts,
    split=Splitter("prompt"),
    params={
        "model": (("model",),),
        "max_tokens": (("max_tokens",),),
        **SAMPLING,
    },
    decode=decode,
    assemble=assemble,
    message=prompt,
    terminal=TERMINAL,
    ends=ends,
)

FIM_COMPLETIONS: Final = msgspec.structs.replace(
    COMPLETIONS, name="fim_completions", decode=decode_chat, arguments=arguments
)
