"""
What the loopback provider answers, whatever the wire API: a pure function of what it is asked.

Tools offered and a user's message last: it calls tools. A tool's result last: it tells the result. Else
it answers in text, or with JSON where a schema is asked for. Tokens are counted as four bytes each.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from spanscript._exchange import Json

_CHARACTERS_OF_A_DELTA = 8


@dataclass(frozen=True)
class Tool:
    """A tool on offer: its name and the JSON schema of its arguments."""

    name: str
    schema: Json


@dataclass(frozen=True)
class Ask:
    """
    What a request asks, read from the body of any wire API.

    Attributes:
        model: As the request names it.
        prompt: All that counts as input.
        text: The text of the last message, or of the tool results that stand last.
        after_tool: Whether the last message is a tool's result.
        tools: What is on offer.
        tool_choice: `auto`, `none`, `required`, or the name of a tool.
        parallel: Whether several tools may be called at once.
        preamble: Said before a tool call, by wire APIs whose models do so.
        schema: Of structured output.
        max_tokens: Limit of the answer.
        choices: Number of alternative answers.
        thinking: Whether reasoning is asked for.
        cached: The prompt up to what the app marked for caching.
    """

    model: str
    prompt: str
    text: str
    after_tool: bool = False
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"
    parallel: bool = True
    preamble: str | None = None
    schema: Json = None
    max_tokens: int | None = None
    choices: int = 1
    thinking: bool = False
    cached: str = ""


@dataclass(frozen=True)
class Answer:
    """
    What is answered. `calls` are pairs of a tool's name and its arguments; `finish` is `stop`, `length`,
    `tool_calls` or `content_filter`; `serial` counts the provider's requests and makes the ids.
    """

    serial: int
    model: str
    texts: tuple[str | None, ...]
    calls: tuple[tuple[str, Json], ...] = ()
    thinking: str | None = None
    refusal: str | None = None
    finish: str = "stop"
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    thinking_tokens: int = 0

    @property
    def text(self) -> str | None:
        """The text of the first choice."""
        return self.texts[0]


def decide(ask: Ask, serial: int, overrides: Mapping[str, Any] | None = None) -> Answer:
    """
    The answer to `ask`.

    Args:
        ask: What is asked.
        serial: Number of the request.
        overrides: Fields of `Answer` that a script prescribes; JSON arrays stand for tuples.
    """
    fields: dict[str, Any] = {"model": ask.model, "thinking": None, "refusal": None, "finish": "stop"}
    fields |= _tool_turn(ask) if _wants_tool(ask) else _text_turn(ask)
    if ask.thinking:
        fields["thinking"] = f"The last message has {len(ask.text)} characters; a short answer will do."
    prescribed = {key: _tuples(value) for key, value in (overrides or {}).items()}
    if prescribed.get("calls"):
        fields |= {"texts": (None,), "finish": "tool_calls"}
    if prescribed.get("refusal"):
        fields |= {"texts": (None,), "calls": ()}
    fields |= prescribed
    return Answer(serial=serial, **(_tokens(ask, fields) | fields))


def count(text: str) -> int:
    """Tokens of `text`: a quarter of its UTF-8 bytes, rounded up."""
    return (len(text.encode("utf-8", "surrogatepass")) + 3) // 4


def words(text: str) -> list[str]:
    """`text` in the pieces in which it is streamed: words with the space after them."""
    return re.findall(r"\s*\S+\s?|\s+", text)


def slices(text: str) -> list[str]:
    """`text` in pieces of a few characters, as tool arguments are streamed."""
    size = _CHARACTERS_OF_A_DELTA
    return [text[at : at + size] for at in range(0, len(text), size)]


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value


def _wants_tool(ask: Ask) -> bool:
    return bool(ask.tools) and ask.tool_choice != "none" and not ask.after_tool


def _tool_turn(ask: Ask) -> dict[str, Any]:
    named = [tool for tool in ask.tools if tool.name == ask.tool_choice]
    called = (named or list(ask.tools))[: 2 if ask.parallel else 1]
    return {
        "texts": (ask.preamble,),
        "calls": tuple((tool.name, sample(tool.schema, ask.text)) for tool in called),
        "finish": "tool_calls",
    }


def _text_turn(ask: Ask) -> dict[str, Any]:
    if ask.schema is not None:
        text = json.dumps(sample(ask.schema, ask.text), ensure_ascii=False)
    elif ask.after_tool:
        text = f"The tool says: {ask.text}"
    else:
        text = f"You said: {ask.text}"
    limit = ask.max_tokens
    cut = limit is not None and count(text) > limit
    if limit is not None and cut:
        text = _first_tokens(text, limit)
    others = tuple(f"{text} (choice {index})" for index in range(1, ask.choices))
    return {"texts": (text, *others), "finish": "length" if cut else "stop"}


def _first_tokens(text: str, limit: int) -> str:
    kept = ""
    for word in words(text):
        if count(kept + word) > limit:
            break
        kept += word
    return kept or text[:1]


def _tokens(ask: Ask, fields: Mapping[str, Any]) -> dict[str, int]:
    thinking = count(fields["thinking"] or "")
    said = "".join(text or "" for text in fields["texts"]) + (fields["refusal"] or "")
    called = "".join(name + json.dumps(arguments) for name, arguments in fields.get("calls", ()))
    return {
        "input_tokens": count(ask.prompt),
        "output_tokens": count(said + called) + thinking,
        "cached_tokens": count(ask.cached),
        "thinking_tokens": thinking,
    }


def sample(schema: Json, hint: str, root: Json = None) -> Json:
    """
    A value that `schema` allows, by a simple rule; strings are the last name in `hint`.

    Knows types, `enum`, `const`, `anyOf`, `allOf` and `$ref` into the schema itself.
    """
    if not isinstance(schema, dict):
        return None
    root = schema if root is None else root
    if "$ref" in schema:
        return sample(_resolve(schema["$ref"], root), hint, root)
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return sample(schema[key][0], hint, root)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "object" if "properties" in schema else "string")
    return _SAMPLES[kind[0] if isinstance(kind, list) else kind](schema, hint, root)


def _resolve(pointer: str, root: Json) -> Json:
    for key in pointer.removeprefix("#/").split("/"):
        root = root[key]
    return root


def _sample_object(schema: Json, hint: str, root: Json) -> Json:
    properties = schema.get("properties", {})
    return {key: sample(value, hint, root) for key, value in properties.items()}


def _name_in(hint: str) -> str:
    names = re.findall(r"\b[A-Z]\w+", hint)
    return names[-1] if names else (hint.split() or ["something"])[-1]


_SAMPLES: dict[str, Callable[[Json, str, Json], Json]] = {
    "object": _sample_object,
    "array": lambda schema, hint, root: [sample(schema.get("items", {}), hint, root)],
    "string": lambda _schema, hint, _root: _name_in(hint),
    "integer": lambda schema, _hint, _root: schema.get("minimum", 1),
    "number": lambda schema, _hint, _root: schema.get("minimum", 1.5),
    "boolean": lambda _schema, _hint, _root: True,
    "null": lambda _schema, _hint, _root: None,
}
