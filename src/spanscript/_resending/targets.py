"""
Where a recorded request is sent to, and with which key. Pure.

A transcript was written by others. So nothing of an address, a header or a key is taken from it: it names
a provider and a dialect, both of which are looked up here. A provider's key goes to that provider's own
host, over TLS, and nowhere else; to another host goes the key that is named on the command line, or none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlsplit

from msgspec import Struct

from spanscript._providers import provider_of_host
from spanscript.transcript.lines import TranscriptError

_BEARER: Final = "Authorization"
"""The header of a key that comes after the word Bearer."""


class Known(Struct, frozen=True):
    """
    A provider whose address is known.

    Attributes:
        base_url: What stands before the path of `_PATHS`; `None` if each customer has another one.
        key: The environment variable of its key, as its own SDK has it.
        header: The header that the key goes in.
    """

    base_url: str | None
    key: str
    header: str = _BEARER


PROVIDERS: Final[Mapping[str, Known]] = {
    "openai": Known("https://api.openai.com/v1", "OPENAI_API_KEY"),
    "anthropic": Known("https://api.anthropic.com", "ANTHROPIC_API_KEY", "x-api-key"),
    "gcp.gemini": Known(
        "https://generativelanguage.googleapis.com/v1beta", "GEMINI_API_KEY", "x-goog-api-key"
    ),
    "cohere": Known("https://api.cohere.com", "CO_API_KEY"),
    "mistral_ai": Known("https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
    "groq": Known("https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    "deepseek": Known("https://api.deepseek.com", "DEEPSEEK_API_KEY"),
    "x_ai": Known("https://api.x.ai/v1", "XAI_API_KEY"),
    "together": Known("https://api.together.xyz/v1", "TOGETHER_API_KEY"),
    "fireworks": Known("https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY"),
    "openrouter": Known("https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    "perplexity": Known("https://api.perplexity.ai", "PERPLEXITY_API_KEY"),
    "cerebras": Known("https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"),
    "huggingface": Known("https://router.huggingface.co/v1", "HF_TOKEN"),
    "ollama": Known("http://127.0.0.1:11434", "OLLAMA_API_KEY"),
    "azure.ai.openai": Known(None, "AZURE_OPENAI_API_KEY", "api-key"),
}
"""`gen_ai.provider.name` → where it is and what its key is called."""

_PATHS: Final[Mapping[str, str]] = {
    "chat_completions": "/chat/completions",
    "responses": "/responses",
    "completions": "/completions",
    "fim_completions": "/fim/completions",
    "embeddings": "/embeddings",
    "moderations": "/moderations",
    "messages": "/v1/messages",
    "complete": "/v1/complete",
    "generate_content": "/models/{model}:generateContent",
    "cohere_chat": "/v2/chat",
    "cohere_chat_v1": "/v1/chat",
    "cohere_generate": "/v1/generate",
    "ollama_chat": "/api/chat",
    "ollama_generate": "/api/generate",
}
"""Dialect → path; what is not here needs more than a body and a key, or has no one path."""

_STREAM_PATHS: Final[Mapping[str, str]] = {
    "generate_content": "/models/{model}:streamGenerateContent?alt=sse",
}
"""Likewise, for a streamed answer, where that has a path of its own."""

_HEADERS: Final[Mapping[str, Mapping[str, str]]] = {
    "messages": {"anthropic-version": "2023-06-01"},
    "complete": {"anthropic-version": "2023-06-01"},
}
"""Dialect → headers that a request must have beside its key."""

_KEY_HEADERS: Final[Mapping[str, str]] = {
    "messages": "x-api-key",
    "complete": "x-api-key",
    "generate_content": "x-goog-api-key",
}
"""Dialect → the header of the key, where the host does not tell it."""

_OWN_FOLDERS: Final = ("tunedModels/", "models/")
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class Wanted(Struct, frozen=True):
    """What the transcript says of a request, and what the command line says instead."""

    provider: str
    dialect: str
    model: str | None
    stream: bool
    base_url: str | None = None
    key_env: str | None = None


class Target(Struct, frozen=True):
    """
    Where a request goes.

    Attributes:
        url: The whole address.
        host: Its host.
        headers: All that it needs but for its length; the key among them.
        is_local: Whether it stays on this machine.
    """

    url: str
    host: str
    headers: Mapping[str, str]
    is_local: bool


def target(wanted: Wanted, environment: Mapping[str, str]) -> Target:
    """
    Find out where a request goes.

    Raises:
        TranscriptError: That is not known, not safe, or a key is missing.
    """
    path = _path(wanted)
    base_url = wanted.base_url or _base_url_of(wanted.provider)
    host, is_plain = _checked(base_url)
    is_local = host in _LOOPBACK
    name = _key_name(wanted, host, is_plain=is_plain)
    headers = {"Content-Type": "application/json", **_HEADERS.get(wanted.dialect, {})}
    if name is not None:
        if is_plain and not is_local:
            raise TranscriptError(f"{base_url} is not encrypted: no key is sent there; use https")
        headers |= _key_header(wanted, host, _key(name, environment))
    return Target(base_url.rstrip("/") + path, host, headers, is_local)


def _path(wanted: Wanted) -> str:
    path = (_STREAM_PATHS if wanted.stream else {}).get(wanted.dialect) or _PATHS.get(wanted.dialect)
    if path is None:
        can = ", ".join(_PATHS)
        raise TranscriptError(f"a request of {wanted.dialect!r} cannot be sent again; what can be is {can}")
    if "{model}" not in path:
        return path
    if not wanted.model:
        raise TranscriptError("the entry names no model, and the address needs one: give --model NAME")
    folder = next((own for own in _OWN_FOLDERS if wanted.model.startswith(own)), "")
    name = quote(wanted.model[len(folder) :], safe="")
    if not name.strip("."):
        raise TranscriptError(f"{wanted.model!r} is no name of a model")
    path = path.format(model=name)
    return path.replace("/models/", f"/{folder}", 1) if folder else path


def _base_url_of(provider: str) -> str:
    known = PROVIDERS.get(provider)
    if known is None or known.base_url is None:
        raise TranscriptError(f"no address of the provider {provider!r} is known: give --base-url URL")
    return known.base_url


def _checked(base_url: str) -> tuple[str, bool]:
    """Host, and whether it is asked in plain text."""
    try:
        parts = urlsplit(base_url)
        host = (parts.hostname or "").rstrip(".")
        is_sound = parts.scheme in {"http", "https"} and host and (parts.port or 1) > 0
    except ValueError:  # brackets that hold no address, a port that is no number
        is_sound, host, parts = False, "", urlsplit("")
    if not is_sound or not base_url.isprintable() or " " in base_url:
        raise TranscriptError(f"{base_url!r} is no web address")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise TranscriptError(
            f"{base_url!r}: no key, query or fragment may stand in it; --key-env names a key"
        )
    return host, parts.scheme == "http"


def _key_name(wanted: Wanted, host: str, *, is_plain: bool) -> str | None:
    """The variable of the key: the one that was named, else the one of the provider whose host it is."""
    if wanted.key_env is not None:
        return wanted.key_env
    owner = None if is_plain else PROVIDERS.get(provider_of_host(host) or "")
    return None if owner is None else owner.key


def _key(name: str, environment: Mapping[str, str]) -> str:
    key = environment.get(name, "").strip()
    if not key:
        raise TranscriptError(f"the environment variable {name} is not set; it should hold the key")
    if not key.isascii() or not key.isprintable():
        raise TranscriptError(f"what the environment variable {name} holds cannot stand in a header")
    return key


def _key_header(wanted: Wanted, host: str, key: str) -> dict[str, str]:
    owner = PROVIDERS.get(provider_of_host(host) or "")
    header = owner.header if owner is not None else _KEY_HEADERS.get(wanted.dialect, _BEARER)
    return {header: f"Bearer {key}" if header == _BEARER else key}
