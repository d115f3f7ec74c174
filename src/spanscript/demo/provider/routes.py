"""Which path is which wire API in which provider's manner: a table, and what the manners differ in."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from urllib.parse import unquote

from spanscript._exchange import Event, Json
from spanscript.demo.provider import (
    bedrock,
    chat_completions,
    cohere,
    completions,
    embeddings,
    google,
    interactions,
    media,
    messages,
    mistral,
    ollama,
    responses,
)
from spanscript.demo.provider.route import Api, Manner, Route, sse

_OPENAI_TYPES = {400: "invalid_request_error", 401: "authentication_error", 429: "rate_limit_error"}
_OPENAI_CODES = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}
_ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}


def _openai_error(status: int, message: str) -> Json:
    kind = _OPENAI_TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    error = {"message": message, "type": kind, "param": None, "code": _OPENAI_CODES.get(status)}
    return {"error": error}


def _anthropic_error(status: int, message: str) -> Json:
    kind = _ANTHROPIC_TYPES.get(status, "api_error")
    error = {"type": kind, "message": message}
    return {"type": "error", "error": error, "request_id": "req_loopback"}


def _responses_error(message: str, failed: bool) -> Event:
    error = {"code": "server_error", "message": message}
    if failed:
        ended = {"id": "resp_failed", "object": "response", "status": "failed", "error": error}
        kind = "response.failed"
        response: Json = ended | {"output": [], "usage": None, "model": "loopback", "created_at": 0}
        return Event({"type": kind, "sequence_number": 99, "response": response}, kind)
    return Event({"type": "error", "sequence_number": 99, "param": None, **error}, "error")


_OPENAI_HEADERS = {
    "content-type": "application/json",
    "x-request-id": "req_{serial:06d}",
    "openai-processing-ms": "12",
    "openai-version": "2020-10-01",
    "openai-organization": "org-loopback",
    "x-ratelimit-limit-requests": "10000",
    "x-ratelimit-remaining-requests": "9999",
    "x-ratelimit-reset-requests": "6ms",
    "x-ratelimit-limit-tokens": "2000000",
    "x-ratelimit-remaining-tokens": "1999000",
    "x-ratelimit-reset-tokens": "30ms",
}
_ANTHROPIC_HEADERS = {
    "content-type": "application/json",
    "request-id": "req_{serial:06d}",
    "anthropic-organization-id": "org-loopback",
    "anthropic-ratelimit-requests-limit": "4000",
    "anthropic-ratelimit-requests-remaining": "3999",
    "anthropic-ratelimit-requests-reset": "2026-01-01T00:00:00Z",
    "anthropic-ratelimit-input-tokens-limit": "2000000",
    "anthropic-ratelimit-input-tokens-remaining": "1999000",
}

OPENAI = Manner(
    error=_openai_error,
    headers=_OPENAI_HEADERS,
    error_event=lambda message, _failed: Event(_openai_error(500, message)),
    encode=sse,
)
OPENAI_RESPONSES = Manner(_openai_error, _OPENAI_HEADERS, _responses_error, sse)
AZURE = Manner(
    error=lambda status, message: {"error": {"code": str(status), "message": message}},
    headers=_OPENAI_HEADERS | {"apim-request-id": "apim-{serial:06d}", "x-ms-region": "Loopback"},
    error_event=OPENAI.error_event,
    encode=sse,
)
ANTHROPIC = Manner(
    error=_anthropic_error,
    headers=_ANTHROPIC_HEADERS,
    error_event=lambda message, _failed: Event(_anthropic_error(529, message), "error"),
    encode=sse,
)
VERTEX = Manner(
    error=google.error,
    headers=google.HEADERS,
    error_event=ANTHROPIC.error_event,
    encode=sse,
)

CHAT = Api("chat_completions", chat_completions.read, chat_completions.whole, chat_completions.events)
COMPLETIONS = Api("completions", completions.read, completions.whole, completions.events)
EMBEDDINGS = Api("embeddings", embeddings.read, embeddings.whole, None)
RESPONSES = Api("responses", responses.read, responses.whole, responses.events)
MESSAGES = Api("messages", messages.read, messages.whole, messages.events)
IMAGES = Api("images", media.read, media.images, media.image_events)
SPEECH = Api("speech", media.read, media.speech, media.speech_events)
TRANSCRIPTIONS = Api("transcriptions", media.read, media.transcription, media.transcription_events)
MODERATIONS = Api("moderations", media.read, media.moderation, None)

_ROUTES: Iterable[tuple[str, Route]] = (
    (r"/openai/deployments/(?P<model>[^/]+)/chat/completions$", Route(CHAT, AZURE)),
    (r"/openai/deployments/(?P<model>[^/]+)/completions$", Route(COMPLETIONS, AZURE)),
    (r"/openai/deployments/(?P<model>[^/]+)/embeddings$", Route(EMBEDDINGS, AZURE)),
    (r"/models/(?P<model>[^/:]+):rawPredict$", Route(MESSAGES, VERTEX, streamed=False)),
    (r"/models/(?P<model>[^/:]+):streamRawPredict$", Route(MESSAGES, VERTEX, streamed=True)),
    *bedrock.ROUTES,
    *google.ROUTES,
    *interactions.ROUTES,
    *cohere.ROUTES,
    *ollama.ROUTES,
    (r"/chat/completions$", Route(CHAT, OPENAI)),
    (r"/agents/completions$", Route(mistral.AGENTS, mistral.MISTRAL)),
    (r"/fim/completions$", Route(mistral.FIM, mistral.MISTRAL)),
    (r"/completions$", Route(COMPLETIONS, OPENAI)),
    (r"/embeddings$", Route(EMBEDDINGS, OPENAI)),
    (r"/responses$", Route(RESPONSES, OPENAI_RESPONSES)),
    (r"/openai/deployments/(?P<model>[^/]+)/images/(generations|edits)$", Route(IMAGES, AZURE)),
    (r"/images/(generations|edits|variations)$", Route(IMAGES, OPENAI)),
    (r"/audio/speech$", Route(SPEECH, OPENAI)),
    (r"/audio/(transcriptions|translations)$", Route(TRANSCRIPTIONS, OPENAI)),
    (r"/moderations$", Route(MODERATIONS, OPENAI)),
    (r"/messages$", Route(MESSAGES, ANTHROPIC)),
)


def find(target: str) -> Route | None:
    """The route of a path with its query, with the model that the path names; `None` if there is none."""
    path = target.partition("?")[0]
    for pattern, route in _ROUTES:
        match = re.search(pattern, path) or re.search(pattern, target)
        if match is not None:
            model = match.groupdict().get("model")
            named = unquote(model) if model else None
            return replace(route, model=named)
    return None
