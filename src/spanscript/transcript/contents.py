"""
What a transcript names by hash (messages, system prompts, tool schemas), and request bodies from it.

Only the places are remembered; contents are read again when they are asked for, through a bounded cache.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
from collections.abc import Iterator, Mapping
from typing import Final, Literal

from msgspec import Struct

from spanscript import _json
from spanscript.transcript import resolve
from spanscript.transcript.conversation import hash_of
from spanscript.transcript.filling import Blobs
from spanscript.transcript.indexing import Indexed
from spanscript.transcript.lines import Entry, Place, StaleError, TranscriptError, read_at

BODY_LIMIT: Final = 256 * 1024 * 1024
"""Bytes that the references of one body may stand for. A forged file could repeat them at will."""

VALUES: Final[Mapping[str, str]] = {"system_prompt": "content", "tool_schemas": "schemas"}
"""Type of an entry without parent that is named by hash → the key of its value."""

_CACHE_LIMIT: Final = 32 * 1024 * 1024


class Rebuilt(Struct, frozen=True):
    """
    A request body, and what proves it.

    `exact`: it has the SHA-256 of the bytes that were sent. `respaced`: it has not, for they had spaces in
    a way of their own; equal as a JSON value. `harmed`: it has not, and spaces do not explain it.
    `masked`: it is what was sent but for `[secret]` in the place of keys. `summary`: it tells of a form that
    was sent. `unproven`: the entry has no `body_sha256`.
    """

    content: bytes
    proof: Literal["exact", "respaced", "harmed", "masked", "summary", "unproven"]


class Contents:
    """
    Entries by type and hash. The same one may stand in several places; any unharmed copy serves.

    Entries come as they stand in their lines, with marks where large base64 was.

    Attributes:
        blobs: Puts base64 back.
    """

    def __init__(self, indexed: Indexed) -> None:
        self.blobs = Blobs()
        self._indexed = indexed
        self._cache: dict[tuple[str, str, str | None], Entry] = {}
        self._cached = 0

    def holds(self, kind: str, name: str) -> bool:
        """Whether there is an entry of that type and hash."""
        return bool(self._indexed.sure(lambda: self._indexed.index.named(kind, name)))

    def get(self, kind: str, name: str, writer: str | None = None) -> Entry:
        """
        The first unharmed copy of an entry, if possible of *writer*; the first copy if all are harmed.

        Another writer's may say the same in other letters: keys in another order.

        Raises:
            TranscriptError: There is none.
        """
        key = kind, name, writer
        found = self._cache.get(key)
        if found is None:
            found = self._indexed.sure(lambda: self._find(*key))
            self._remember(key, found)
        return found

    def context(self, name: str | None, writer: str | None = None) -> list[Entry]:
        """
        The `message` entries up to the one with that hash, oldest first.

        Raises:
            TranscriptError: One is missing, or the parents run in a circle.
        """
        found: dict[str, Entry] = {}
        while name is not None:
            if name in found:
                raise TranscriptError(f"the parents of message {name} run in a circle")
            found[name] = self.get("message", name, writer)
            name = found[name].get("parent")
        return list(reversed(found.values()))

    def _find(self, kind: str, name: str, writer: str | None) -> Entry:
        places = self._indexed.index.named(kind, name)
        if not places:
            raise TranscriptError(f"{kind} {name} is missing: its line is lost or in another file")
        own = (writer or "").encode("utf-8", "surrogatepass")
        ordered = sorted(places, key=lambda place: place[1] != own)
        copies = (_named_at(place, kind, name) for place, _ in ordered)
        first = next(copies)
        if len(places) == 1 or self._is_whole(first):
            return first
        return next(filter(self._is_whole, copies), first)

    def _is_whole(self, entry: Entry) -> bool:
        try:
            return is_intact(self.blobs.fill(entry))
        except TranscriptError:
            return False

    def _remember(self, key: tuple[str, str, str | None], entry: Entry) -> None:
        if self._cached > _CACHE_LIMIT:
            self._cache.clear()
            self._cached = 0
        self._cache[key] = entry
        self._cached += sum(map(len, entry.raw.values()))


def _named_at(place: Place, kind: str, name: str) -> Entry:
    entry = read_at(*place)
    if entry.type != kind or entry.get("hash") != name:
        raise StaleError(place)
    return entry


def is_intact(entry: Entry) -> bool:
    """Whether an entry, blobs in their places, has the hash that it names itself by."""
    try:
        if entry.type == "message":
            value, parent = _json.loads(resolve.message_text(entry.raw)), entry.get("parent")
        else:
            value, parent = entry.get(VALUES[entry.type]), None
        return bool(hash_of(value, parent or "") == entry.get("hash"))
    except (ValueError, RecursionError):
        return False


def rebuild(request: Entry, contents: Contents) -> Rebuilt:
    """
    The body of a whole `provider_call_request`.

    Raises:
        TranscriptError: It has none, or refers to something that is not there.
    """
    sent = request.get("body_sha256")
    lengths: set[int] = set()
    try:
        candidates = _candidates(contents.blobs.fill(request), contents)
        plain = next(candidates)
        if sent is None:
            return Rebuilt(plain, _unproven(request))
        for content in itertools.chain((plain,), candidates):
            lengths.add(len(content))
            found = _with_hash(content, sent)
            if found is not None:
                return Rebuilt(found, "exact")
    except (ValueError, RecursionError, TranscriptError) as error:
        raise TranscriptError(f"{request.where}: the body cannot be rebuilt: {error}") from error
    # Spaces make a text longer than the shortest spelling, and hardly ever as long as another one.
    length = request.get("body_bytes") or 0
    is_respaced = resolve.has_own_layout(plain) or (length > len(plain) and length not in lengths)
    return Rebuilt(plain, "respaced" if is_respaced else "harmed")


def _unproven(request: Entry) -> Literal["masked", "summary", "unproven"]:
    if request.get("summary"):
        return "summary"
    return "masked" if request.get("masked") else "unproven"


def _with_hash(content: bytes, sent: str) -> bytes | None:
    """The content, or the content and a line feed, whichever has that SHA-256."""
    state = hashlib.sha256(content)
    if state.hexdigest() == sent:
        return content
    state.update(b"\n")
    return content + b"\n" if state.hexdigest() == sent else None


def _candidates(request: Entry, contents: Contents) -> Iterator[bytes]:
    """The body in every spelling in which it could have been sent, the likeliest first."""
    if "body" not in request.raw:
        yield _opaque(request)
        return
    if request.get("verbatim"):
        plain = request.raw["body"]
        yield plain
    else:
        spellings = (_resolved(request, contents, style) for style in resolve.STYLES)
        plain = next(spellings)
        yield plain
        yield from spellings
    yield from resolve.variants(plain)


def _opaque(request: Entry) -> bytes:
    """A body that was no JSON object."""
    text = request.get("body_text")
    if text is not None:
        return str(text).encode()
    encoded = request.get("body_base64")
    if encoded is None:
        raise TranscriptError("the entry has no `body`")
    return base64.b64decode(encoded, validate=True)


def _resolved(request: Entry, contents: Contents, style: resolve.Style) -> bytes:
    left = BODY_LIMIT

    def look_up(name: str, style: resolve.Style) -> bytes:
        nonlocal left
        found = _referenced(request, contents, name, style)
        left -= len(found)
        if left < 0:
            raise TranscriptError(f"it would be longer than {BODY_LIMIT} bytes")
        return found

    return resolve.resolve(request.raw["body"], look_up, style)


def _referenced(request: Entry, contents: Contents, name: str, style: resolve.Style) -> bytes:
    last, writer = request.get("context"), request.get("writer")
    if name == "context":
        entries = map(contents.blobs.fill, contents.context(last, writer))
        items = [resolve.message_text(entry.raw, style) for entry in entries]
        return resolve.list_text(items, style)
    if name == "message" and last is not None:
        return resolve.message_text(contents.blobs.fill(contents.get("message", last, writer)).raw, style)
    hash_ = request.get(name) if name in VALUES else None
    if hash_ is None:
        raise TranscriptError(f"it refers to {name!r}, which the entry does not name")
    return contents.blobs.fill(contents.get(name, hash_, writer)).raw[VALUES[name]]
