"""
Forms with files (`multipart/form-data`), told of in JSON.

A form is sent with megabytes of audio or images in it, which no line of a transcript should hold. So a
JSON object stands for it that dialects read like any body: texts as they are, of each file its name, its
content type and its length. Several fields of one name become an array.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from spanscript._exchange import Json
from spanscript._json import dumps, loads

CONTENT_TYPE: Final = "multipart/form-data"

_LONGEST_TEXT: Final = 64 * 1024
"""Characters of a text. A longer one is a file by another name, such as a data URL."""
_LONGEST_HEAD: Final = 16 * 1024

_NO_TEXTS: Final = frozenset(
    {"n", "output_compression", "partial_images", "seed", "speed", "stream", "temperature"}
)
"""Fields that are numbers or truth values wherever the same API takes JSON."""

_PARAMETER: Final = re.compile(rb';\s*([\w*-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;]+))')


class Field(NamedTuple):
    """
    One field of a form.

    Attributes:
        name: Its name.
        text: Its value; `None` for a file and for what is no text.
        filename, content_type: As the form says, of a file.
        size: Bytes of its content; `None` if that is not known before it is sent.
    """

    name: str
    text: str | None = None
    filename: str | None = None
    content_type: str | None = None
    size: int | None = None


def summary(fields: Iterable[Field]) -> bytes:
    """The JSON that stands for a form."""
    found: dict[str, list[Json]] = {}
    for field in fields:
        found.setdefault(field.name, []).append(_value(field))
    return dumps({name: values if len(values) > 1 else values[0] for name, values in found.items()})


def summary_of(content: bytes, content_type: str) -> bytes | None:
    """
    The JSON that stands for a form that is encoded already.

    Args:
        content: The body.
        content_type: The request's header, which says what stands between the fields.

    Returns:
        `None` if it is no form.
    """
    if not content_type.lower().startswith(CONTENT_TYPE):
        return None
    boundary = _parameters(content_type.encode("latin-1", "replace")).get("boundary")
    return summary(_fields(content, b"--" + boundary)) if boundary else None


def _fields(content: bytes, delimiter: bytes) -> Iterator[Field]:
    """The fields; contents are looked at only where they are text, and copied nowhere."""
    at = content.find(delimiter)
    while at >= 0:
        at += len(delimiter)
        following = content.find(b"\r\n" + delimiter, at)
        head_end = content.find(b"\r\n\r\n", at, at + _LONGEST_HEAD)
        if following < 0 or head_end < 0:
            return
        head = _head(content[at : min(head_end, following)])
        yield _field(head, content, min(head_end + 4, following), following)
        at = following + 2


def _field(head: dict[str, bytes], content: bytes, start: int, end: int) -> Field:
    disposition = head.get("content-disposition", b"")
    parameters = _parameters(disposition)
    name = _text(parameters.get("name", b""))
    filename, kind = parameters.get("filename"), head.get("content-type")
    if filename is None and end - start <= _LONGEST_TEXT:
        text = content[start:end]
        return Field(name, text=text.decode()) if _is_utf8(text) else Field(name, size=end - start)
    return Field(
        name,
        filename=None if filename is None else _text(filename),
        content_type=None if kind is None else _text(kind),
        size=end - start,
    )


def _head(raw: bytes) -> dict[str, bytes]:
    lines = (line.partition(b":") for line in raw.split(b"\r\n") if line)
    return {_text(name).strip().lower(): value.strip() for name, _, value in lines}


def _parameters(header: bytes) -> dict[str, bytes]:
    found = _PARAMETER.findall(header)
    return {
        _text(name).lower(): re.sub(rb'\\(["\\])', rb"\1", quoted) or bare for name, quoted, bare in found
    }


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _value(field: Field) -> Json:
    text = field.text
    if text is not None and len(text) <= _LONGEST_TEXT:
        return _converted(text) if field.name in _NO_TEXTS else text
    size = field.size if text is None else len(text.encode("utf-8", "surrogatepass"))
    about: dict[str, Any] = {"filename": field.filename, "content_type": field.content_type, "bytes": size}
    return {key: value for key, value in about.items() if value is not None}


def _converted(text: str) -> Json:
    try:
        value = loads(text.encode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, (bool, int, float)) else text
