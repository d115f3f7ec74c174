"""
A page of HTML that stands alone: no script, no address is loaded, and its own policy forbids both.

It is built as a tree, whose serialiser escapes all text: nothing that a model said can become markup.
"""

from __future__ import annotations

import binascii
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from typing import Final
from xml.etree.ElementTree import Element, SubElement, tostring

from spanscript._blobs import decoded
from spanscript._exchange import Media
from spanscript._exports.exported import Exported
from spanscript._exports.story import Piece, Section, Story, story
from spanscript.transcript.exchanges import Exchange

_STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.2rem; margin-top: 3rem; border-top: 2px solid; padding-top: 1rem; }
h2 { font-size: 1rem; margin: 1.5rem 0 .3rem; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; font-size: .9rem; }
section { border-left: 3px solid #8888; padding-left: 1rem; }
.label, dt { color: #888; font-size: .85rem; }
dl { display: grid; grid-template-columns: max-content auto; gap: 0 1rem; margin: 0; }
dd { margin: 0; }
td, th { text-align: left; padding-right: 1.5rem; font-weight: normal; }
img { max-width: 100%; max-height: 30rem; }
"""
_DIGEST: Final = b64encode(sha256(_STYLE.encode()).digest()).decode()
_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_DIGEST}'; img-src data:; base-uri 'none'; form-action 'none'"
)

HEAD: Final = (
    "<!DOCTYPE html>\n"
    '<html lang="en"><head><meta charset="utf-8">'
    f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    '<meta name="referrer" content="no-referrer">'
    '<meta name="viewport" content="width=device-width">'
    f"<title>Calls</title><style>{_STYLE}</style></head><body>\n"
)
TAIL: Final = "</body></html>\n"

_IMAGES: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
"""What is shown as an image; of other kinds it is only said what they are."""


def one(exchanges: Sequence[Exchange]) -> Exported:
    """A call as an article."""
    article = _article(story(exchanges))
    return Exported(tostring(article, encoding="unicode", method="html") + "\n")


def _article(told: Story) -> Element:
    article = Element("article", id=told.call_id)
    _child(article, "h1", f"Call {told.call_id}")
    facts = SubElement(article, "dl")
    for name, value in told.facts.items():
        _child(facts, "dt", name)
        _child(facts, "dd", value)
    columns = list(dict.fromkeys(name for row in told.attempts for name in row))
    table = SubElement(article, "table")
    for row in ({name: name for name in columns}, *told.attempts):
        line = SubElement(table, "tr")
        for name in columns:
            _child(line, "td", row.get(name, ""))
    for section in told.sections:
        _add_section(article, section)
    return article


def _add_section(article: Element, section: Section) -> None:
    _child(article, "h2", section.title)
    inner = SubElement(article, "section")
    for piece in section.pieces:
        if piece.label:
            _child(inner, "div", piece.label).set("class", "label")
        image = _image(piece)
        if image is None:
            _child(inner, "pre", piece.text)
        else:
            SubElement(inner, "img", src=image, alt=piece.text)


def _child(parent: Element, tag: str, text: str) -> Element:
    child = SubElement(parent, tag)
    child.text = text
    return child


def _image(piece: Piece) -> str | None:
    """A data URL of an image of a known kind, from its bytes and not from what was sent."""
    media = piece.media
    if not isinstance(media, Media) or media.data is None or media.mime_type not in _IMAGES:
        return None
    data, _ = decoded(media.data.encode("utf-8", "surrogatepass"))
    if data is None:
        return None
    return f"data:{media.mime_type};base64,{binascii.b2a_base64(data, newline=False).decode()}"
