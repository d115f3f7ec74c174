"""google-genai: contents, chats, embeddings, interactions; with a key, and on Vertex AI."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from importlib import metadata
from itertools import product
from typing import Any

from apps import COLOURS, HTTP_TIMEOUT, SAID, App, now

from rows.row import KEY, Row, Told, loaded, method

MODEL = "gemini-2.5-flash"
_RELEASE = next((int(d.version.split(".")[0]) for d in metadata.distributions(name="google-genai")), 0)
_CONFIG = {"system_instruction": "Be brief.", "temperature": 0.2}


class _Client:
    """A client in the colour of the app; the whole one must live as long."""

    def __init__(self, app: App, **options: Any) -> None:
        genai = loaded("google.genai")
        milliseconds = round(1000 * (app.fault.timeout or HTTP_TIMEOUT))
        http = {"base_url": app.provider.url, "timeout": milliseconds, **options.pop("http")(app)}
        self._whole = genai.Client(http_options=http, **options)
        self.coloured = self._whole.aio if app.colour == "async" else self._whole

    async def aclose(self) -> None:
        coloured = self.coloured
        await now((coloured.aclose if hasattr(coloured, "aclose") else coloured.close)())


def _tries(app: App) -> dict[str, Any]:
    """Counted with the first, quick."""
    return {"retry_options": {"attempts": 1 + app.fault.retries, "initial_delay": 0.001, "max_delay": 0.002}}


def _tries_of_interactions(app: App) -> dict[str, Any]:
    """They heed the server's wait. Before release 3 their count was without the first."""
    counted = 1 if _RELEASE >= 3 else 0
    return {"retry_options": {"attempts": counted + app.fault.retries}}


def _gemini(app: App) -> _Client:
    return _Client(app, api_key=KEY, http=_tries)


def _interactions(app: App) -> _Client:
    return _Client(app, api_key=KEY, http=_tries_of_interactions)


def _vertex_by_key(app: App) -> _Client:
    return _Client(app, vertexai=True, api_key=KEY, http=_tries)


def _vertex(app: App) -> _Client:
    credentials = loaded("google.oauth2.credentials").Credentials(token=KEY)
    return _Client(app, vertexai=True, project="p", location="global", credentials=credentials, http=_tries)


async def _whole(ask: Callable[[Any], Any], app: App, client: _Client) -> None:
    app.see(await now(ask(client.coloured)))


async def _stream(ask: Callable[[Any], Any], app: App, client: _Client) -> None:
    await app.read([await now(ask(client.coloured))])


def _content(client: Any) -> Any:
    return client.models.generate_content(model=MODEL, contents=SAID, config=_CONFIG)


def _content_stream(client: Any) -> Any:
    return client.models.generate_content_stream(model=MODEL, contents=SAID, config=_CONFIG)


def _chat(client: Any) -> Any:
    return client.chats.create(model=MODEL).send_message(SAID)


async def _chat_stream(client: Any) -> Any:
    return await now(client.chats.create(model=MODEL).send_message_stream(SAID))


def _embed(client: Any) -> Any:
    config = {"output_dimensionality": 4}
    return client.models.embed_content(model="gemini-embedding-001", contents=[SAID, "two"], config=config)


def _interact(client: Any, **more: Any) -> Any:
    return method(client, "interactions").create(
        model=MODEL, input=SAID, system_instruction="Be brief.", **more
    )


_told = partial(Told, "generate_content", model=MODEL, operation="generate_content")
_gemini_told = _told("gcp.gemini")
_vertex_told = _told("gcp.vertex_ai")
_embedded_told = Told("embed_content", "gcp.gemini", "gemini-embedding-001", "embeddings")
_interacted_told = Told("interactions", "gcp.gemini", MODEL)


_CASES = (
    ("content", _gemini_told, _gemini, _content, "whole"),
    ("content-stream", _gemini_told, _gemini, _content_stream, "stream"),
    ("chat", _gemini_told, _gemini, _chat, "whole"),
    ("chat-stream", _gemini_told, _gemini, _chat_stream, "stream"),
    ("embed", _embedded_told, _gemini, _embed, "whole"),
    ("vertex", _vertex_told, _vertex, _content, "whole"),
    ("vertex-stream", _vertex_told, _vertex, _content_stream, "stream"),
    ("vertex-key", _vertex_told, _vertex_by_key, _content, "whole"),
    ("interaction", _interacted_told, _interactions, _interact, "whole"),
    ("interaction-stream", _interacted_told, _interactions, partial(_interact, stream=True), "stream"),
)


def _again(colour: str, create: Any) -> frozenset[str]:
    """By httpx or, async, by aiohttp: not every exception of theirs. What interactions raise they rename."""
    if create is _interactions:
        return frozenset({"reset", "cut", "timeout", "unreachable"} if _RELEASE < 2 else ())
    return frozenset({"timeout" if colour == "sync" else "reset", "unreachable"})


def _skipped(colour: str, kind: str, create: Any) -> Iterator[str]:
    """Faults that have another meaning for these."""
    if create is _interactions:
        # No tries cannot be asked for: 0 is made 1.
        yield from ("reset", "whole_cut") if _RELEASE < 2 else ()
        # A streamed error is read, and events are, when their function has returned.
        yield from ("exhausted", "malformed") if kind == "stream" else ()
        return
    if kind == "stream":
        yield "never_read"  # asks nothing
    if kind == "stream" and colour == "async":
        # Of aiohttp as much is taken as has come: often all.
        yield from ("break", "close", "malformed", "stream_badframe")
    if colour == "async" and _RELEASE < 2:
        # It is tried again once, unasked, after seconds.
        yield from ("reset", "reset_then_ok", "reset_always", "unreachable")


def _rows() -> Iterator[Row]:
    for (name, api, create, ask, kind), colour in product(_CASES, COLOURS):
        yield Row(
            name=f"google-{name}",
            client="google-genai",
            api=api,
            create=create,
            ask=partial(_stream if kind == "stream" else _whole, ask),
            kind=kind,
            colours=(colour,),
            retries=True,
            again=_again(colour, create),
            skips=frozenset(_skipped(colour, kind, create)),
        )


ROWS = tuple(_rows())
