"""
Copies a transcript line by line into a new directory, without what was said in it.

Hashes, sizes and proofs are made anew, so that the copy is as whole as the original was, and no more: what
was harmed or missing there is so here. Only names of what stands where are kept in memory; contents are read
again when they are needed, through a bounded cache.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import Final

from spanscript import _blobs, _json
from spanscript._anonymous import entries
from spanscript._anonymous.pseudonyms import Pseudonyms
from spanscript._anonymous.values import Values
from spanscript._blobs import FOLDER, Mark
from spanscript._exchange import Json
from spanscript._offered import declarations
from spanscript._shapes import mapping
from spanscript.transcript import resolve
from spanscript.transcript.contents import VALUES, is_intact
from spanscript.transcript.conversation import Recent, hash_of
from spanscript.transcript.exchanges import time_ns
from spanscript.transcript.filling import folder_of, has_blobs
from spanscript.transcript.lines import Entry, Problem, TranscriptError, read
from spanscript.transcript.reader import Transcript

_CACHE: Final = 32 * 1024 * 1024
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_LIVE: Final = "llm_transcript.jsonl"


class Copy:
    """
    One copying.

    Args:
        path: File or directory that is read.
        directory: The empty one that is written to.
        key: See `Pseudonyms`.
        keeps: Keys of `entries.KEEPS`.

    Attributes:
        transcript: What was read.
        lines: How many were written.
        left_out: Lines that could be read and not be copied, and why.

    Raises:
        TranscriptError: There is nothing to be read.
    """

    def __init__(self, path: str, directory: Path, key: bytes, keeps: frozenset[str]) -> None:
        self.transcript = Transcript()
        self.lines = 0
        self.left_out: list[Problem] = []
        self._path = path
        self._directory = directory
        self._pseudonyms = Pseudonyms(key)
        self._files: dict[str, None] = {}
        self._tool_names: set[str] = set()
        self._begins_ns: int | None = None
        self._look_through()
        values = Values(self._pseudonyms, self._tool_names if "tools" in keeps else (), self._new_mark)
        self._context = entries.Context(keeps, self._pseudonyms, values, self._begins_ns or 0, self._name_of)
        self._names: dict[tuple[str, str], str] = {}
        self._contents: Recent[tuple[str, int], dict[str, bytes]] = Recent(_CACHE)
        self._marks: dict[Mark, Mark] = {}
        self._seeds: dict[str, bytes] = {}

    def write(self) -> None:
        """
        Write the copy.

        Raises:
            OSError: It cannot be written.
        """
        entries_read = (item for item in read(self._path) if isinstance(item, Entry))
        for file, items in groupby(entries_read, key=lambda entry: entry.file):
            number = list(self._files).index(file) + 1
            name = _LIVE if number == len(self._files) else f"llm_transcript-{number:06}.jsonl"
            with os.fdopen(os.open(self._directory / name, _NEW, 0o600), "wb") as stream:
                for line in self._lines(items):
                    stream.write(line)

    def _look_through(self) -> None:
        """Read all once: what stands where, the names of tools, and when it begins."""
        for item in read(self._path):
            self.transcript.add(item)
            if not isinstance(item, Entry):
                continue
            self._files.setdefault(item.file)
            if self._begins_ns is None:
                self._begins_ns = _maybe_time(item)
            if item.type == "tool_schemas":
                self._tool_names |= _names_in(item)

    def _lines(self, items: Iterable[Entry]) -> Iterator[bytes]:
        for entry in items:
            try:
                fields = entries.line(entry, self._context, self._given(entry))
            except RecursionError:
                self.left_out.append(entry.problem("too_deep", "nested too deeply to be copied"))
                continue
            count = sum(len(_blobs.marks(value)) for value in fields.values())
            if has_blobs(entry):
                fields["blobs"] = b"%d" % count
            self.lines += 1
            yield resolve.object_text(fields, resolve.COMPACT) + b"\n"

    def _given(self, entry: Entry) -> dict[str, bytes]:
        """What of a line needs more than the line itself."""
        if entry.type == "message" or entry.type in VALUES:
            name = self._name_of(entry.type, entry.get("hash"))
            return {"hash": _json.dumps(name), **self._content(entry)}
        if entry.type != "provider_call_request":
            return {}
        body = entries.body(entry, self._context)
        return {**body, **self._proof(entry, body)}

    def _content(self, entry: Entry) -> dict[str, bytes]:
        key = entry.file, entry.offset
        found = self._contents.get(key)
        if found is None:
            found = entries.content(entry, self._context)
            self._contents.put(key, found, sum(map(len, found.values())))
        return found

    def _name_of(self, kind: str, old: str) -> str:
        """The new hash of what has the hash *old*."""
        holds, get = self.transcript.contents.holds, self.transcript.contents.get
        chain: dict[str, None] = {}
        at: str | None = old
        while at is not None and (kind, at) not in self._names and at not in chain:
            chain[at] = None
            at = get(kind, at).get("parent") if kind == "message" and holds(kind, at) else None
        for name in reversed(chain):
            entry = get(kind, name) if holds(kind, name) else None
            new = None if entry is None else self._hashed(entry)
            self._names[kind, name] = new or self._pseudonyms.hexadecimal(name)
        return self._names[kind, old]

    def _hashed(self, entry: Entry) -> str | None:
        """The hash of an entry's new content; `None` if the old one is harmed."""
        try:
            if not is_intact(self.transcript.fill(entry)):
                return None
            raw = self._filled(self._content(entry)) if has_blobs(entry) else self._content(entry)
        except TranscriptError:  # a blob is missing
            return None
        if entry.type != "message":
            return str(hash_of(_json.loads(raw[VALUES[entry.type]])))
        parent = entry.get("parent")
        new_parent = self._names.get(("message", parent)) or self._pseudonyms.hexadecimal(parent or "")
        return str(hash_of(_json.loads(resolve.message_text(raw)), new_parent))

    def _proof(self, entry: Entry, body: Mapping[str, bytes]) -> dict[str, bytes]:
        """Length and SHA-256 of the new body, where the entry has them; those of none, if it was not true."""
        if entry.get("body_sha256") is None:
            return {}
        try:
            is_true = self.transcript.rebuild(entry).proof in {"exact", "respaced"}
            content = self._body(entry, body) if is_true else None
        except TranscriptError:
            content = None
        if content is None:
            return {"body_sha256": _json.dumps(self._pseudonyms.hexadecimal(entry.get("body_sha256")))}
        digest = sha256(content).hexdigest()
        return {"body_bytes": b"%d" % len(content), "body_sha256": _json.dumps(digest)}

    def _body(self, entry: Entry, body: Mapping[str, bytes]) -> bytes:
        """The new body, rebuilt as a reader will do it."""
        if "body_text" in body:
            return str(_json.loads(body["body_text"])).encode()
        if "body_base64" in body:
            return base64.b64decode(_json.loads(body["body_base64"]))
        filled = self._filled(body)["body"] if has_blobs(entry) else body["body"]
        if entry.get("verbatim"):
            return filled
        contents, writer, last = self.transcript.contents, entry.get("writer"), entry.get("context")

        def look_up(name: str, style: resolve.Style) -> bytes:
            if name in VALUES:
                return self._whole(contents.get(name, entry.get(name), writer))[VALUES[name]]
            found = contents.context(last, writer)
            texts = [resolve.message_text(self._whole(item), style) for item in found]
            return resolve.list_text(texts, style) if name == "context" else texts[-1]

        return resolve.resolve(filled, look_up)

    def _whole(self, entry: Entry) -> Mapping[str, bytes]:
        return self._filled(self._content(entry)) if has_blobs(entry) else self._content(entry)

    def _filled(self, raw: Mapping[str, bytes]) -> dict[str, bytes]:
        return {key: _blobs.filled(value, self._base64_of) for key, value in raw.items()}

    def _base64_of(self, mark: Mark) -> bytes:
        seed = self._seeds.get(mark.sha256)
        if seed is None:
            raise TranscriptError(f"blob {mark.sha256} is missing")
        return _blobs.encoded(self._pseudonyms.data(seed, mark.size), mark.form)

    def _new_mark(self, mark: Mark) -> Mark:
        """The mark of other bytes, as many, which are stored; of none, if the blob itself is missing."""
        if mark not in self._marks:
            name = self._pseudonyms.hexadecimal(mark.sha256)
            if self._is_there(mark):
                seed = mark.sha256.encode()
                data = self._pseudonyms.data(seed, mark.size)
                name = sha256(data).hexdigest()
                self._store(name, data)
                self._seeds[name] = seed
            self._marks[mark] = Mark(name, mark.size, mark.form)
        return self._marks[mark]

    def _is_there(self, mark: Mark) -> bool:
        """Whether a blob has the size that a mark says: a forged one says what it likes."""
        path = folder_of(next(iter(self._files))) / mark.sha256
        try:
            return path.is_file() and path.stat().st_size == mark.size
        except OSError:
            return False

    def _store(self, name: str, data: bytes) -> None:
        folder = self._directory / FOLDER
        folder.mkdir(mode=0o700, exist_ok=True)
        if not (folder / name).exists():
            with os.fdopen(os.open(folder / name, _NEW, 0o600), "wb") as file:
                file.write(data)


def _maybe_time(entry: Entry) -> int | None:
    try:
        return time_ns(entry.get("timestamp"))
    except TranscriptError:
        return None


def _names_in(entry: Entry) -> set[str]:
    """Names of the tools of an entry, and of their parameters at any depth."""
    found: set[str] = set()
    for tool in declarations(entry.raw["schemas"]) or ():
        if tool.name is not None:
            found.add(tool.name)
        _collect(tool.schema, found)
    return found


def _collect(schema: Json, found: set[str]) -> None:
    """Add the keys of all `properties`."""
    if isinstance(schema, list):
        for item in schema:
            _collect(item, found)
    for key, value in mapping(schema).items():
        if key == "properties":
            found.update(mapping(value))
        _collect(value, found)
