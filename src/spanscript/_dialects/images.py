"""
The images API: `POST …/images/generations`, `/edits`, `/variations`; a prompt in, images out.

Of several images each has its own last event, and none tells which of them it is, or how many are still to
come; of those that were asked for, one may be withheld. So a stream has no marker: its end is the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from spanscript._dialects._bodies import Extras, error_of, kind_of, reply_of
from spanscript._dialects._media import decoded_bytes, image, total
from spanscript._dialects._parts import leftovers, prompt
from spanscript._dialects._splitting import Splitter
from spanscript._exchange import Choice, Dialect, Event, Json, Message, Reply
from spanscript._shapes import mapping, sequence, string

OPERATION: Final = "image_generation"
"""Ours: the GenAI conventions, as read in November 2026, name no operation for images."""

_EXTRAS: Final[Extras] = {
    "bytes": ("bytes",),
    "size": ("size",),
    "quality": ("quality",),
    "background": ("background",),
}
_OF_ONE_IMAGE: Final = frozenset({"type", "b64_json", "url", "partial_image_index"})


def accepts(body: Mapping[str, bytes]) -> bool:
    """Whether the body has a prompt or, as for a variation, a form's image."""
    if body.get("prompt", b"").startswith(b'"'):
        return True
    return any(b'"bytes"' in body.get(name, b"") for name in ("image", "image[]"))


def decode(body: Json) -> Reply:
    """The reply of a whole answer: each image a choice, without its bytes."""
    fields = mapping(body)
    images = [mapping(item) for item in sequence(fields.get("data"))]
    size = total(decoded_bytes(item.get("b64_json")) for item in images)
    kind = string(fields.get("output_format"))
    return reply_of({**fields, "bytes": size}, _choices(images, f"image/{kind}" if kind else None), _EXTRAS)


def _choices(images: list[dict[str, Any]], mime_type: str | None) -> Iterator[Choice]:
    for index, item in enumerate(images):
        parts = (image(item.get("url"), mime_type), *leftovers(item, ("revised_prompt",)))
        yield Choice(Message("assistant", parts), index=index)


def ends(event: Event) -> bool:
    """Whether an event says that an image is whole. Another image can follow."""
    kind = kind_of(event) or ""
    return kind.endswith(".completed") or kind == "error"


def assemble(events: Iterable[Event]) -> Json:
    """The body of the whole answer; see `Dialect.assemble`. Partial images count until the whole came."""
    body: dict[str, Any] = {}
    images: list[Json] = []
    partial: list[Json] = []
    for event in events:
        kind, data = kind_of(event) or "", mapping(event.data)
        if kind == "error":
            body["error"] = error_of(event)
        elif kind.endswith((".completed", ".partial_image")):
            body |= {key: value for key, value in data.items() if key not in _OF_ONE_IMAGE}
            one = {key: data[key] for key in ("b64_json", "url") if key in data}
            if kind.endswith(".completed"):
                images.append(one)
            else:
                partial = [one]
    if images or partial:
        body["data"] = images or partial
    return body


IMAGES: Final = Dialect(
    name="images",
    operation=OPERATION,
    list_key="prompt",
    accepts=accepts,
    split=Splitter("prompt"),
    params={
        "model": (("model",),),
        "choice_count": (("n",),),
        "seed": (("seed",),),
        "stream": (("stream",),),
    },
    decode=decode,
    assemble=assemble,
    message=prompt,
    ends=ends,
)
