"""JSON values without what was said in them: keys and words of the wire APIs stay, all else is replaced."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Final

from spanscript import _json
from spanscript._anonymous.pseudonyms import Pseudonyms
from spanscript._anonymous.vocabulary import CONTENT, IDS, KEYS, MIME, NAMES, WORDS
from spanscript._blobs import Mark, marks
from spanscript._exchange import Json
from spanscript.transcript.resolve import REFERENCE

_MARK: Final = re.compile(r"(\$blob\{[0-9a-f]{64}:[0-9]+(?::[a-z-]+)?\})")
_MIME: Final = re.compile(r"(?:application|audio|image|text|video)/[a-zA-Z0-9.+-]{1,40}")
_DATA_URL: Final = re.compile(rf"(data:{_MIME.pattern};base64,)(.*)", re.DOTALL)
_URL: Final = re.compile(r"[a-z][a-z0-9+.-]*://\S+")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
_OWN_MODEL: Final = re.compile(r"^ft:|^arn:|tunedModels/|endpoints/|projects/|/|@")
_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,99}|[0-9]{1,3}")


class Values:
    """
    Replaces values.

    Args:
        pseudonyms: Gives what is put in their place.
        kept_names: Names of tools and of their parameters that stay.
        new_mark: The mark of what stands in the place of a blob.
    """

    def __init__(
        self, pseudonyms: Pseudonyms, kept_names: Collection[str], new_mark: Callable[[Mark], Mark]
    ) -> None:
        self._pseudonyms = pseudonyms
        self._kept_names = kept_names
        self._new_mark = new_mark

    def replaced(self, value: Json, key: str = "", *, parameters: bool = False, marked: bool = False) -> Json:
        """
        Another value of the same shape.

        Args:
            value: Of any kind.
            key: Under which it stands.
            parameters: Whether numbers under known keys stay, as far as they are no content.
            marked: Whether what looks like a mark is one.

        Raises:
            RecursionError: It is nested too deeply.
        """
        if isinstance(value, dict):
            if parameters and value.keys() == {REFERENCE}:
                return value
            return {
                self.key(name): self.replaced(
                    inner, name, parameters=parameters and name not in CONTENT, marked=marked
                )
                for name, inner in value.items()
            }
        if isinstance(value, list):
            return [self.replaced(inner, key, parameters=parameters, marked=marked) for inner in value]
        if isinstance(value, str):
            return self._string(value, key, marked=marked)
        if value is None or isinstance(value, bool) or (parameters and key in KEYS):
            return value
        return self._pseudonyms.number(value)

    def key(self, name: str) -> str:
        """A key of an object."""
        return name if name in KEYS or name in self._kept_names else self._pseudonyms.name(name)

    def model(self, name: str) -> str:
        """A model, as far as its name is a maker's own and not a customer's."""
        return self._pseudonyms.name(name) if _OWN_MODEL.search(name) else name

    def word(self, text: str) -> str:
        """The name of a kind of error: it stays, if it is one word."""
        return text if _WORD.fullmatch(text) else self._pseudonyms.text(text)

    def _string(self, text: str, key: str, *, marked: bool) -> str:
        if marked and "$blob{" in text:
            return "".join(self._piece(piece, key) for piece in _MARK.split(text))
        if text in WORDS and key in KEYS:
            return text
        if key in MIME and _MIME.fullmatch(text):
            return text
        if key in NAMES:
            return text if text in self._kept_names else self._pseudonyms.name(text)
        if key in IDS:
            return self._pseudonyms.ident(text)
        return self.model(text) if key == "model" else self._text(text)

    def _piece(self, piece: str, key: str) -> str:
        found = marks(piece.encode("utf-8", "surrogatepass")) if piece.startswith("$blob{") else []
        if found:
            return self._new_mark(found[0]).text.decode()
        head = _DATA_URL.fullmatch(piece)
        return piece if head and not head[2] else self._string(piece, key, marked=False)

    def _text(self, text: str) -> str:
        """Text; what is JSON, base64 or an address stays one."""
        if text[:1] in ("{", "["):
            try:
                parsed = _json.loads(text.encode("utf-8", "surrogatepass"))
                return _json.dumps(self.replaced(parsed)).decode("utf-8", "surrogatepass")
            except ValueError:
                return self._pseudonyms.text(text)
        url = _DATA_URL.fullmatch(text)
        if url:
            return url[1] + self._pseudonyms.base64(url[2])
        if _URL.fullmatch(text):
            return f"https://{self._pseudonyms.name(text)}.example/"
        return self._pseudonyms.base64(text) if _BASE64.fullmatch(text) else self._pseudonyms.text(text)
