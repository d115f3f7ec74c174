"""Looks for text in what a call's model was told and in what it said."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from spanscript import _json
from spanscript._exchange import Json
from spanscript.transcript import resolve
from spanscript.transcript.contents import VALUES
from spanscript.transcript.lines import Entry, TranscriptError
from spanscript.transcript.reader import Call, Transcript

_SAID: Final = (
    "text",
    "thinking",
    "refusal",
    "tool_calls",
    "parts",
    "choices",
    "error_type",
    "error_message",
)
_ASKED: Final = ("body_text", "body")


class Search:
    """
    Whether a pattern is found in the texts of a call: prompt, answers, errors, of every attempt.

    What calls have in common is read once: of a message, whether it or one before it matches is remembered.
    """

    def __init__(self, transcript: Transcript, pattern: re.Pattern[str]) -> None:
        self._transcript = transcript
        self._pattern = pattern
        self._known: dict[tuple[str, str], bool] = {}

    def finds(self, call: Call) -> bool:
        """Whether it is there. What the transcript does not hold any more is not searched."""
        outcomes = any(self._in_keys(entry, _SAID) for entry in call.outcomes.values())
        return outcomes or any(map(self._in_request, call.requests.values()))

    def _in_request(self, request: Entry) -> bool:
        named = (self._in_named(key, request.get(key)) for key in VALUES)
        if any(named) or self._in_chain(request.get("context")):
            return True
        # A skeleton has no texts but the names of its references.
        is_whole = request.get("verbatim") or not any(map(request.get, ("context", *VALUES)))
        return bool(is_whole) and self._in_keys(request, _ASKED)

    def _in_keys(self, brief: Entry, keys: tuple[str, ...]) -> bool:
        whole = self._transcript.whole(brief)
        return any(self._matches(whole.raw[key]) for key in keys if key in whole.raw)

    def _in_named(self, kind: str, name: str | None) -> bool:
        if name is None:
            return False
        key = kind, name
        if key not in self._known:
            entry = self._held(kind, name)
            self._known[key] = entry is not None and self._matches(entry.raw[VALUES[kind]])
        return self._known[key]

    def _in_chain(self, name: str | None) -> bool:
        """Whether a message or one before it matches; parents in a circle end where they meet."""
        passed: dict[tuple[str, str], None] = {}
        found = False
        while name is not None and not found and ("message", name) not in passed:
            key = "message", name
            if key in self._known:
                found = self._known[key]
                break
            passed[key] = None
            entry = self._held(*key)
            found = entry is not None and self._matches(resolve.message_text(entry.raw))
            name = None if entry is None else entry.get("parent")
        self._known.update(dict.fromkeys(passed, found))
        return found

    def _held(self, kind: str, name: str) -> Entry | None:
        try:
            return self._transcript.contents.get(kind, name)
        except TranscriptError:  # lost with its line; `show` and `check` say so
            return None

    def _matches(self, raw: bytes) -> bool:
        try:
            return any(map(self._pattern.search, texts_of(_json.loads(raw))))
        except RecursionError:  # nested too deeply to be read: nobody reads it
            return False


def texts_of(value: Json) -> Iterator[str]:
    """All strings in a JSON value, but no keys."""
    left = [value]
    while left:
        item = left.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            left.extend(reversed(item.values()))
        elif isinstance(item, list):
            left.extend(reversed(item))
