"""openai: images, speech, transcriptions, moderations; some are sent as forms with files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from apps import SAID, App, Entered, now

from rows.row import KEY, Kind, Row, Told, loaded

_PICTURE = ("bear.png", b"\x89PNG" * 500, "image/png")
_CLIP = ("greetings.mp3", b"\xff\xfb\x90d" * 5000, "audio/mpeg")
_IMAGE = {"model": "gpt-image-1", "prompt": SAID}
_SPEECH = {"model": "tts-1", "voice": "alloy", "input": SAID, "instructions": "Slowly."}
_TRANSCRIPTION = {"model": "gpt-4o-transcribe", "file": _CLIP, "prompt": SAID, "temperature": 0.5}
_TWO = {"stream": True, "partial_images": 3, "n": 2}
_EVENTS = {"stream": True, "partial_images": 12}
_UNSEEN = frozenset({"whole_truncated"})
"""Half of an answer that is no JSON cannot be told from the whole."""

_COUNTLESS = frozenset({"truncated", "gzip_truncated"})
"""Of images that are whole none tells whether another should have come."""

Ask = Callable[[App, Any], Any]


def _create(app: App) -> Any:
    client = app.named(loaded("openai"), "OpenAI")
    return client(base_url=app.provider.openai_url, api_key=KEY, **app.options)


def _at(client: Any, path: str) -> Any:
    for name in path.split("."):
        client = getattr(client, name)
    return client


async def _whole(path: str, body: dict[str, Any], app: App, client: Any) -> None:
    answer = await now(_at(client, path)(**body))
    app.see(answer.content if hasattr(answer, "content") else answer)


async def _stream(path: str, body: dict[str, Any], app: App, client: Any) -> None:
    await app.read([await now(_at(client, path)(**body))])


async def _lazy(path: str, body: dict[str, Any], app: App, client: Any) -> None:
    async with Entered(_at(client, path)(**body)) as answer:
        app.see(answer)
        app.see(await now(answer.read()))


async def _lines(path: str, body: dict[str, Any], app: App, client: Any) -> None:
    async with Entered(_at(client, path)(**body)) as answer:
        app.see(answer)
        await app.read([answer], lambda answer: answer.iter_lines())


def _rows(
    dialect: str, operation: str, *asks: tuple[str, Ask, Kind], skips: frozenset[str] = frozenset()
) -> Iterator[Row]:
    for name, ask, kind in asks:
        model = ask.args[1]["model"]  # type: ignore[attr-defined]
        yield Row(
            name=f"openai-{name}",
            client="openai",
            api=Told(dialect, "openai", model, operation),
            create=_create,
            ask=ask,
            kind=kind,
            retries=True,
            skips=skips,
        )


_EDIT = {**_IMAGE, "image": [_PICTURE, _PICTURE]}
_LAZILY = "audio.speech.with_streaming_response.create"
_WRITTEN = "audio.transcriptions.create"

ROWS = (
    *_rows(
        "images",
        "image_generation",
        ("images-whole", partial(_whole, "images.generate", {**_IMAGE, "n": 2}), "whole"),
        ("images-stream", partial(_stream, "images.generate", {**_IMAGE, **_EVENTS}), "stream"),
        ("images-edit", partial(_whole, "images.edit", _EDIT), "whole"),
        ("images-edit-stream", partial(_stream, "images.edit", {**_EDIT, **_EVENTS}), "stream"),
    ),
    *_rows(
        "images",
        "image_generation",
        ("images-stream-two", partial(_stream, "images.generate", {**_IMAGE, **_TWO}), "stream"),
        skips=_COUNTLESS,
    ),
    *_rows(
        "speech",
        "speech_generation",
        ("speech-whole", partial(_whole, "audio.speech.create", _SPEECH), "whole"),
        ("speech-lazy", partial(_lazy, _LAZILY, _SPEECH), "lazy"),
        ("speech-lazy_stream", partial(_lines, _LAZILY, {**_SPEECH, "stream_format": "sse"}), "stream"),
        skips=_UNSEEN,
    ),
    *_rows(
        "transcriptions",
        "transcription",
        ("transcriptions-whole", partial(_whole, _WRITTEN, _TRANSCRIPTION), "whole"),
        ("transcriptions-stream", partial(_stream, _WRITTEN, {**_TRANSCRIPTION, "stream": True}), "stream"),
        ("translations-whole", partial(_whole, "audio.translations.create", _TRANSCRIPTION), "whole"),
    ),
    *_rows(
        "transcriptions",
        "transcription",
        (
            "transcriptions-text",
            partial(_whole, _WRITTEN, {**_TRANSCRIPTION, "response_format": "text"}),
            "whole",
        ),
        skips=_UNSEEN,
    ),
    *_rows(
        "moderations",
        "moderation",
        (
            "moderations-whole",
            partial(_whole, "moderations.create", {"model": "omni", "input": [SAID, "x"]}),
            "whole",
        ),
    ),
)
