"""What is made of an answer: tables of each interpreter, of each shape of tools, and of whole calls."""

from __future__ import annotations

import importlib
import json
import logging
from pathlib import Path

import pytest
from transcript.asks import request

import spanscript
from spanscript import _guard, _interpretation, _offered
from spanscript._exchange import Choice, Message, Reply, Text, ToolCall
from spanscript._interpretation import INTERPRETERS, Answer, Interpreted, interpreter
from spanscript._json import dumps
from spanscript._offered import Tools, misfits, offered
from spanscript.demo.provider import Step
from spanscript.transcript.entries import interpreted_response

WEATHER = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "minLength": 2},
        "days": {"type": "integer", "minimum": 1},
        "unit": {"enum": ["C", "F"]},
        "stops": {"type": "array", "items": {"type": "object", "required": ["at"]}},
    },
    "required": ["city"],
    "additionalProperties": False,
}
TOOLS = Tools(("get_weather", "search", "run_sql"), {"get_weather": WEATHER}, frozenset({"run_sql"}))


def answer(text=None, *calls, tools=TOOLS, tool_format="native"):
    return Answer("id", "openai", "m", tool_format, text, calls, tools)


def call(name, arguments, **fields):
    return ToolCall("c1", name, arguments, **fields)


@pytest.fixture
def schemas():
    """Schemas are tried where `jsonschema` is there (extra `agent`)."""
    pytest.importorskip("jsonschema")


NATIVE = {
    "an object as text": (call("search", '{"q": "é"}'), {"q": "é"}),
    "an object": (call("search", {"q": 1}), {"q": 1}),
    "no arguments": (call("search", None), {}),
    "empty arguments": (call("search", " "), {}),
    "a text for a tool that takes one": (call("run_sql", "select 1"), "select 1"),
    "another name": (
        call("wether", "{}"),
        'The tool "wether" does not exist. Tools: get_weather, search, run_sql.',
    ),
    "no name": (call(None, "{}"), "A tool call has no name."),
    "no JSON": (
        call("search", '{"city": x}'),
        "Arguments of search are no JSON: Expecting value at character 9.",
    ),
    "cut JSON": (
        call("search", '{"city": "Par'),
        "Arguments of search are no JSON: Unterminated string starting at character 9.",
    ),
    "a number with too many digits": (
        call("search", "1" * 9999),
        "Arguments of search are no JSON: it cannot be read.",
    ),
    "a list": (call("search", "[1]"), "Arguments of search are no JSON object."),
    "a text in JSON": (call("search", '"{}"'), "Arguments of search are no JSON object."),
    "null": (call("search", "null"), "Arguments of search are no JSON object."),
    "too deep to be read": (call("search", "[" * 99_999), "Arguments of search are nested too deeply."),
    "a lone surrogate": (call("search", '{"q": "\ud800"}'), {"q": "\ud800"}),
}


@pytest.mark.parametrize("case", NATIVE)
def test_native(case):
    given, expected = NATIVE[case]

    found = INTERPRETERS["native"](answer("So.", given))

    calls = () if isinstance(expected, str) and expected != given.arguments else (call(given.name, expected),)
    assert found == Interpreted("native", "So.", calls, () if calls else (expected,))


def test_what_the_provider_runs_itself_is_none_of_the_apps_calls():
    theirs = call("web_search", {"query": "x"}, server_side=True)

    assert INTERPRETERS["native"](answer(None, theirs)) == Interpreted("native")


def test_a_name_is_not_looked_up_where_not_all_tools_are_known():
    found = INTERPRETERS["native"](answer(None, call("wether", "{}"), tools=Tools()))

    assert found.tool_calls == (call("wether", {}),)
    assert not found.tool_parse_errors


MISFITS = {
    "missing": ({}, ["city is missing"]),
    "another type": ({"city": 5}, ["city must be of type string"]),
    "not one of": ({"city": "Rom", "unit": "K"}, ["unit must be one of: C, F"]),
    "too small, too short": (
        {"city": "R", "days": 0},
        ["city must have at least 2 characters", "days must be at least 1"],
    ),
    "unknown": ({"city": "Rom", "town": 1, "place": 2}, ["town is not known", "place is not known"]),
    "further in": ({"city": "Rom", "stops": [{"at": 1}, {}]}, ["stops[1].at is missing"]),
    "nothing": ({"city": "Rom", "days": 2, "unit": "C"}, []),
}


@pytest.mark.usefixtures("schemas")
@pytest.mark.parametrize("case", MISFITS)
def test_arguments_that_do_not_fit_their_schema(case):
    arguments, expected = MISFITS[case]

    found = INTERPRETERS["native"](answer(None, call("get_weather", json.dumps(arguments))))

    assert sorted(found.tool_parse_errors) == sorted(
        f"Arguments of get_weather: {text}." for text in expected
    )
    assert found.tool_calls == (() if expected else (call("get_weather", arguments),))


def _nested(depth):
    schema = {"type": "string"}
    for _ in range(depth):
        schema = {"anyOf": [schema]}
    return schema


STRANGE = {
    "none": (5, 1, []),
    "a type that is none": ({"type": "any"}, 1, []),
    "required is a text": ({"required": "city"}, {}, ["the object does not fit the schema (required)"]),
    "Google's capitals": ({"type": "OBJECT", "required": ["a"]}, {}, ["a is missing"]),
    "Google's null": ({"properties": {"a": {"type": "STRING", "nullable": True}}}, {"a": None}, []),
    "a property called nullable": (
        {"properties": {"nullable": {"type": "string"}}},
        {"nullable": 1},
        ["nullable must be of type string"],
    ),
    "OpenAPI's exclusive minimum": (
        {"properties": {"a": {"minimum": 0, "exclusiveMinimum": True}}},
        {"a": 1},
        [],
    ),
    "an older draft's tuple": (
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "properties": {"a": {"items": [{"type": "null"}]}},
        },
        {"a": [1]},
        ["a[0] must be of type null"],
    ),
    "a reference inside": (
        {"$defs": {"n": {"type": "number"}}, "properties": {"a": {"$ref": "#/$defs/n"}}},
        {"a": "x"},
        ["a must be of type number"],
    ),
    "a reference to nothing": ({"properties": {"a": {"$ref": "#/$defs/n"}}}, {"a": "x"}, []),
    "a reference to itself": ({"$ref": "#"}, {}, []),
    "patterns": ({"properties": {"a": {"pattern": "(a+)+$"}}}, {"a": "a" * 64 + "!"}, []),
    "patterns of names": (
        {"patternProperties": {"(a+)+$": {}}, "additionalProperties": False},
        {"a" * 64 + "!": 1},
        [],
    ),
    "many branches": (
        {
            "$defs": {str(n): {"allOf": [{"$ref": f"#/$defs/{n + 1}"}] * 2} for n in range(60)},
            "$ref": "#/$defs/0",
        },
        {},
        [],
    ),
    "equal elements": (
        {"properties": {"a": {"uniqueItems": True}}},
        {"a": [{"n": n} for n in range(20_000)]},
        [],
    ),
    "a deep schema": (_nested(400), 1, []),
    "multiples of nothing": ({"properties": {"a": {"multipleOf": 0}}}, {"a": 1}, []),
    "a schema that allows nothing": (
        {"properties": {"a": False}},
        {"a": 1},
        ["the object does not fit the schema (false)"],
    ),
    "another keyword": ({"not": {}}, {}, ["the object does not fit the schema (not)"]),
    "an id that is none": ({"$id": 5, "required": ["a"]}, {}, []),
    "a constant": ({"properties": {"a": {"const": [1, "é"]}}}, {"a": 1}, ["a must be 1, é"]),
    "one larger than we look at": ({"required": ["a"], "description": "x" * 99_999}, {}, []),
}


@pytest.mark.usefixtures("schemas")
@pytest.mark.parametrize("case", STRANGE)
def test_strange_schemas(case):
    schema, value, expected = STRANGE[case]

    assert misfits(schema, value) == expected


@pytest.mark.usefixtures("schemas")
def test_no_address_that_a_schema_names_is_asked(provider):
    assert misfits({"$ref": f"{provider.openai_url}/schema.json"}, {}) == []
    assert misfits({"$id": provider.openai_url, "properties": {"a": {"$ref": "b.json"}}}, {"a": 1}) == []
    assert not provider.requests


def test_without_a_validator_the_check_is_left_out_and_this_is_said_once(monkeypatch, caplog):
    monkeypatch.setitem(importlib.import_module("sys").modules, "jsonschema", None)
    _offered.prepare.cache_clear()
    try:
        with caplog.at_level(logging.INFO, "spanscript"):
            found = [INTERPRETERS["native"](answer(None, call("get_weather", "{}"))) for _ in range(2)]
    finally:
        _offered.prepare.cache_clear()

    assert [one.tool_calls for one in found] == [(call("get_weather", {}),)] * 2
    assert [record.getMessage().partition(" ")[0] for record in caplog.records] == ["jsonschema"]


FENCED, TAGGED = ("```json\n", "\n```"), ("<tool_call>\n", "\n</tool_call>")
GOOD = '{"name": "search", "arguments": {"q": "```"}}'
TEXTS = {
    "json: none": ("json", "Hello.", "Hello.", [], []),
    "json: one": ("json", f"I look. {GOOD.join(FENCED)} Then?", "I look.  Then?", [{"q": "```"}], []),
    "json: two": ("json", GOOD.join(FENCED) * 2, None, [{"q": "```"}] * 2, []),
    "json: data": ("json", "See ```json\n[1]\n```.", "See ```json\n[1]\n```.", [], []),
    "json: broken": (
        "json",
        "```json\n{x}\n``` So.",
        "So.",
        [],
        ["A tool call is no JSON: Expecting property name enclosed in double quotes at character 1."],
    ),
    "json: another name": (
        "json",
        '```json\n{"name": "find", "arguments": {}}\n```',
        None,
        [],
        ['The tool "find" does not exist. Tools: get_weather, search, run_sql.'],
    ),
    "hermes: none": ("hermes", "Hello.", "Hello.", [], []),
    "hermes: one": ("hermes", f"I look. {GOOD.join(TAGGED)}", "I look.", [{"q": "```"}], []),
    "hermes: arguments as text": (
        "hermes",
        '<tool_call>{"name": "search", "arguments": "{\\"q\\": 1}"}</tool_call>',
        None,
        [{"q": 1}],
        [],
    ),
    "hermes: not closed": ("hermes", f"<tool_call>{GOOD}", None, [{"q": "```"}], []),
    "hermes: cut": (
        "hermes",
        "<tool_call>",
        None,
        [],
        ["A tool call is no JSON: Expecting value at character 0."],
    ),
    "hermes: no call": (
        "hermes",
        "<tool_call>[1]</tool_call>",
        None,
        [],
        ['A tool call is no JSON object with "name" and "arguments".'],
    ),
    "hermes: two values": (
        "hermes",
        f"<tool_call>{GOOD}\n{GOOD}</tool_call>",
        None,
        [],
        ["A tool call has more than one JSON value."],
    ),
    "hermes: too deep": (
        "hermes",
        f"<tool_call>{'[' * 99_999}</tool_call>.",
        ".",
        [],
        ["A tool call is nested too deeply."],
    ),
}


@pytest.mark.parametrize("case", TEXTS)
def test_calls_in_text(case):
    tool_format, text, prose, arguments, errors = TEXTS[case]

    found = INTERPRETERS[tool_format](answer(text))

    calls = tuple(ToolCall(None, "search", value) for value in arguments)
    assert found == Interpreted(tool_format, prose, calls, tuple(errors))


HOSTILE = {
    "many calls": GOOD.join(TAGGED) * 5000 + GOOD.join(FENCED) * 5000,
    "many beginnings": "<tool_call>" * 90_000 + "```json" * 90_000,
    "strings that end elsewhere": '<tool_call>["' * 80_000 + '```json["' * 80_000,
    "too long": f"<tool_call>{' ' * 2_000_000}```json",
    "long names": "".join(
        json.dumps({"name": f"{n}{'x' * 9999}", "arguments": {}}).join(pair)
        for n in range(50)
        for pair in (TAGGED, FENCED)
    ),
}


@pytest.mark.parametrize("tool_format", ["json", "hermes"])
@pytest.mark.parametrize("case", HOSTILE)
def test_what_is_told_is_bounded(case, tool_format):
    found = INTERPRETERS[tool_format](answer(HOSTILE[case]))

    assert found.tool_parse_errors
    assert len(found.tool_calls) <= 100
    assert len(found.tool_parse_errors) <= 20
    assert max(map(len, found.tool_parse_errors)) <= 500


def test_nothing_is_nested_so_deeply_that_it_cannot_be_written():
    for depth in range(100, 1200, 7):
        text = '{"a":' * depth + "1" + "}" * depth
        found = INTERPRETERS["native"](answer(None, call("search", text)))
        assert len(found.tool_calls) + len(found.tool_parse_errors) == 1
        dumps([[[call.arguments for call in found.tool_calls]]])


FUNCTION = {"name": "f", "parameters": {"type": "object"}}
SHAPES = {
    "chat_completions": [{"type": "function", "function": FUNCTION}],
    "chat_completions custom": [{"type": "custom", "custom": {"name": "f", "format": {"type": "text"}}}],
    "responses": [{"type": "function", "strict": True, **FUNCTION}],
    "responses custom": [{"type": "custom", "name": "f"}],
    "responses namespace": [{"type": "namespace", "name": "n", "tools": [{"type": "function", **FUNCTION}]}],
    "messages": [{"name": "f", "input_schema": {"type": "object"}}],
    "messages custom": [{"type": "custom", "name": "f", "input_schema": {"type": "object"}}],
    "messages, the provider's": [{"type": "bash_20250124", "name": "f"}],
    "generate_content": [{"functionDeclarations": [FUNCTION]}],
    "generate_content in snakes": [{"function_declarations": [FUNCTION]}],
    "generate_content, plain schema": [
        {"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"type": "object"}}]}
    ],
    "converse": [
        {"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}},
        {"cachePoint": {"type": "default"}},
    ],
    "converse, the provider's": [{"systemTool": {"name": "f"}}],
    "cohere_chat_v1": [
        {"name": "f", "parameter_definitions": {"a": {"type": "str", "required": True}, "b": {}}}
    ],
}
SCHEMA_OF = {
    "chat_completions custom": None,
    "responses custom": None,
    "messages, the provider's": None,
    "converse, the provider's": None,
    "cohere_chat_v1": {"type": "object", "properties": {"a": {}, "b": {}}, "required": ["a"]},
}


@pytest.mark.parametrize("case", SHAPES)
def test_shapes_of_tools(case):
    schema = SCHEMA_OF.get(case, {"type": "object"})
    takes_text = case in ("chat_completions custom", "responses custom")

    assert offered(json.dumps(SHAPES[case]).encode()) == Tools(
        ("f",), {"f": schema} if schema else {}, frozenset({"f"} if takes_text else ())
    )


@pytest.mark.parametrize(
    "strange", [{"type": "web_search"}, {"google_search": {}}, 5, None, [], {"function": {"name": 5}}]
)
def test_a_shape_that_is_not_known_leaves_the_names_unknown(strange):
    found = offered(json.dumps([*SHAPES["responses"], strange]).encode())

    assert found == Tools(None, {"f": {"type": "object"}})


@pytest.mark.parametrize("raw", [None, b"", b"{}", b"[" * 99_999, b'[{"name":', b"\xff"])
def test_what_is_no_array_of_tools(raw):
    assert offered(raw) == Tools()


def test_tools_of_recorded_requests():
    """Real bodies of each dialect: their tools' names are found in what the body says."""
    found = {}
    for path in sorted((Path(__file__).parent / "exchanges").glob("*/*/request.json")):
        body = json.loads(path.read_bytes())
        tools = (body.get("toolConfig") or body).get("tools") if isinstance(body, dict) else None
        if tools:
            found[path.parent.name] = offered(json.dumps(tools).encode()).names

    assert found.pop("server_tools_citations") is None
    assert found.pop("vertex_server_tools_media") is None
    assert found.pop("steps_tools_thoughts") is None
    assert len(found) >= 9
    assert all(found.values()), found


# -- whole calls

NO_JSON = {
    "id": "x",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "message": {
                "role": "assistant",
                "content": "So.",
                "tool_calls": [
                    {"id": "c", "type": "function", "function": {"name": "get_weather", "arguments": "{,"}}
                ],
            },
        }
    ],
}


def ask_openai(provider, **fields):
    client = importlib.import_module("openai").OpenAI(
        base_url=provider.openai_url, api_key="unused", max_retries=1
    )
    tools = [{"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}]
    fields = {"tools": tools, **fields}
    kept = client.chat.completions.create(
        model="m",
        messages=[{"role": "user", "content": "Weather?"}],
        **{k: v for k, v in fields.items() if v},
    )
    return list(kept) if fields.get("stream") else kept


def ask_anthropic(provider):
    client = importlib.import_module("anthropic").Anthropic(base_url=provider.url, api_key="unused")
    tools = [{"name": "get_weather", "input_schema": WEATHER}]
    messages = [{"role": "user", "content": "Weather?"}]
    client.messages.create(model="m", max_tokens=99, messages=messages, tools=tools)


def ask_google(provider):
    genai = importlib.import_module("google.genai")
    client = genai.Client(api_key="unused", http_options={"base_url": provider.url})
    schema = {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}, "required": ["city"]}
    tools = [{"function_declarations": [{"name": "get_weather", "parameters": schema}]}]
    client.models.generate_content(model="gemini-2.5-flash", contents="Weather?", config={"tools": tools})


ASKED = {"openai": ask_openai, "anthropic": ask_anthropic, "google": ask_google}


@pytest.mark.parametrize("client", ASKED)
def test_an_answer_with_tools_offered_is_interpreted(client, provider, recording):
    provider.script(Step(answer={"calls": [["get_weather", {"city": "Rom"}], ["wether", {}]]}))

    ASKED[client](provider)

    *_, response, found = recording.entries
    assert [response["type"], found["type"]] == ["provider_call_response", "interpreted_response"]
    for key in ("trace_id", "span_id", "call_id", "timestamp"):
        assert found[key] == response[key]
    assert found["tool_format"] == "native"
    first = response["tool_calls"][0]
    arguments = {} if first.get("id") else {"arguments": {"city": "Rom"}}
    assert found["tool_calls"] == [{key: first[key] for key in ("id", "name") if key in first} | arguments]
    assert found["tool_parse_errors"] == ['The tool "wether" does not exist. Tools: get_weather.']
    assert "prose" not in found, "it is the response's text"


@pytest.mark.usefixtures("schemas")
@pytest.mark.parametrize("client", ASKED)
def test_arguments_are_compared_with_the_schema_that_was_sent(client, provider, recording):
    provider.script(Step(answer={"calls": [["get_weather", {}]]}))

    ASKED[client](provider)

    assert recording.entries[-1]["tool_parse_errors"] == ["Arguments of get_weather: city is missing."]


def test_arguments_that_are_no_json(provider, recording):
    provider.script(Step(raw=(json.dumps(NO_JSON).encode(),)))

    ask_openai(provider)

    found = recording.entries[-1]
    assert "prose" not in found, "it is the response's text"
    assert found["tool_calls"] == []
    assert found["tool_parse_errors"] == [
        "Arguments of get_weather are no JSON: Expecting property name enclosed in double quotes at character 1.",
    ]


NOT_INTERPRETED = {
    "no tools": (["ok"], {"tools": None}, 0),
    "a failure, then an answer": (["503 retry-after-ms=1", "ok"], {}, 1),
    "failures": (["503 retry-after-ms=1"] * 2, {}, 0),
    "a stream": (["ok"], {"stream": True}, 1),
    "a stream that is cut": (["unended"] * 2, {"stream": True}, 0),
}


@pytest.mark.parametrize("case", NOT_INTERPRETED)
def test_only_whole_answers_with_tools_offered_are_interpreted(case, provider, recording):
    steps, fields, expected = NOT_INTERPRETED[case]
    provider.script(*steps)

    try:
        ask_openai(provider, **fields)
    except importlib.import_module("openai").APIError:
        assert case == "failures"

    assert len(recording.entries_of("interpreted_response")) == expected


SENT = {
    "as they were sent": (call("f", '{"a": 1}'), call("f", {"a": 1}), False),
    "a text": (call("f", "select 1"), call("f", "select 1"), False),
    "none": (call("f", ""), call("f", {}), True),
    "others": (call("f", '{"a": 1}'), call("f", {"a": 2}), True),
    "of another call": (ToolCall("c2", "f", {"a": 1}), call("f", {"a": 1}), True),
    "without an id": (ToolCall(None, "f", {"a": 1}), ToolCall(None, "f", {"a": 1}), True),
}


@pytest.mark.parametrize("case", SENT)
def test_arguments_stand_in_the_line_unless_the_responses_line_has_them(case):
    sent, understood, expected = SENT[case]
    reply = Reply(choices=(Choice(Message("assistant", (Text("<x>"), sent))),))

    line = interpreted_response(request(), reply, Interpreted("native", None, (understood,)), None).fields

    found = json.loads(b"{%b}" % line)
    assert found["tool_calls"][0].get("arguments") == (understood.arguments if expected else None)
    assert found["prose"] == "", "the text was no prose"


# -- the app's own


@pytest.fixture
def undone():
    yield
    assert _interpretation._interpreters == ()


@pytest.mark.usefixtures("undone")
def test_the_apps_interpreter_is_asked_first(provider, recording):
    asked = []
    outer = interpreter(lambda answer: Interpreted("outer"))
    inner = interpreter(
        lambda answer: asked.append(answer) or (None if len(asked) == 1 else Interpreted("mine", "x"))
    )

    ask_openai(provider)
    ask_openai(provider, tools=None)
    inner()
    ask_openai(provider)
    outer()
    ask_openai(provider)
    ask_openai(provider, tools=None)

    entries = recording.entries_of("interpreted_response")
    assert [entry["tool_format"] for entry in entries] == ["outer", "mine", "outer", "native"]
    assert entries[1]["prose"] == "x"
    assert entries[1]["tool_calls"] == []
    assert "tool_parse_errors" not in entries[1]
    assert [one.tool_format for one in asked] == ["native", "text"]
    assert asked[0].tools == Tools(("get_weather",), {"get_weather": WEATHER})
    assert asked[0].call_id == entries[0]["call_id"]
    assert asked[0].tool_calls[0].name == "get_weather"
    assert asked[1].text == "You said: Weather?"


@pytest.mark.usefixtures("undone")
def test_one_of_ours_by_its_name(provider, recording):
    undo = interpreter("hermes")
    provider.script(Step(answer={"texts": [f"I look. {GOOD.join(TAGGED)}"]}))

    ask_openai(provider, tools=None)

    undo()
    found = recording.entries[-1]
    assert found["tool_format"] == "hermes"
    assert found["prose"] == "I look."
    assert found["tool_calls"] == [{"name": "search", "arguments": {"q": "```"}}]


def test_a_name_that_is_none_of_ours():
    with pytest.raises(ValueError, match="native, json, hermes"):
        interpreter("xml")


def raising(answer):
    raise RuntimeError("the app's")


DEEP: list = []
DEEP.append(DEEP)
BAD = {
    "raises": raising,
    "gives something else": lambda answer: {"prose": "x"},
    "gives what cannot be written": lambda answer: Interpreted("mine", "x", (ToolCall("1", "f", object()),)),
    "gives other calls": lambda answer: Interpreted("mine", "x", ({"name": "f"},)),
    "gives what has no end": lambda answer: Interpreted("mine", "x", (ToolCall("1", "f", DEEP),)),
}


@pytest.mark.usefixtures("undone")
@pytest.mark.parametrize("case", BAD)
def test_where_the_apps_fails_ours_is_used_and_this_is_said_once(
    case, provider, recording, monkeypatch, caplog
):
    monkeypatch.setattr(_guard, "strict", False)
    monkeypatch.setattr(_guard.PLACES["spanscript._interpretation._asked"], "reported", False)
    undo = interpreter(BAD[case])

    with caplog.at_level(logging.WARNING, "spanscript"):
        ask_openai(provider)
        ask_openai(provider)
    undo()

    found = recording.entries_of("interpreted_response")
    assert [entry["tool_format"] for entry in found] == ["native", "native"]
    assert len([r for r in caplog.records if r.name == "spanscript"]) == 1


@pytest.mark.usefixtures("undone")
def test_without_a_transcript_nothing_is_asked(provider):
    asked = []
    undo = interpreter(asked.append)
    off = spanscript.instrument()

    ask_openai(provider)

    off()
    undo()
    assert asked == []
