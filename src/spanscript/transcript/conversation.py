"""
The hash chain: which parts of a request are new to a file, and what they are called there.

A message's hash covers its parent's, so a message that is known in a file is known with all that was
said before it. No I/O.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Sequence
from hashlib import sha256
from typing import Final, Generic, TypeAlias, TypeVar

import msgspec

from spanscript import _json
from spanscript._exchange import Json, Request, Split
from spanscript.transcript import entries
from spanscript.transcript.entries import Entry, References, SpanIds

CACHE_BYTES: Final = 16 * 1024 * 1024
"""How much raw JSON is kept, so that a history that is sent again need not be hashed again."""

KNOWN_HASHES: Final = 32_768
"""How many hashes are remembered as written; a forgotten one is written again."""

_WHITE_SPACE: Final = b" \t\r\n"
_OVERHEAD: Final = 256
"""About what a cached hash takes beside the raw JSON."""

Make: TypeAlias = Callable[["Conversation"], Sequence[Entry]]
"""Gives an event's entries, for the file that the conversation speaks of."""

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


def request_entries(request: Request, ids: SpanIds | None) -> Make:
    """The entries of a request: what it carries that is new to the file, then the request itself."""
    body_sha256 = sha256(request.content).hexdigest()
    return lambda conversation: conversation.of_request(request, body_sha256, ids)


class Recent(Generic[_Key, _Value]):
    """A mapping bounded in size: when full, what was not used for longest (about half) is forgotten."""

    def __init__(self, limit: int) -> None:
        self._half = limit // 2
        self._size = 0
        self._young: dict[_Key, tuple[_Value, int]] = {}
        self._old: dict[_Key, tuple[_Value, int]] = {}

    def get(self, key: _Key) -> _Value | None:
        """The value, or `None`."""
        found = self._young.get(key)
        if found is None:
            found = self._old.get(key)
            if found is None:
                return None
            self.put(key, *found)
        return found[0]

    def put(self, key: _Key, value: _Value, size: int = 1) -> None:
        """Remember; a single thing beyond the limit is kept until the next."""
        self._young[key] = (value, size)
        self._size += size
        if self._size > self._half:
            self._old, self._young, self._size = self._young, {}, 0


class Conversation:
    """What one writer has written to one file. `commit` or `roll_back` follows each event."""

    def __init__(self) -> None:
        self._hashes: Recent[tuple[str, bytes], tuple[str, bool]] = Recent(CACHE_BYTES)
        self._spellings: Recent[str, int | None] = Recent(KNOWN_HASHES)
        self._known: Recent[tuple[str, str], bool] = Recent(KNOWN_HASHES)
        self._new: list[tuple[str, str]] = []

    def of_request(self, request: Request, body_sha256: str, ids: SpanIds | None) -> list[Entry]:
        """
        The entries of a request, the new parts first.

        A body that is no JSON, that not every JSON reader takes (`NaN`, text that is not UTF-8), or that
        is too deep to be hashed, stands whole in its line.
        """
        if request.split is not None:
            try:
                stage = self._entered(request, ids)
                return stage + self._of_split(request, request.split, body_sha256, ids, anew=bool(stage))
            except (ValueError, RecursionError):
                self.roll_back()
        return [*self._entered(request, ids), entries.unsplit_request(request, body_sha256, ids)]

    def commit(self) -> None:
        """The last event's entries are in the file."""
        for key in self._new:
            self._known.put(key, value=True)
        self._new.clear()

    def roll_back(self) -> None:
        """They are not, or not all."""
        for _, digest in self._new:
            self._spellings.put(digest, None)
        self._hashes = Recent(CACHE_BYTES)
        self._new.clear()

    def _entered(self, request: Request, ids: SpanIds | None) -> list[Entry]:
        """That the app has entered the stage of *request*, if this is the first one there."""
        if request.stage is None or not self._is_new("stage", str(request.stage_number)):
            return []
        return [entries.stage(request, ids)]

    def _of_split(
        self, request: Request, split: Split, body_sha256: str, ids: SpanIds | None, *, anew: bool
    ) -> list[Entry]:
        _loads_strictly(split.skeleton)
        found: list[Entry] = []
        system = tools = None
        chain, respelled = self._chain(split.items)
        if split.system is not None:
            system, other = self._hash("", split.system)
            respelled |= other
            if self._is_new("system_prompt", system) or anew:
                found.append(entries.system_prompt(split.system, system, request, ids))
        if split.tools is not None:
            tools, other = self._hash("", split.tools)
            respelled |= other
            if self._is_new("tool_schemas", tools) or anew:
                found.append(entries.tool_schemas(split.tools, tools, request, ids))
        for at in range(self._known_length(chain), len(chain)):
            parent = chain[at - 1] if at else None
            self._new.append(("message", chain[at]))
            found.append(entries.message(split.items[at], chain[at], parent, request, ids))
        references = References(system, tools, chain[-1] if chain else None, respelled)
        found.append(entries.provider_call_request(request, split, references, body_sha256, ids))
        return found

    def _is_new(self, kind: str, digest: str) -> bool:
        if self._known.get((kind, digest)):
            return False
        self._new.append((kind, digest))
        return True

    def _known_length(self, chain: Sequence[str]) -> int:
        """How many messages of the chain are in the file: all up to the last one that is known."""
        for length in range(len(chain), 0, -1):
            if self._known.get(("message", chain[length - 1])):
                return length
        return 0

    def _chain(self, items: Sequence[bytes]) -> tuple[list[str], bool]:
        """The messages' hashes, and whether one of them is respelled."""
        parent = ""
        chain = []
        respelled = False
        cached = self._hashes.get
        for raw in items:
            parent, other = cached((parent, raw)) or self._hash(parent, raw)
            respelled |= other
            chain.append(parent)
        return chain, respelled

    def _hash(self, parent: str, raw: bytes) -> tuple[str, bool]:
        """
        The hash, and whether what it was first seen for says the same in other letters.

        Only that stands in the file under this hash. White space does not count: a reader tries it out.
        """
        found = self._hashes.get((parent, raw))
        if found is None:
            text = _json.maybe_canonical(raw)
            digest = _digest(_json.canonical(_loads_strictly(raw)) if text is None else text, parent)
            letters = hash(raw.translate(None, _WHITE_SPACE))
            first = self._spellings.get(digest)
            if first is None:
                self._spellings.put(digest, letters)
            found = digest, first not in (None, letters)
            self._hashes.put((parent, raw), found, len(raw) + _OVERHEAD)
        return found


def hash_of(value: Json, parent: str = "") -> str:
    """The name of a message, system prompt or tool list; 32 hex digits."""
    return _digest(_json.canonical(value), parent)


def _digest(text: bytes, parent: str) -> str:
    return sha256(parent.encode() + b"\n" + text).digest()[:16].hex()


def _loads_strictly(raw: bytes) -> Json:
    """
    Parse JSON that every reader takes.

    Raises:
        ValueError: It is none.
        RecursionError: It is nested too deeply.
    """
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return json.loads(raw.decode(), parse_constant=_refuse)


def _refuse(name: str) -> Json:
    raise ValueError(f"{name} is no JSON")
