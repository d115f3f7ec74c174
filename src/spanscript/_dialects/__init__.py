"""
The wire APIs: a table of (path → dialect), one pure module per wire API.

A path alone does not make a call: `Dialect.accepts` has the last word, by the body.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote

from msgspec import Struct

from spanscript._dialects.chat_completions import CHAT_COMPLETIONS
from spanscript._dialects.cohere_chat import COHERE_CHAT
from spanscript._dialects.cohere_embed import COHERE_EMBED
from spanscript._dialects.cohere_v1 import COHERE_CHAT_V1, COHERE_GENERATE
from spanscript._dialects.complete import COMPLETE
from spanscript._dialects.completions import COMPLETIONS, FIM_COMPLETIONS
from spanscript._dialects.converse import CONVERSE
from spanscript._dialects.embed_content import EMBED_CONTENT
from spanscript._dialects.embeddings import EMBEDDINGS
from spanscript._dialects.generate_content import GENERATE_CONTENT
from spanscript._dialects.image_predictions import IMAGE_PREDICTIONS
from spanscript._dialects.images import IMAGES
from spanscript._dialects.interactions import INTERACTIONS
from spanscript._dialects.invoke_embed import INVOKE_EMBED
from spanscript._dialects.invoke_image import INVOKE_IMAGE
from spanscript._dialects.invoke_model import INVOKED
from spanscript._dialects.invoke_text import INVOKE_TEXT
from spanscript._dialects.messages import MESSAGES
from spanscript._dialects.moderations import MODERATIONS
from spanscript._dialects.ollama import OLLAMA_CHAT, OLLAMA_EMBED, OLLAMA_GENERATE
from spanscript._dialects.rerank import RERANK
from spanscript._dialects.responses import RESPONSES
from spanscript._dialects.speech import SPEECH
from spanscript._dialects.transcriptions import TRANSCRIPTIONS
from spanscript._exchange import Dialect, Json
from spanscript._json import loads, members

DIALECTS: Final[Mapping[str, Dialect]] = {
    dialect.name: dialect
    for dialect in (
        CHAT_COMPLETIONS,
        RESPONSES,
        COMPLETIONS,
        FIM_COMPLETIONS,
        EMBEDDINGS,
        MESSAGES,
        CONVERSE,
        INVOKE_TEXT,
        INVOKE_EMBED,
        INVOKE_IMAGE,
        GENERATE_CONTENT,
        EMBED_CONTENT,
        INTERACTIONS,
        IMAGES,
        IMAGE_PREDICTIONS,
        SPEECH,
        TRANSCRIPTIONS,
        MODERATIONS,
        COMPLETE,
        COHERE_CHAT,
        COHERE_CHAT_V1,
        COHERE_GENERATE,
        COHERE_EMBED,
        RERANK,
        OLLAMA_CHAT,
        OLLAMA_GENERATE,
        OLLAMA_EMBED,
    )
}
"""Every dialect by its name."""


METHOD: Final = "POST"
"""Of every request for a model's answer."""


class Match(Struct, frozen=True):
    """
    What a path says of a request.

    Attributes:
        dialects: The wire APIs that have such paths, the likeliest first; the body decides.
        model: The model, if the path names it (on Azure, the deployment); the body's own word goes first.
        stream: Whether a stream is asked for, if the path tells or the wire API has it so unless told.
    """

    dialects: tuple[Dialect, ...]
    model: str | None = None
    stream: bool | None = None

    @property
    def operation(self) -> str:
        """`gen_ai.operation.name`, as far as the path tells."""
        return self.dialects[0].operation


class Route(Struct, frozen=True):
    """
    Paths that end alike.

    Attributes:
        dialects: See `Match`.
        head: What the path before its last segment must have in it; its group is the model.
        stream: See `Match`.
    """

    dialects: tuple[Dialect, ...]
    head: re.Pattern[str] | None = None
    stream: bool | None = None


def find(method: str, path: str) -> Match | None:
    """
    Find the dialects of a request by its URL.

    Args:
        method: The HTTP method, in upper case.
        path: The URL's path as it stands there, without query.

    Returns:
        `None` for what is no request for a model's answer. Costs well under a microsecond then.
    """
    if method != METHOD:
        return None
    if path.endswith("/"):
        path = path.rstrip("/")
    head, _, last = path.rpartition("/")
    if ":" in last:  # Google's paths: …/models/NAME:verb
        name, _, last = last.rpartition(":")
        head = f"{head}/{name}:"
    for route in _ROUTES.get(last, ()):
        found = route.head.search(head) if route.head is not None else None
        if found is not None or route.head is None:
            model = unquote(found[1]) if found is not None and found.re.groups else None
            return Match(route.dialects, model, route.stream)
    return None


def read_params(dialect: Dialect, body: Mapping[str, bytes]) -> dict[str, Json]:
    """
    Read the parameters of a request under their neutral names, and decode nothing else of it.

    Args:
        dialect: Says where they stand.
        body: The body's keys and raw values.

    Returns:
        Those that are there and not null.
    """
    found: dict[str, Json] = {}
    for name, paths in dialect.params.items():
        for path in paths:
            value = _value_at(body, path)
            if value is not None:
                found[name] = value
                break
    return found


def _value_at(body: Mapping[str, bytes], path: tuple[str, ...]) -> Json:
    raw = body.get(path[0])
    for key in path[1:]:
        raw = members(raw).get(key) if raw is not None and raw.startswith(b"{") else None
    return None if raw is None else loads(raw)


def _route(*dialects: Dialect, head: str | None = None, stream: bool | None = None) -> Route:
    return Route(dialects, re.compile(head) if head else None, stream)


def _below(folder: str, dialect: Dialect) -> tuple[Route, ...]:
    return _route(dialect, head=f"{_DEPLOYMENT}/{folder}$"), _route(dialect, head=f"/{folder}$")


_DEPLOYMENT: Final = r"/openai/deployments/([^/]+)"
_IMAGEN: Final = r"/models/(imag[^/]+):$"
_BEDROCK: Final = r"/model/([^/]+)$"
_ON_VERTEX: Final = r"/publishers/anthropic/models/([^/]+):$"
_MISTRALS_ON_VERTEX: Final = r"/publishers/mistralai/models/([^/]+):$"
_ON_DATABRICKS: Final = r"/serving-endpoints/([^/]+)$"
_GOOGLE: Final = r"/(?:models/|(?=tunedModels/|endpoints/))((?:tunedModels/|endpoints/)?[^/]+):$"
_VERSION: Final = r"^(?:.*/)?v\d\w*(?:/projects/[^/]+/locations/[^/]+)?$"
_GOOGLES_ON_VERTEX: Final = r"/publishers/google/models/([^/]+):$"
_OLLAMA: Final = r"/api$"

_ROUTES: Final[Mapping[str, tuple[Route, ...]]] = {
    "completions": (
        _route(CHAT_COMPLETIONS, head=_DEPLOYMENT + "/chat$"),
        _route(CHAT_COMPLETIONS, head="/chat$"),
        _route(CHAT_COMPLETIONS, head="/agents$"),
        _route(FIM_COMPLETIONS, head="/fim$"),
        _route(COMPLETIONS, head=_DEPLOYMENT + "$"),
        _route(COMPLETIONS),
    ),
    "responses": (_route(RESPONSES, head=_DEPLOYMENT + "$"), _route(RESPONSES)),
    "compact": (_route(RESPONSES, head="/responses$"),),
    "complete": (_route(COMPLETE),),
    "generations": _below("images", IMAGES),
    "edits": _below("images", IMAGES),
    "variations": _below("images", IMAGES),
    "speech": _below("audio", SPEECH),
    "transcriptions": _below("audio", TRANSCRIPTIONS),
    "translations": _below("audio", TRANSCRIPTIONS),
    "moderations": (_route(MODERATIONS),),
    "embeddings": (
        _route(EMBEDDINGS, head=_DEPLOYMENT + "$"),
        _route(EMBEDDINGS, OLLAMA_EMBED, head=_OLLAMA),
        _route(EMBEDDINGS),
    ),
    "chat": (
        _route(COHERE_CHAT, head="/v2$"),
        _route(COHERE_CHAT_V1, head="/v1$"),
        _route(OLLAMA_CHAT, head=_OLLAMA, stream=True),
    ),
    "generate": (
        _route(COHERE_GENERATE, head="/v1$"),
        _route(OLLAMA_GENERATE, head=_OLLAMA, stream=True),
    ),
    "embed": (_route(COHERE_EMBED, head="/v[12]$"), _route(OLLAMA_EMBED, head=_OLLAMA)),
    "rerank": (_route(RERANK),),
    "messages": (_route(MESSAGES),),
    "rawPredict": (
        _route(MESSAGES, head=_ON_VERTEX, stream=False),
        _route(CHAT_COMPLETIONS, FIM_COMPLETIONS, head=_MISTRALS_ON_VERTEX, stream=False),
    ),
    "streamRawPredict": (
        _route(MESSAGES, head=_ON_VERTEX, stream=True),
        _route(CHAT_COMPLETIONS, FIM_COMPLETIONS, head=_MISTRALS_ON_VERTEX, stream=True),
    ),
    "invocations": (_route(CHAT_COMPLETIONS, COMPLETIONS, EMBEDDINGS, head=_ON_DATABRICKS),),
    "generateContent": (_route(GENERATE_CONTENT, head=_GOOGLE, stream=False),),
    "streamGenerateContent": (_route(GENERATE_CONTENT, head=_GOOGLE, stream=True),),
    "embedContent": (_route(EMBED_CONTENT, head=_GOOGLE),),
    "batchEmbedContents": (_route(EMBED_CONTENT, head=_GOOGLE),),
    "interactions": (_route(INTERACTIONS, head=_VERSION),),
    "predict": (
        _route(IMAGE_PREDICTIONS, head=_IMAGEN),
        _route(EMBED_CONTENT, head=_GOOGLES_ON_VERTEX),
    ),
    "converse": (_route(CONVERSE, head=_BEDROCK, stream=False),),
    "converse-stream": (_route(CONVERSE, head=_BEDROCK, stream=True),),
    "invoke": (_route(*INVOKED, head=_BEDROCK, stream=False),),
    "invoke-with-response-stream": (_route(*INVOKED, head=_BEDROCK, stream=True),),
}
"""Last segment of a path (or what follows its colon) → its routes; the first whose head is there counts."""
