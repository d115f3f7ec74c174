"""The hash chain: what is new, what it is called, and that nothing of a body is lost."""

import base64
import json
from hashlib import sha256

import pytest
from asks import IDS, loads, rebuild, request, said
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spanscript.transcript import conversation as module
from spanscript.transcript import entries
from spanscript.transcript.conversation import Conversation, Recent, hash_of, request_entries
from spanscript.transcript.entries import Stamp


def lines_of(made, conversation, *, written=True):
    data = entries.lines(request_entries(made, IDS)(conversation), Stamp("0badcafe", 0), 0)
    (conversation.commit if written else conversation.roll_back)()
    return [loads(line) for line in data.split(b"\n")[:-1]]


def digest(text):
    return sha256(text.encode("utf-8", "surrogatepass")).digest()[:16].hex()


@pytest.mark.parametrize(
    ("raw", "canonical"),
    [
        (b'"hi"', '"hi"'),
        (b'{"b":1,"a":[1.0,true,null,1e22]}', '{"a":[1.0,true,null,1e+22],"b":1}'),
        (b'{"\\u00e9":"\\n\\u007f","z":"\\ud83d\\ude00"}', '{"z":"\U0001f600","é":"\\n\x7f"}'),
        (b'{"big":123456789012345678901234567890}', '{"big":123456789012345678901234567890}'),
        (b'["\\ud800"]', '["\ud800"]'),
    ],
)
def test_hash(raw, canonical):
    assert hash_of(json.loads(raw)) == digest("\n" + canonical)
    assert hash_of(json.loads(raw), "ab") == digest("ab\n" + canonical)
    message = lines_of(request([raw]), Conversation())[0]
    assert (message["hash"], message["parent"]) == (digest("\n" + canonical), None)


def test_system_prompt_tools_messages_request_in_this_order():
    made = request(said("a", "b"), system=b'"be kind"', tools=b'[{"name":"f"}]', iteration=4)
    system, tools, first, second, asked = lines_of(made, Conversation())
    assert [line["type"] for line in (system, tools, first, second, asked)] == [
        "system_prompt", "tool_schemas", "message", "message", "provider_call_request",
    ]  # fmt: skip
    assert (system["hash"], system["content"]) == (digest('\n"be kind"'), "be kind")
    assert (tools["hash"], tools["schemas"]) == (digest('\n[{"name":"f"}]'), [{"name": "f"}])
    assert (first["parent"], second["parent"]) == (None, first["hash"])
    assert first["iteration"] == second["iteration"] == asked["iteration"] == 4
    assert [asked[key] for key in ("system_prompt", "tool_schemas", "context")] == [
        system["hash"],
        tools["hash"],
        second["hash"],
    ]
    assert asked["body_sha256"] == sha256(made.content).hexdigest()
    assert asked["body_bytes"] == len(made.content)
    assert all(
        line["trace_id"] == IDS.trace_id and line["span_id"] == IDS.span_id
        for line in (system, tools, first, asked)
    )


@pytest.mark.parametrize(
    ("contexts", "new"),
    [
        (["a", "ab", "abc"], [1, 1, 1]),
        (["abc", "abc", "ab"], [3, 0, 0]),
        (["ab", "xb", "ab", "xbc"], [2, 2, 0, 1]),  # the same text after another parent is another message
        (["abcd", "abXd"], [4, 2]),  # an edit of history
        (["aaa"], [3]),
        (["", "a", ""], [0, 1, 0]),
    ],
)
def test_new_messages(contexts, new):
    conversation, everything = Conversation(), []
    for texts, expected in zip(contexts, new, strict=True):
        made = request(said(*texts))
        *messages, asked = lines_of(made, conversation)
        assert [line["type"] for line in messages] == ["message"] * expected
        everything += messages
        assert rebuild(everything, asked) == json.loads(made.content)
        assert asked["message_count"] == len(texts)


def test_a_root_message_and_a_system_prompt_of_one_hash_are_both_written():
    conversation = Conversation()
    body = b'{"instructions":SYSTEM,"input":{"$transcript":"message"}}'
    made = request([b'"hi"'], system=b'"hi"', body=body)
    system, message, asked = lines_of(made, conversation)
    assert system["hash"] == message["hash"] == asked["context"]
    assert rebuild([system, message], asked) == {"instructions": "hi", "input": "hi"}


def test_what_was_not_written_is_written_again():
    conversation, made = Conversation(), request(said("a", "b"), system=b'"s"')
    first = lines_of(made, conversation, written=False)
    again = lines_of(made, conversation)
    assert first == again
    assert [line["type"] for line in lines_of(made, conversation)] == ["provider_call_request"]


DEEP = b"[" * 100_000 + b"]" * 100_000


@pytest.mark.parametrize(
    "fields",
    [
        {"items": [b'{"content":NaN}']},
        {"items": [b'{"content":"\xff"}']},
        {"items": [b'{"content":"\xed\xa0\x80"}']},
        {"items": [b'{"content":' + DEEP + b"}"]},
        {"system": b"[Infinity]"},
        {"tools": b"[-Infinity]"},
        {"body": b'{"temperature":NaN,"messages":[ITEMS]}'},
        {"body": b'{"a":' + DEEP + b',"messages":[ITEMS]}'},
    ],
    ids=str,
)
def test_a_body_that_no_line_can_hold_as_json_stands_whole(fields):
    conversation, made = Conversation(), request(**{"items": said("a"), **fields})
    (line,) = lines_of(made, conversation)
    whole = line["body_text"].encode() if "body_text" in line else base64.b64decode(line["body_base64"])
    assert whole == made.content
    assert line.keys().isdisjoint(("body", "context", "system_prompt", "tool_schemas", "message_count"))
    assert [e["type"] for e in lines_of(request(said("a")), conversation)] == [
        "message",
        "provider_call_request",
    ]


def test_recent_forgets_the_oldest_half():
    recent = Recent(10)
    for number in range(12):
        recent.put(number, str(number))
        assert recent.get(0) == "0"  # used all the time
    assert recent.get(1) is None
    assert recent.get(11) == "11"
    assert len(recent._young) + len(recent._old) <= 10
    recent.put("big", "x", 1000)
    assert recent.get("big") == "x"
    recent.put("next", "y", 1000)
    assert recent.get(11) is None


def test_forgotten_hashes_are_only_written_again(monkeypatch):
    monkeypatch.setattr(module, "KNOWN_HASHES", 8)
    monkeypatch.setattr(module, "CACHE_BYTES", 2000)
    conversation, everything = Conversation(), []
    for turn in range(40):
        made = request(said(*map(str, range(turn))))
        *messages, asked = lines_of(made, conversation)
        everything += messages
        assert rebuild(everything, asked) == json.loads(made.content)
    assert len(everything) <= 40, "the end of a chain is what is remembered"
    kept = sum(
        len(raw) for cache in (conversation._hashes._young, conversation._hashes._old) for _, raw in cache
    )
    assert kept <= 2000


TEXT = st.text(st.characters(), max_size=8)
SCALAR = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
KEY = TEXT | st.sampled_from(["role", "content", "$transcript", *sorted(entries.ENVELOPE)])
VALUE = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEY, inner, max_size=3), max_leaves=8
)
MESSAGE = st.dictionaries(KEY, VALUE, max_size=4) | TEXT | VALUE
STYLE = st.sampled_from(
    [
        {"separators": (",", ":")},
        {},
        {"indent": 2},
        {"indent": "\t", "separators": (" ,\r\n", " :\n")},
        {"ensure_ascii": False},
    ]
)


def same(one, other):
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.tuples(MESSAGE, STYLE), max_size=4),
    VALUE,
    VALUE,
    st.dictionaries(KEY, VALUE, max_size=3),
    STYLE,
)
@example([({"role": "user", "message": {}}, {})], "s", [], {}, {})
@example([], None, 0, {"": {"$transcript": "context"}}, {})
def test_any_body_is_rebuilt(messages, system, tools, rest, style):
    def raw(value, style):
        return json.dumps(value, **style).encode("utf-8", "surrogatepass")

    rest.pop("messages", None)
    inner = b"".join(b"," + raw(key, {}) + b":" + raw(value, style) for key, value in rest.items())
    body = b'{"system":SYSTEM,"tools":TOOLS,"messages":[ITEMS]' + inner + b"}"
    if any(word in inner for word in (b"SYSTEM", b"TOOLS", b"ITEMS")):
        return
    items = [raw(*message) for message in messages]
    conversation = Conversation()
    for count in range(len(items) + 1):
        made = request(items[:count], system=raw(system, style), tools=raw(tools, style), body=body)
        everything = lines_of(made, conversation, written=False)
        asked = everything[-1]
        if "body" in asked:
            assert same(rebuild(everything, asked), json.loads(made.content))
        else:
            whole = (
                asked["body_text"].encode()
                if "body_text" in asked
                else base64.b64decode(asked["body_base64"])
            )
            assert whole == made.content


def test_what_was_not_written_is_no_spelling():
    """The one that stands in the file counts, not the one that was to."""
    conversation = Conversation()
    ours, theirs = request([b'{"a":1,"b":2}']), request([b'{"b":2,"a":1}'])

    lines_of(ours, conversation, written=False)
    first, again, other = (lines_of(made, conversation) for made in (theirs, theirs, ours))

    assert [line["type"] for line in first] == ["message", "provider_call_request"]
    assert "verbatim" not in again[-1]
    assert other[-1]["verbatim"] is True
