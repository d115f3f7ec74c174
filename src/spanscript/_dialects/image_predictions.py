"""Images by prediction: `POST …/models/NAME:predict` of Imagen, on the Gemini API and on Vertex."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from spanscript._dialects._bodies import reply_of
from spanscript._dialects._media import decoded_bytes, image, total
from spanscript._dialects._parts import leftovers, parts_of
from spanscript._dialects._splitting import Splitter
from spanscript._dialects.embeddings import assemble
from spanscript._dialects.images import OPERATION
from spanscript._exchange import Choice, Dialect, Json, Message, Other, Reply
from spanscript._shapes import mapping, sequence, string


def accepts(body: Mapping[str, bytes]) -> bool:
    """Whether the body has instances with a prompt."""
    instances = body.get("instances", b"")
    return instances.startswith(b"[") and b'"prompt"' in instances


def decode(body: Json) -> Reply:
    """The reply of a whole answer: each image a choice, without its bytes; one that was filtered says why."""
    found = [mapping(item) for item in sequence(mapping(body).get("predictions"))]
    size = total(decoded_bytes(item.get("bytesBase64Encoded")) for item in found)
    return reply_of({**mapping(body), "bytes": size}, _choices(found), {"bytes": ("bytes",)})


def _choices(predictions: list[dict[str, Any]]) -> Iterator[Choice]:
    for index, item in enumerate(predictions):
        shown = (image(None, string(item.get("mimeType"))),) if item.get("bytesBase64Encoded") else ()
        parts = (*shown, *leftovers(item, ("prompt",)))
        yield Choice(Message("assistant", parts), string(item.get("raiFilteredReason")), index)


def message(value: Json) -> Message:
    """One instance: its prompt, and what stands beside it (images to edit, say)."""
    fields = mapping(value)
    text = fields.get("prompt")
    if not isinstance(text, str):
        return Message("user", (Other(value),))
    rest = {key: beside for key, beside in fields.items() if key != "prompt"}
    return Message("user", (*parts_of(text, {}), *((Other(rest),) if rest else ())))


IMAGE_PREDICTIONS: Final = Dialect(
    name="image_predictions",
    operation=OPERATION,
    list_key="instances",
    accepts=accepts,
    split=Splitter("instances"),
    params={
        "choice_count": (("parameters", "sampleCount"),),
        "seed": (("parameters", "seed"),),
    },
    decode=decode,
    assemble=assemble,
    message=message,
)
