"""
Streams read while they come, in any split: what was told in pieces, joined, is the whole reply.

Nothing may be told twice or early, and what comes in pieces must be told so: `PIECELESS` names what is not.
"""

from __future__ import annotations

import json
import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_corpus import content_of, reply_of, rows
from test_dialects import AWS, FRAMED, STREAMED, dialect_of, framed, name, stream_of

from spanscript import _wire
from spanscript._arriving import Arriving
from spanscript._deltas import Deltas
from spanscript._dialects import DIALECTS
from spanscript._exchange import Event, Text, Thinking
from spanscript._json import dumps

SSE = "text/event-stream"
LINES = "application/x-ndjson"


def split(data, seed):
    """*data* in pieces: of one byte, or of any sizes up to *seed* times a hundred."""
    sizes, at = random.Random(seed), 0
    while at < len(data):
        size = sizes.randint(1, 100 * seed) if seed else 1
        yield data[at : at + size]
        at += size


def content(case):
    if case in FRAMED:
        return b"".join(framed(case)), AWS
    return stream_of(case)[:2]


def told(deltas):
    """Text, thinking, and each call's name and arguments, joined."""
    kinds, calls = {"text": "", "thinking": ""}, {}
    for delta in deltas:
        if delta.kind == "tool_arguments":
            calls[delta.index] = (delta.tool, calls.get(delta.index, ("", ""))[1] + delta.text)
        else:
            kinds[delta.kind] += delta.text
    return kinds["text"], kinds["thinking"], [calls[place] for place in sorted(calls)]


def said(reply):
    calls = [(call.name, call.arguments) for call in reply.tool_calls]
    return reply.texts(Text) or "", reply.texts(Thinking) or "", calls


def value(arguments):
    """Arguments, however they are spelt."""
    if not isinstance(arguments, str):
        return arguments
    try:
        return json.loads(arguments or "{}")
    except ValueError:
        return arguments


def assert_told(deltas, reply):
    text, thinking, calls = told(deltas)
    expected_text, expected_thinking, expected_calls = said(reply)
    assert (text, thinking) == (expected_text, expected_thinking)
    found, expected = ([(n, json.dumps(value(a) or {})) for n, a in c] for c in (calls, expected_calls))
    assert sorted(found) == sorted(expected)  # told in the order in which they began


def in_pieces(dialect, kind, chunks):
    deltas = Deltas(dialect, kind)
    return deltas, [delta for chunk in chunks for delta in deltas.take(chunk)]


@pytest.mark.parametrize("case", FRAMED + STREAMED, ids=name)
@pytest.mark.parametrize("seed", [0, 1, 2, 30, 10**6])
def test_deltas_joined_are_the_whole(case, seed):
    dialect, (data, kind) = dialect_of(case), content(case)
    reply = _wire.read(dialect, kind, data, 200)
    deltas, pieces = in_pieces(dialect, kind, split(data, seed))
    rest = deltas.rest(reply)

    assert_told(pieces + rest, reply)
    assert deltas.rest(reply) == []
    assert {delta.tool for delta in rest if delta.text} == COME_WHOLE.get(name(case), set())


COME_WHOLE = {
    "cohere_chat_v1-history_tools": {"query_sales"},
    "interactions-outputs_of_the_first_version": {"get_weather"},
    "interactions-steps_tools_thoughts": {"google_search"},
    "responses-items_in_parallel_tools_out": {"computer"},
    "responses-server_tools_citations": {"web_search", "file_search", "image_generation", "tool_search"},
}
"""Case → the tools whose arguments its wire API sends in one, at the end of the call or of the answer."""


@pytest.mark.parametrize("case", FRAMED + STREAMED, ids=name)
def test_counts_are_the_wires(case):
    """What was told on the way is a part of what is told in the end."""
    dialect, (data, kind) = dialect_of(case), content(case)
    usage = _wire.read(dialect, kind, data, 200).usage
    deltas, _ = in_pieces(dialect, kind, [data])
    for key, count in msgspec.structs.asdict(deltas.usage).items():
        assert count is None or count <= getattr(usage, key)


@pytest.mark.parametrize("case", FRAMED + STREAMED, ids=name)
def test_a_stream_that_is_cut(case):
    """What was told is a beginning of what the cut stream is read as, and the rest completes it."""
    dialect, (data, kind) = dialect_of(case), content(case)
    for end in random.Random(5).sample(range(len(data)), 40):
        reply = _wire.read(dialect, kind, data[:end], 200)
        deltas, pieces = in_pieces(dialect, kind, split(data[:end], 3))
        text, thinking, _ = told(pieces)
        assert (reply.texts(Text) or "").startswith(text)
        assert (reply.texts(Thinking) or "").startswith(thinking)
        assert told(pieces + deltas.rest(reply))[:2] == said(reply)[:2]


@pytest.mark.parametrize(("dialect", "row"), rows(stream=["sse", "aws-eventstream"]))
def test_recorded_streams(dialect, row):
    data, reply = content_of(row), reply_of(dialect, row)
    kind = SSE if row["stream"] == "sse" else row["resp_headers"]["content-type"]
    for seed in (1, 10**6):
        deltas, pieces = in_pieces(dialect, kind, split(data, seed))
        rest = deltas.rest(reply)
        assert_told(pieces + rest, reply)
        assert {delta.kind for delta in rest if delta.text} <= {"tool_arguments"}


def test_arguments_in_pieces_that_are_values():
    """Google's: each is told as JSON, and the reply has them all."""
    pieces = [{"jsonPath": "$.city", "stringValue": text} for text in ("Zü", "rich")]
    calls = [
        {"name": "f", "willContinue": True},
        *({"partialArgs": [piece], "willContinue": True} for piece in pieces),
        {},
        {"name": "f", "args": {"a": 1}},
    ]
    data = b"".join(
        b"data: " + dumps({"candidates": [{"content": {"parts": [{"functionCall": call}]}}]}) + b"\n\n"
        for call in calls
    )
    dialect = DIALECTS["generate_content"]
    deltas, found = in_pieces(dialect, SSE, [data])
    found += deltas.rest(_wire.read(dialect, SSE, data, 200))
    assert [(delta.index, delta.tool, delta.text and json.loads(delta.text)) for delta in found] == [
        (0, "f", ""),
        *((0, "f", [piece]) for piece in pieces),
        (1, "f", {"a": 1}),
    ]


# --- the splitter


def events(kind, chunks):
    arriving = Arriving(kind)
    return [event for chunk in chunks for event in arriving.take(chunk)] + arriving.end()


OBJECTS = b'[{"a":"}]\\"{[","b":[{}]}\n,\r\n{"a":"gr\xc3\xbc\xc3\x9f"} , {"c":"\\\\"}]\n'


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (SSE, b'event: e\r\ndata: {"a":1}\r\n\r\n: nothing\r\n\r\ndata: [DONE]\r\n\r\n'),
        (SSE, b'data: {"a":1}\r\rdata: 2\r\r\rdata: 3'),
        (SSE, b'\xef\xbb\xbfdata: {"a":\ndata: 1}\n\n\n\ndata: cut'),
        ("", b'data: {"a":1}\n\n'),
        (SSE, b'{"error": "no stream"}\n\n'),
        (SSE, OBJECTS),
        ("application/json", OBJECTS),
        ("application/json", b"\xef\xbb\xbf" + OBJECTS[:-9]),
        ("application/json", b'[ \n {"a": [1, 2, {"b": "]"}]}\n]'),
        ("application/json", b"[1, 2]\n"),
        (LINES, b'{"a":1}\n\n{"b":2}\r\n{"c":3}'),
        (LINES, b'{"a":1}\nno json\n{"cut'),
        (AWS, b"".join(framed(FRAMED[0]))),
        (AWS, b"".join(framed(FRAMED[0])) + b"no frame, and nothing after it"),
    ],
)
def test_events_come_once_in_any_split(kind, data):
    expected = list(_wire.events(data, kind))
    for seed in (0, 1, 2, 10**6):
        assert events(kind, split(data, seed)) == expected
    for at in range(len(data)):
        assert events(kind, [data[:at], data[at:]]) == expected


PIECES = [
    b"data: ",
    b"event: e",
    b'{"a":"\xc3\xbc"}',
    b"[DONE]",
    b"\n",
    b"\r",
    b"\n\n",
    b"\r\n\r\n",
    b":",
    b" ",
]


@given(st.lists(st.sampled_from(PIECES)), st.sampled_from([SSE, LINES, ""]), st.integers(0, 5))
def test_any_lines(pieces, kind, seed):
    data = b"".join(pieces)
    assert events(kind, split(data, seed)) == list(_wire.events(data, kind))


def test_an_event_comes_with_its_last_byte():
    arriving = Arriving(SSE)
    assert arriving.take(b'data: {"a":1}\n') == []
    assert arriving.take(b"\n") == [Event({"a": 1})]
    arriving = Arriving("application/json")
    assert arriving.take(b'[{"a":"}') == []
    assert arriving.take(b'"}') == [Event({"a": "}"})]
    assert arriving.take(b',{"b":2}]') == [Event({"b": 2})]


def test_a_long_event_in_many_pieces_is_looked_at_once():
    """Each byte again for each piece would be 10**11 steps."""
    for kind, first, last in (
        (SSE, b'data: {"a":"', b'"}\n\n'),
        ("", b'[{"a":"', b'"}]'),
        (LINES, b'{"a":"', b'"}\n'),
    ):
        chunks = [first, *[b"x" * 16] * 100_000, last]
        assert events(kind, chunks) == [Event({"a": "x" * 1_600_000})]
