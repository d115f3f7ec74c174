"""Images on Amazon Bedrock: `POST …/model/ID/invoke` with the body of Titan, Nova Canvas or Stability."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from spanscript._dialects._bodies import reply_of
from spanscript._dialects._media import decoded_bytes, image, total
from spanscript._dialects._parts import leftovers, prompt
from spanscript._dialects._splitting import FirstOf
from spanscript._dialects.embeddings import assemble
from spanscript._dialects.images import OPERATION
from spanscript._exchange import Choice, Dialect, Json, Message, Reply, Text
from spanscript._shapes import mapping, sequence, string

_TASKS: Final = (
    "textToImageParams",
    "imageVariationParams",
    "inPaintingParams",
    "outPaintingParams",
    "colorGuidedGenerationParams",
    "backgroundRemovalParams",
    "virtualTryOnParams",
)
"""Amazon's: what is asked for stands in an object by the name of the task."""
_OPTIONS: Final = (
    "aspect_ratio",
    "control_strength",
    "creativity",
    "image",
    "init_image",
    "mode",
    "negative_prompt",
    "output_format",
    "search_prompt",
    "style_preset",
)
"""Stability's: a prompt beside which one of these stands is none for a text."""


def accepts(body: Mapping[str, bytes]) -> bool:
    """Whether an image is asked for."""
    if "text_prompts" in body or any(key in body for key in _TASKS):
        return True
    return "messages" not in body and any(key in body for key in _OPTIONS)


def message(value: Json) -> Message:
    """A prompt; one of several, weighted; or a task with its text."""
    text = mapping(value).get("text")
    if not isinstance(text, str):
        return prompt(value)
    return Message("user", (Text(text), *leftovers(value, tuple(key for key in value if key != "text"))))


def decode(body: Json) -> Reply:
    """The reply of a whole answer: each image a choice, without its bytes."""
    fields = mapping(body)
    artifacts = [mapping(item) for item in sequence(fields.get("artifacts"))]
    found = [item.get("base64") for item in artifacts] or sequence(fields.get("images"))
    reasons = [item.get("finishReason") for item in artifacts] or sequence(fields.get("finish_reasons"))
    told = {**fields, "bytes": total(map(decoded_bytes, found))}
    return reply_of(told, _choices(found, reasons), {"bytes": ("bytes",)})


def _choices(images: list[Any], reasons: list[Any]) -> Iterator[Choice]:
    for index in range(max(len(images), len(reasons))):
        shown = (image(None, None),) if index < len(images) and images[index] else ()
        finish = string(reasons[index]) if index < len(reasons) else None
        yield Choice(Message("assistant", shown), finish, index)


INVOKE_IMAGE: Final = Dialect(
    name="invoke_image",
    operation=OPERATION,
    list_key="text_prompts",
    accepts=accepts,
    split=FirstOf("text_prompts", "prompt", *_TASKS),
    params={
        "choice_count": (("imageGenerationConfig", "numberOfImages"), ("samples",)),
        "seed": (("seed",), ("imageGenerationConfig", "seed")),
    },
    decode=decode,
    assemble=assemble,
    message=message,
    provider="aws.bedrock",
)
