"""Images, speech, transcriptions and moderations of OpenAI's, as the loopback provider speaks them."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from spanscript._exchange import Event, Json
from spanscript.demo.provider import policy
from spanscript.demo.provider.chat_completions import EPOCH
from spanscript.demo.provider.policy import Answer, Ask
from spanscript.demo.provider.route import Raw

_IMAGE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8
_CLIP = b"ID3\x04\x00\x00\x00\x00\x00\x00" + b"\xff\xfb\x90d" * 1024
_LOOK = {"background": "opaque", "output_format": "png", "quality": "low", "size": "1024x1024"}
_CATEGORIES = ("harassment", "hate", "self-harm", "sexual", "violence")
_PLAIN = ("text", "srt", "vtt")
_PIECE = 512


def read(body: Json) -> Ask:
    """
    What the body asks: a prompt, a text to be said or judged, or a file to be written down.

    Raises:
        KeyError: It has neither.
    """
    said = next(body[key] for key in ("input", "prompt", "image", "file") if key in body)
    text = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
    return Ask(model=body.get("model") or "loopback", prompt=text, text=text, choices=body.get("n") or 1)


def images(answer: Answer, asked: Json) -> Json:
    """The body of the answer: an image for each choice, by its URL where that is asked for."""
    by_url = asked.get("response_format") == "url"
    one = {"url": "https://images.example/1.png"} if by_url else {"b64_json": b64encode(_IMAGE).decode()}
    found = {"created": EPOCH, **_LOOK, "data": [one for _ in answer.texts]}
    return found if by_url else {**found, "usage": _usage(answer)}


def image_events(answer: Answer, asked: Json) -> Iterator[Event]:
    """The events of streamed images: of each its parts, and the whole, with the tokens so far."""
    kind = "image_edit" if "image" in asked or "image[]" in asked else "image_generation"
    count = len(answer.texts)
    for done in range(1, count + 1):
        for index in range(asked.get("partial_images") or 0):
            data = b64encode(_IMAGE[: 256 * (index + 1)]).decode()
            partial = {"b64_json": data, "partial_image_index": index, "created_at": EPOCH, **_LOOK}
            yield _named(f"{kind}.partial_image", partial)
        whole = {"b64_json": b64encode(_IMAGE).decode(), "created_at": EPOCH, **_LOOK}
        so_far = replace(answer, output_tokens=answer.output_tokens * done // count)
        yield _named(f"{kind}.completed", {**whole, "usage": _usage(so_far)})


def speech(_answer: Answer, _asked: Json) -> Raw:
    """The answer: a clip."""
    return Raw("audio/mpeg", _CLIP)


def speech_events(answer: Answer, _asked: Json) -> Iterator[Event]:
    """The events of a streamed clip."""
    for at in range(0, len(_CLIP), _PIECE):
        yield _named("speech.audio.delta", {"audio": b64encode(_CLIP[at : at + _PIECE]).decode()})
    yield _named("speech.audio.done", {"usage": _usage(answer)})


def transcription(answer: Answer, asked: Json) -> Json | Raw:
    """The body of the answer, as plain text where that is asked for."""
    if asked.get("response_format") in _PLAIN:
        return Raw("text/plain; charset=utf-8", f"{answer.text}\n".encode("utf-8", "surrogatepass"))
    return {"text": answer.text, "usage": {"type": "tokens", **_usage(answer)}}


def transcription_events(answer: Answer, _asked: Json) -> Iterator[Event]:
    """The events of a streamed transcription."""
    for word in policy.words(answer.text or ""):
        yield _named("transcript.text.delta", {"delta": word})
    done = {"text": answer.text, "usage": {"type": "tokens", **_usage(answer)}}
    yield _named("transcript.text.done", done)


def moderation(answer: Answer, asked: Json) -> Json:
    """The body of the answer: a text with a name of a category in it is flagged for that."""
    given = asked["input"]
    inputs = given if isinstance(given, list) else [given]
    results = [_judged(json.dumps(text, ensure_ascii=False)) for text in inputs]
    return {"id": f"modr-{answer.serial:06d}", "model": answer.model, "results": results}


def _judged(text: str) -> Json:
    found = {name: name in text for name in _CATEGORIES}
    scores = {name: 0.9 if is_so else 0.01 for name, is_so in found.items()}
    kinds = {name: ["text"] if is_so else [] for name, is_so in found.items()}
    return {
        "flagged": any(found.values()),
        "categories": found,
        "category_scores": scores,
        "category_applied_input_types": kinds,
    }


def _named(kind: str, fields: Json) -> Event:
    return Event({"type": kind, **fields}, kind)


def _usage(answer: Answer) -> dict[str, Any]:
    asked, made = answer.input_tokens, answer.output_tokens
    details = {"text_tokens": asked, "image_tokens": 0}
    total = asked + made
    return {
        "input_tokens": asked,
        "output_tokens": made,
        "total_tokens": total,
        "input_tokens_details": details,
    }
