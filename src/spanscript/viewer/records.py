"""
What the page shows, as plain records: messages, prompts, tools, requests and answers.

Every text in a record is cleaned here, as a terminal's is: control characters and marks that turn the
direction of writing stand as visible escapes. JSON texts are cleaned by JSON's own escapes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from spanscript import _json
from spanscript._exchange import Json, Media, Other, Part, Refusal, Text, Thinking, ToolCall, ToolResult
from spanscript._shapes import mapping, sequence, string
from spanscript._text import brief_json, clean, clean_json
from spanscript.transcript import resolve
from spanscript.transcript.lines import Entry
from spanscript.transcript.messages import message_of, place_of

Record = dict[str, Json]

TEXT_LIMIT: Final = 1024 * 1024
"""Characters of one text that are shown; `spanscript replay` gives the rest."""

_IMAGES: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_IMAGE_LIMIT: Final = 4 * 1024 * 1024
"""Characters of base64 of one image."""

_BODIES: Final = ("body", "body_text", "body_base64")
_SENT: Final = (
    *("max_tokens", "temperature", "tool_choice", "tool_format", "rate_limit_wait_ms"),
    *("prompt_chars", "body_bytes", "masked", "summary"),
)
_CAME: Final = ("model", "response_id", "request_id", "extras", "truncated", "empty")


def message(entry: Entry, raw: Entry, dialect: str | None) -> Record:
    """
    A message.

    Args:
        entry: It, with blobs back in their places if they are to be seen.
        raw: It, as it stands in its line.
        dialect: What it was sent in.
    """
    text = resolve.message_text(raw.raw)
    found = _parsed(resolve.message_text(entry.raw))
    return {**_normalised(found, dialect), "hash": text_of(entry.get("hash")), "raw": _raw(text)}


def system_prompt(entry: Entry, dialect: str | None) -> Record:
    """A system prompt, as a message."""
    content = entry.raw["content"]
    prompt = {"role": "system", "content": _parsed(content)}
    return {**_normalised(prompt, dialect), "hash": text_of(entry.get("hash")), "raw": _raw(content)}


def tool_schemas(entry: Entry) -> Record:
    """The tools that were offered: what each is called and for."""
    raw = entry.raw["schemas"]
    schemas = _parsed(raw)
    tools = [_tool(tool) for offered in _listed(schemas) for tool in _grouped(offered)]
    return {"tools": tools, "hash": text_of(entry.get("hash")), "raw": _raw(raw)}


def request(entry: Entry) -> Record:
    """A request without its messages: parameters, and the body with references in their places."""
    body = next((entry.raw[key] for key in _BODIES if key in entry.raw), b"null")
    return {"fields": _fields(entry, _SENT), "raw": _raw(body)}


def answer(entry: Entry) -> Record:
    """What came of an attempt: one list of parts for each choice."""
    several = sequence(entry.get("choices"))
    choices = [mapping(choice) for choice in several] or [{key: entry.get(key) for key in entry.raw}]
    said: list[Json] = [list(_said(choice)) for choice in choices]
    error = entry.get("error_message")
    return {
        "choices": said,
        **({} if error is None else {"error": text_of(error)}),
        "fields": _fields(entry, _CAME),
        "raw": _line(entry),
    }


def interpretation(entry: Entry) -> Record:
    """What the app made of an answer."""
    errors = [text_of(error) for error in sequence(entry.get("tool_parse_errors"))]
    found = {"text": entry.get("prose"), "tool_calls": entry.get("tool_calls")}
    return {
        "tool_format": text_of(entry.get("tool_format")),
        "parts": list(_said(found)),
        "errors": errors,
        "raw": _line(entry),
    }


def annotation(entry: Entry) -> Record:
    """Something that the app says happened."""
    about = _fields(entry, ("timestamp", "event", "call_id"))
    return {
        **about,
        "parts": [{"kind": "other", "text": _raw(entry.raw.get("fields", b""))}],
        "raw": _line(entry),
    }


def text_of(value: Json) -> str:
    """A value as text that can be shown: clean, and not longer than `TEXT_LIMIT`."""
    try:
        text = brief_json(value)
    except RecursionError:
        text = "(nested too deeply to be shown)"
    return clean(_clipped(text))


def _line(entry: Entry) -> str:
    return _raw(resolve.object_text(entry.raw, resolve.COMPACT))


def _parsed(raw: bytes) -> Json:
    """The value, or the text of what cannot be parsed: nested too deeply, numbers without end."""
    try:
        return _json.loads(raw)
    except (ValueError, RecursionError):
        return raw.decode(errors="replace")


def _normalised(value: Json, dialect: str | None) -> Record:
    found = message_of(value, dialect)
    name = {"name": text_of(found.name)} if found.name else {}
    return {"role": text_of(found.role), **name, "parts": [_PARTS[type(part)](part) for part in found.parts]}


def _said(choice: Mapping[str, Json]) -> Iterator[Json]:
    """The parts of an answer: in their order where that is told, else in the usual one."""
    parts = sequence(choice.get("parts"))
    if parts:
        yield from (_from_line(mapping(part)) for part in parts)
        return
    for kind in ("thinking", "text", "refusal"):
        text = string(choice.get(kind))
        if text is not None:
            yield {"kind": kind, "text": text_of(text)}
    for call in sequence(choice.get("tool_calls")):
        yield _from_line({"type": "tool_call", **mapping(call)})


def _from_line(part: Mapping[str, Json]) -> Json:
    kind = string(part.get("type"))
    if kind in {"text", "thinking", "refusal"}:
        return {"kind": kind, "text": text_of(part.get("text"))}
    if kind == "tool_call":
        return _call(part.get("name"), part.get("id"), part.get("arguments"))
    if kind == "tool_result":
        return _PARTS[ToolResult](ToolResult(string(part.get("id")) or "", part.get("result")))
    return {"kind": "other", "text": text_of(dict(part))}


def _call(name: Json, call_id: Json, arguments: Json) -> Record:
    return {
        "kind": "call",
        "name": text_of(name or "?"),
        "id": text_of(call_id or ""),
        "text": "" if arguments is None else text_of(arguments),
    }


def _media(part: Media) -> Record:
    where = string(part.uri) or string(part.file_id) or place_of(string(part.data))
    about = f"{part.modality} {part.mime_type or ''} {where[:200]}".replace("  ", " ")
    source = _source(part)
    return {"kind": "media", "text": text_of(about)} | ({} if source is None else {"src": source})


def _source(part: Media) -> str | None:
    """A data URL of an image that may be shown; never an address."""
    data = string(part.data) or ""
    if part.mime_type not in _IMAGES or not 0 < len(data) <= _IMAGE_LIMIT:
        return None
    is_base64 = data.isascii() and data.rstrip("=").replace("+", "").replace("/", "").isalnum()
    return f"data:{part.mime_type};base64,{data}" if is_base64 else None


_PARTS: Final[Mapping[type[Part], Callable[[Any], Record]]] = {
    Text: lambda part: {"kind": "text", "text": text_of(part.text)},
    Thinking: lambda part: {"kind": "thinking", "text": text_of(part.text)},
    ToolCall: lambda part: _call(part.name, part.id, part.arguments),
    ToolResult: lambda part: {"kind": "result", "id": text_of(part.id or ""), "text": text_of(part.result)},
    Media: _media,
    Refusal: lambda part: {"kind": "refusal", "text": text_of(part.text)},
    Other: lambda part: {"kind": "other", "text": text_of(part.value)},
}


def _listed(value: Json) -> list[Json]:
    return value if isinstance(value, list) else [value]


def _grouped(offered: Json) -> list[Json]:
    """Google's API groups its tools."""
    return sequence(mapping(offered).get("functionDeclarations")) or [offered]


def _tool(tool: Json) -> Record:
    """Name and description of a tool, as the dialects write it."""
    own = mapping(tool)
    inner = mapping(own.get("function")) or mapping(own.get("toolSpec")) or own
    name = string(inner.get("name")) or string(own.get("type"))
    return {"name": text_of(name or tool), "text": text_of(inner.get("description") or "")}


def _fields(entry: Entry, names: tuple[str, ...]) -> Record:
    found = {name: entry.get(name) for name in names}
    return {name: text_of(value) for name, value in found.items() if value is not None}


def _raw(raw: bytes) -> str:
    return clean_json(_clipped(raw.decode(errors="replace")))


def _clipped(text: str) -> str:
    more = len(text) - TEXT_LIMIT
    return f"{text[:TEXT_LIMIT]}… ({more} characters more)" if more > 0 else text
