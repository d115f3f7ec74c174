"""The moderations API: `POST …/moderations`, texts and images in, categories out."""

from __future__ import annotations

from typing import Any, Final

from spanscript._dialects._bodies import reply_of
from spanscript._dialects._parts import prompt
from spanscript._dialects._splitting import Splitter
from spanscript._dialects.chat_completions import message as chat_message
from spanscript._dialects.embeddings import accepts, assemble
from spanscript._exchange import Dialect, Json, Message, Reply
from spanscript._shapes import mapping, sequence


def decode(body: Json) -> Reply:
    """The reply of a whole answer. It has no choices: what each input was found to be stands in `extras`."""
    results = [_result(mapping(item)) for item in sequence(mapping(body).get("results"))]
    extended = {**mapping(body), "moderations": results or None}
    return reply_of(extended, (), {"moderations": ("moderations",)})


def _result(result: dict[str, Any]) -> dict[str, Json]:
    """Whether an input was flagged, and for what; Mistral says only for what."""
    found = sorted(name for name, value in mapping(result.get("categories")).items() if value is True)
    flagged = result.get("flagged")
    return {"flagged": flagged if isinstance(flagged, bool) else bool(found), "categories": found}


def message(value: Json) -> Message:
    """One input: a text, a block of content, or a message of a chat."""
    if not isinstance(value, dict):
        return prompt(value)
    return chat_message(value if "role" in value else {"role": "user", "content": [value]})


MODERATIONS: Final = Dialect(
    name="moderations",
    operation="moderation",  # ours: the GenAI conventions, as read in November 2026, name none
    list_key="input",
    accepts=accepts,
    split=Splitter("input"),
    params={"model": (("model",),)},
    decode=decode,
    assemble=assemble,
    message=message,
)
