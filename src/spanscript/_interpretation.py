"""
What an app makes of an answer: its prose, the tool calls that it can run, and what is wrong with others.

Errors are sentences that can be given back to the model. Whatever a model writes, an interpreter of ours
returns, and what it returns is bounded: calls, errors and their length.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, partial
from importlib.metadata import entry_points
from itertools import islice
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import Struct, structs

from spanscript._exchange import Json, Outcome, Request, Text, ToolCall
from spanscript._guard import guarded
from spanscript._json import loads
from spanscript._offered import Tools, listed, misfits, offered, prepare, short
from spanscript._shapes import string

_MOST_CALLS: Final = 100
_MOST_ERRORS: Final = 20
_LONGEST_ERROR: Final = 500
_LONGEST_TEXT: Final = 1_048_576
"""Characters of a text in which calls are looked for."""

_HEADROOM: Final = 100
"""Levels of nesting that must be left, so that what was read can be written again elsewhere."""


class Interpreted(Struct, frozen=True):
    """
    What was understood of an answer.

    Attributes:
        tool_format: `native`, `json`, `hermes`, or the app's own word.
        prose: The answer's text without its tool calls; `None` if it has none.
        tool_calls: Those that can be run; `arguments` are the JSON object, or the text of a tool that
            takes one. What the provider runs itself is not among them.
        tool_parse_errors: What is wrong with the others.
    """

    tool_format: str
    prose: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_parse_errors: tuple[str, ...] = ()


class Answer(Struct, frozen=True):
    """
    What an interpreter reads.

    Attributes:
        call_id: UUIDv7 of the call.
        provider, model: Who was asked.
        tool_format: Of the request: `native` if it offers tools, else `text`.
        text: What the model said; `None` if it said nothing.
        tool_calls: Native ones, as they came.
        tools: What the request offers.
    """

    call_id: str
    provider: str
    model: str | None
    tool_format: str
    text: str | None
    tool_calls: tuple[ToolCall, ...]
    tools: Tools


Interpreter: TypeAlias = Callable[[Answer], "Interpreted | None"]

ENTRY_POINTS: Final = "spanscript_interpreter"
"""The group of entry points by which a package brings an interpreter; their names are tool formats."""

_interpreters: tuple[Interpreter, ...] = ()
"""The app's, the last one first."""


def interpreter(fn: Interpreter | str) -> Callable[[], None]:
    """
    Interpret the answers of this process with *fn*, for the transcript.

        undo = spanscript.interpreter(lambda answer: parse(answer.text))

    It is asked for each whole answer of a conversation, in the thread that read its end, while a transcript
    is written. Where it gives `None` or raises, it is done as if it were not there: with the native tool
    calls if tools were offered, else not at all. Of several, the last one is asked first.

    Args:
        fn: From an `Answer` to an `Interpreted`; or the name of one of ours: `native`, `json` (tool calls
            in fenced blocks) or `hermes` (in `<tool_call>`), or of an entry point `spanscript_interpreter`.

    Returns:
        What takes it off again.

    Raises:
        ValueError: There is none of this name.
    """
    global _interpreters  # noqa: PLW0603  # replaced as a whole, so that threads need no lock
    chosen = _named(fn) if isinstance(fn, str) else fn
    if chosen is None:
        raise ValueError(f"no interpreter {fn!r}; there are {', '.join(INTERPRETERS)}")
    mine = partial(chosen)  # the same one may be put on twice
    _interpreters = (mine, *_interpreters)

    def undo() -> None:
        global _interpreters  # noqa: PLW0603
        _interpreters = tuple(other for other in _interpreters if other is not mine)

    return undo


def get_ready(request: Request) -> None:
    """Load what `interpretation` will need: it may be asked in a finalizer, where nothing should load."""
    if request.tool_format is not None and _named(request.tool_format) is not None:
        prepare()


@guarded
def interpretation(request: Request, outcome: Outcome) -> Interpreted | None:
    """What is made of a whole answer; `None` where there is nothing to interpret."""
    reply, tool_format = outcome.reply, request.tool_format
    if outcome.status != "ok" or reply is None or tool_format is None:
        return None
    named = _named(tool_format)
    if named is None and not _interpreters:
        return None
    answer = Answer(
        call_id=request.call_id,
        provider=request.provider,
        model=request.model,
        tool_format=tool_format,
        text=reply.texts(Text),
        tool_calls=reply.tool_calls,
        tools=offered(request.split.tools if request.split else None),
    )
    for own in _interpreters:
        found = _asked(own, answer)
        if found is not None:
            return found
    if named is None:
        return None
    return named(answer) if tool_format in INTERPRETERS else _asked(named, answer)


def _named(tool_format: str) -> Interpreter | None:
    """What interprets this format: ours, or one that is installed under this name."""
    if tool_format in INTERPRETERS or tool_format == "text":
        return INTERPRETERS.get(tool_format)
    return _installed(tool_format)


@cache
@guarded
def _installed(name: str) -> Interpreter | None:
    for entry_point in entry_points(group=ENTRY_POINTS, name=name):
        found: Interpreter = entry_point.load()
        return found
    return None


@guarded
def _asked(own: Interpreter, answer: Answer) -> Interpreted | None:
    found = own(answer)
    if found is None:
        return None
    # Raises for what is none, or could not be written.
    return msgspec.convert(msgspec.to_builtins(found), Interpreted)


def native(answer: Answer) -> Interpreted:
    """The tool calls of the wire API."""
    calls = (call for call in answer.tool_calls if not call.server_side)
    return _interpreted("native", answer.text, calls, answer.tools)


def fenced(answer: Answer) -> Interpreted:
    """Tool calls as objects with `name` and `arguments` in blocks that are fenced as JSON."""
    return _of_text("json", answer, _Blocks("```json", "```", only_calls=False))


def hermes(answer: Answer) -> Interpreted:
    """Tool calls as such objects between `<tool_call>` and `</tool_call>`."""
    return _of_text("hermes", answer, _Blocks("<tool_call>", "</tool_call>", only_calls=True))


INTERPRETERS: Final[Mapping[str, Callable[[Answer], Interpreted]]] = {
    "native": native,
    "json": fenced,
    "hermes": hermes,
}
"""Tool format → ours for it."""

_Found: TypeAlias = "ToolCall | str"
"""A tool call, or what is wrong with it."""


def _interpreted(tool_format: str, prose: str | None, found: Iterable[_Found], tools: Tools) -> Interpreted:
    calls: list[ToolCall] = []
    errors: dict[str, None] = {}
    items = iter(found)
    for item in islice(items, _MOST_CALLS):
        call, wrong = (None, [item]) if isinstance(item, str) else _checked(item, tools)
        calls += [call] if call else []
        errors.update((_bounded(sentence), None) for sentence in wrong)
    if next(items, None) is not None:
        errors = {f"There are more than {_MOST_CALLS} tool calls; the others were not read.": None, **errors}
    told = list(errors)
    if len(told) > _MOST_ERRORS:
        told[_MOST_ERRORS - 1 :] = ["There are more errors than these."]
    return Interpreted(tool_format, prose, tuple(calls), tuple(told))


def _bounded(sentence: str) -> str:
    return sentence if len(sentence) <= _LONGEST_ERROR else f"{sentence[: _LONGEST_ERROR - 1]}…"


def _checked(call: ToolCall, tools: Tools) -> tuple[ToolCall | None, list[str]]:
    """The call with its arguments read, or what is wrong with it."""
    if not call.name:
        return None, ["A tool call has no name."]
    if tools.names is not None and call.name not in tools.names:
        return None, [f'The tool "{short(call.name)}" does not exist. Tools: {listed(tools.names)}.']
    arguments, wrong = _arguments(call, is_text=call.name in tools.texts)
    about = f"Arguments of {short(call.name)}"
    if wrong:
        return None, [f"{about} {wrong}."]
    misfit = misfits(tools.schemas[call.name], arguments) if call.name in tools.schemas else None
    if misfit:
        return None, [f"{about}: {text}." for text in misfit]
    return structs.replace(call, arguments=arguments), []


def _arguments(call: ToolCall, *, is_text: bool) -> tuple[Json, str | None]:
    """The arguments as a JSON object, and what is wrong with them. None at all are an empty object."""
    value = call.arguments
    if is_text and isinstance(value, str):
        return value, None
    if value is None or (isinstance(value, str) and not value.strip()):
        return {}, None
    if isinstance(value, str):
        try:
            value = loads(value.encode("utf-8", "surrogatepass"))
        except ValueError as error:
            return None, f"are no JSON: {_reason(error)}"
        except RecursionError:
            return None, _TOO_DEEP
    if not isinstance(value, dict):
        return None, "are no JSON object"
    return (value, None) if _is_writable(value) else (None, _TOO_DEEP)


_TOO_DEEP: Final = "are nested too deeply"


def _is_writable(value: Json) -> bool:
    for _ in range(_HEADROOM):
        value = [value]
    try:
        msgspec.json.encode(value)
    except RecursionError:
        return False
    except UnicodeEncodeError:
        return True  # a lone surrogate: the writer has a way for it
    return True


def _reason(error: ValueError, start: int = 0) -> str:
    """What the parser says, and where; characters are counted from *start*, the first is 0."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg.removesuffix(' at')} at character {error.pos - start}"
    return "it cannot be read"


# -- tool calls in the text


class _Blocks(Struct, frozen=True):
    """How blocks begin and end; `only_calls`: what is in one and is no tool call is an error."""

    begin: str
    end: str
    only_calls: bool


_decode: Final = json.JSONDecoder().raw_decode
_SPACE: Final = " \t\r\n"


def _of_text(tool_format: str, answer: Answer, blocks: _Blocks) -> Interpreted:
    text = answer.text
    if text is None or blocks.begin not in text:
        return Interpreted(tool_format, text)
    if len(text) > _LONGEST_TEXT:
        return Interpreted(tool_format, text, (), ("The answer is too long to look for tool calls in it.",))
    prose: list[str] = []
    found = list(islice(_calls_in(text, blocks, prose), _MOST_CALLS + 1))
    return _interpreted(tool_format, "".join(prose).strip() or None, found, answer.tools)


def _calls_in(text: str, blocks: _Blocks, prose: list[str]) -> Iterator[_Found]:
    """The calls and what is wrong; what stands around them goes to *prose*."""
    at = 0
    while (start := text.find(blocks.begin, at)) >= 0:
        prose.append(text[at:start])
        found, at = _block(text, start, blocks)
        if found is None:
            prose.append(text[start:at])
        else:
            yield found
    prose.append(text[at:])


def _block(text: str, start: int, blocks: _Blocks) -> tuple[_Found | None, int]:
    """What one block is, `None` if it is prose, and where it ends. One that is not closed ends the text."""
    inner = start + len(blocks.begin)
    while text[inner : inner + 1] in _SPACE and inner < len(text):
        inner += 1
    try:
        value, end = _decode(text, inner)
    except ValueError as error:
        return f"A tool call is no JSON: {_reason(error, inner)}.", _after(text, inner, blocks.end)
    except RecursionError:
        return "A tool call is nested too deeply.", _after(text, inner, blocks.end)
    past = _after(text, end, blocks.end)
    if text[end:past].removesuffix(blocks.end).strip():
        return "A tool call has more than one JSON value.", past
    call = _call(value)
    if call is None and blocks.only_calls:
        return 'A tool call is no JSON object with "name" and "arguments".', past
    return call, past


def _after(text: str, at: int, end: str) -> int:
    found = text.find(end, at)
    return len(text) if found < 0 else found + len(end)


def _call(value: Any) -> ToolCall | None:
    if not isinstance(value, dict) or string(value.get("name")) is None or "arguments" not in value:
        return None
    return ToolCall(None, value["name"], value["arguments"])
