"""
The tools that a request offers, and whether arguments fit the schema that one of them declares.

Schemas and arguments are written by others (servers of tools, models), so every look at them is bounded:
no address is fetched, no regular expression is tried, and after so many steps the rest is not looked at.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, lru_cache
from importlib import import_module
from itertools import islice
from typing import Any, Final, TypeAlias

from msgspec import Struct

from spanscript._exchange import Json
from spanscript._guard import guarded
from spanscript._json import dumps, loads
from spanscript._shapes import dig, mapping, string

_LOG = logging.getLogger("spanscript")


class Tools(Struct, frozen=True):
    """
    The tools that a request offers.

    Attributes:
        names: Of all of them; `None` if not all are known.
        schemas: Name → the JSON schema of its arguments, of those that declare one.
        texts: Names of those whose argument is a text and no JSON.
    """

    names: tuple[str, ...] | None = None
    schemas: Mapping[str, Json] = {}
    texts: frozenset[str] = frozenset()


_GROUPS: Final = ("functionDeclarations", "function_declarations", "tools")
"""Where an element of the array holds an array of tools: Google's, and namespaces of OpenAI's."""

_INNER: Final = ("function", "toolSpec", "systemTool", "custom")
"""Where the declaration stands one level further in: chat completions and those like it, Bedrock."""

_NO_TOOL: Final = ("cachePoint",)

_SCHEMAS: Final[tuple[tuple[str, ...], ...]] = (
    ("parameters",),  # OpenAI's and those like it, Google's
    ("input_schema",),  # Anthropic's
    ("parametersJsonSchema",),
    ("parameters_json_schema",),
    ("inputSchema", "json"),  # Bedrock's
)


@lru_cache(maxsize=32)
def offered(raw: bytes | None) -> Tools:
    """
    Read the raw array of tools of any dialect, by its elements' shapes.

    An element of an unknown shape makes `names` `None`; so does what is no array.
    """
    found = declarations(raw)
    if found is None:
        return Tools()
    return Tools(
        names=tuple(tool.name for tool in found if tool.name) if all(tool.name for tool in found) else None,
        schemas={tool.name: tool.schema for tool in found if tool.name and tool.schema},
        texts=frozenset(tool.name for tool in found if tool.name and tool.is_text),
    )


class Declaration(Struct, frozen=True):
    """
    One tool as a request declares it.

    Attributes:
        name: `None` for one that the provider has itself.
        description: What it is said to do.
        schema: The JSON schema of its arguments, if there is one.
        is_text: Whether it takes a text and no JSON.
    """

    name: str | None
    description: str | None
    schema: Json
    is_text: bool


def declarations(raw: bytes | None) -> list[Declaration] | None:
    """Read the raw array of tools of any dialect; `None` for what is no array."""
    try:
        value = loads(raw or b"null")
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, list):
        return None
    return [tool for element in value for tool in _tools_of(mapping(element))]


def _tools_of(element: Mapping[str, Json]) -> Iterator[Declaration]:
    groups = [element[key] for key in _GROUPS if isinstance(element.get(key), list)]
    if groups:
        yield from (_tool(mapping(inner)) for group in groups for inner in group)
    elif not any(key in element for key in _NO_TOOL):
        yield _tool(element)


def _tool(element: Mapping[str, Json]) -> Declaration:
    declared = next((mapping(element[key]) for key in _INNER if mapping(element.get(key))), element)
    schema = next(filter(None, (mapping(dig(declared, path)) for path in _SCHEMAS)), None)
    if schema is None and mapping(declared.get("parameter_definitions")):
        schema = _of_definitions(declared["parameter_definitions"])
    is_text = element.get("type") == "custom" and schema is None
    return Declaration(string(declared.get("name")), string(declared.get("description")), schema, is_text)


def _of_definitions(definitions: Mapping[str, Json]) -> Json:
    """Cohere's first version has no schemas but parameters, with Python's names of types."""
    required = [name for name, about in definitions.items() if mapping(about).get("required") is True]
    return {"type": "object", "properties": {name: {} for name in definitions}, "required": required}


# -- whether arguments fit

_MOST_STEPS: Final = 5000
"""Keywords of a schema that are tried on one value, each counted with the elements of its own value."""

_MOST_BYTES: Final = 65_536
"""Larger schemas are not tried."""

_SHORT: Final = 60

_DROPPED: Final = frozenset(
    {("$schema", str), ("nullable", bool), ("exclusiveMinimum", bool), ("exclusiveMaximum", bool)}
)
"""What is not JSON Schema where it stands, or would lead out of our limits."""

_UNTRIED: Final = (
    "pattern",
    "patternProperties",
    "unevaluatedItems",
    "unevaluatedProperties",
    "uniqueItems",
)
"""Regular expressions can take for ever, and so can the others in the hands of somebody who wants it."""

_STRANGE: Final = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError)
"""What a schema raises that is none."""


class _TooMuchError(Exception):
    """The value or its schema is too large to be looked at to the end."""


class _Steps(threading.local):
    left = 0


_steps = _Steps()


@cache
def prepare() -> bool:
    """
    Import the validator: a long import, to be done where the app can wait for it.

    Returns:
        Whether there is one (extra `agent`); if not, this is said once.
    """
    try:
        import_module("referencing")
        import_module("jsonschema")
    except ImportError:
        _LOG.info(
            "jsonschema (from 4.18) is not installed: the arguments of tool calls are not compared with "
            "their tools' schemas. pip install 'spanscript[agent]' helps."
        )
        return False
    return True


@guarded
def misfits(schema: Json, value: Json) -> list[str]:
    """
    What is wrong with arguments, as short sentences without a full stop; not all, if there is much.

    Empty where nothing can be said: no validator, or a schema that is none or refers to another place.
    """
    if not prepare():
        return []
    jsonschema, referencing = import_module("jsonschema.exceptions"), import_module("referencing.exceptions")
    unknown = (jsonschema.UnknownType, jsonschema.UndefinedTypeCheck, referencing.Unresolvable)
    found: dict[str, None] = {}
    _steps.left = _MOST_STEPS
    try:
        errors = _validator(dumps(schema)).iter_errors(value)
        for sentence in islice((text for error in errors for text in _sentences(error)), 100):
            found[sentence] = None
    except (_TooMuchError, *_STRANGE, *unknown):
        pass  # what was found until then is true all the same
    return list(found)


@lru_cache(maxsize=256)
def _validator(schema: bytes) -> Any:
    """Of the schema's own draft, within our limits; raises what is in `_STRANGE` for what is no schema."""
    if len(schema) > _MOST_BYTES:
        raise _TooMuchError
    jsonschema = import_module("jsonschema")
    parsed = mapping(loads(schema))
    said = {"$schema": string(parsed.get("$schema")) or ""}
    draft = jsonschema.validators.validator_for(said, default=jsonschema.Draft202012Validator)
    # An empty registry fetches nothing; the default one would ask any address that a schema names.
    return _limited(draft)(plain_schema(parsed), registry=import_module("referencing").Registry())


def plain_schema(schema: Json) -> Json:
    """As JSON Schema has it: Google has types in capitals, and `nullable`."""
    if isinstance(schema, list):
        return [plain_schema(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {key: plain_schema(value) for key, value in schema.items() if (key, type(value)) not in _DROPPED}
    kind = schema.get("type")
    if isinstance(kind, str):
        kind = kind.lower() if kind.isupper() else kind
        plain["type"] = [kind, "null"] if schema.get("nullable") is True else kind
    return plain


_Check: TypeAlias = Callable[[Any, Any, Any, Any], Any]


@cache
def _limited(draft: Any) -> Any:
    checks = {keyword: _counted(check) for keyword, check in draft.VALIDATORS.items()}
    checks.update(dict.fromkeys(set(_UNTRIED) & checks.keys(), _untried))
    checks["additionalProperties"] = _without_patterns(checks["additionalProperties"])
    return import_module("jsonschema").validators.extend(draft, checks)


def _counted(check: _Check) -> _Check:
    def counted(validator: Any, value: Any, instance: Any, schema: Any) -> Any:
        _steps.left -= 1 + (len(value) if isinstance(value, (list, dict)) else 0)
        if _steps.left < 0:
            raise _TooMuchError
        return check(validator, value, instance, schema)

    return counted


def _untried(*_: Any) -> None:
    """Nothing is wrong."""


def _without_patterns(check: _Check) -> _Check:
    """Which properties are additional, patterns would tell."""

    def checked(validator: Any, value: Any, instance: Any, schema: Any) -> Any:
        return None if "patternProperties" in schema else check(validator, value, instance, schema)

    return checked


# -- what is wrong, in words


def short(value: Json) -> str:
    """A value in few characters: a string as it is, others as JSON."""
    text = value if isinstance(value, str) else dumps(value).decode("utf-8", "replace")
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 1]}…"


def listed(values: Iterable[Json], most: int = 20) -> str:
    """The first of them, separated by commas."""
    found = [short(value) for value in islice(values, most + 1)]
    return ", ".join([*found[:most], *(["…"] if len(found) > most else [])])


_MUST: Final[Mapping[str, str]] = {
    "const": "be {}",
    "minimum": "be at least {}",
    "maximum": "be at most {}",
    "exclusiveMinimum": "be more than {}",
    "exclusiveMaximum": "be less than {}",
    "multipleOf": "be a multiple of {}",
    "minLength": "have at least {} characters",
    "maxLength": "have at most {} characters",
    "minItems": "have at least {} elements",
    "maxItems": "have at most {} elements",
    "minProperties": "have at least {} keys",
    "maxProperties": "have at most {} keys",
    "enum": "be one of: {}",
    "type": "be of type {}",
}
"""Keyword of a schema → what it asks for."""


def _sentences(error: Any) -> Iterator[str]:
    path = list(islice(error.absolute_path, 20))
    keyword, asked = error.validator, error.validator_value
    if keyword == "required" and isinstance(asked, list):
        yield from (f"{_where([*path, n])} is missing" for n in asked if n not in error.instance)
    elif keyword == "additionalProperties" and asked is False:
        known = mapping(error.schema.get("properties"))
        yield from (f"{_where([*path, n])} is not known" for n in error.instance if n not in known)
    elif keyword in _MUST:
        text = listed(asked) if isinstance(asked, list) else short(asked)
        yield f"{_where(path)} must {_MUST[keyword].format(text)}"
    else:
        yield f"{_where(path)} does not fit the schema ({keyword or 'false'})"


def _where(path: list[str | int]) -> str:
    """`a.b[0].c`; of the arguments themselves, *the object*."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{short(step)}" for step in path)
    return short(text.removeprefix(".")) or "the object"
