"""Messages of a transcript, read by the dialects in which they were sent."""

from __future__ import annotations

from spanscript._blobs import FOLDER, marks
from spanscript._dialects import DIALECTS
from spanscript._exchange import Json, Message, Other


def message_of(value: Json, dialect: str | None) -> Message:
    """A message normalised by its dialect; as it is, if the dialect is unknown or cannot read it."""
    known = DIALECTS.get(dialect or "")
    try:
        if known is not None:
            return known.message(value)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        pass  # a transcript that was damaged or forged; shown as it stands
    role = value.get("role") if isinstance(value, dict) else None
    content = value.get("content", value) if isinstance(value, dict) else value
    return Message(str(role or "?"), (Other(content),))


def place_of(data: str | None) -> str:
    """What there is of base64: how much, and where it is kept if it was cut out."""
    if data is None:
        return "no data"
    kept = next(iter(marks(data.encode(errors="replace"))), None)
    if kept is None:
        return f"{len(data)} base64 characters"
    return f"{kept.size} bytes, {FOLDER}/{kept.sha256}"
