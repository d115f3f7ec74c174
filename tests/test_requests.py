"""Bodies read with a memory are what they are without one."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanscript._exchange import Split
from spanscript._json import dumps, elements, members
from spanscript._requests import BodyReader, characters, one_line

KEYS = st.sampled_from(["messages", "model", "a", "", "é", 'q"', "tools", "\ud800"])
SCALARS = st.sampled_from(
    [
        0,
        1,
        12,
        123,
        1.5,
        1e-7,
        True,
        None,
        "",
        "x",
        "messages",
        '["",1]',
        '"],"messages":[""]}',
        "é😀",
        10**30,
    ]
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
SPACES = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t:\r\n "), ("\n,", ": ")])


def encode(pairs, separators, ascii_only):
    """An object with duplicate keys allowed."""
    comma, colon = separators
    one = lambda v: json.dumps(v, separators=separators, ensure_ascii=ascii_only)  # noqa: E731
    text = "{" + comma.join(one(k) + colon + one(v) for k, v in pairs) + "}"
    return text.encode("utf-8", "surrogatepass")


def plain(content, key="messages"):
    content.decode()
    fields = members(content)
    raw = fields.get(key, b"")
    items = elements(raw) if raw[:1] == b"[" else []
    return {**fields, key: b"[" + items[0] + b"]"} if items else fields, items


def outcome(read, content):
    try:
        return read(content)
    except ValueError:
        return ValueError


HISTORIES = st.lists(VALUES, max_size=6)
PAIRS = st.lists(st.tuples(KEYS, VALUES), max_size=3)


@st.composite
def bodies(draw):
    """Several bodies, most of them a history that is sent again with changes at its end."""
    history = draw(HISTORIES)
    before = draw(PAIRS)
    spaces, ascii_only = draw(SPACES), draw(st.booleans())
    sent = []
    for _ in range(draw(st.integers(2, 5))):
        pairs = [*before, ("messages", history), *draw(PAIRS)]
        sent.append(encode(pairs, spaces, ascii_only))
        cut = draw(st.integers(0, len(history)))
        history = history[: len(history) if draw(st.booleans()) else cut] + draw(HISTORIES)
        if draw(st.integers(0, 4)) == 0:
            spaces, before = draw(SPACES), draw(PAIRS)
    return sent


@given(bodies(), st.integers(0, 3))
@settings(max_examples=400, deadline=None)
def test_equals_plain_parse(sent, small):
    reader = BodyReader(worth=0, limit=[10**9, 10**9, 2000, 300][small])
    for content in sent:
        assert outcome(lambda c: reader.read(c, "messages"), content) == outcome(plain, content)
    assert sum(b.size for b in reader._known) <= reader._limit


@given(
    st.data(),
    st.lists(st.sampled_from(["1", "12", '""', '"a"', "{}", "[1]", "null"]), min_size=1, max_size=5),
)
@settings(max_examples=300, deadline=None)
def test_any_change_of_bytes(data, items):
    """A body that begins like a remembered one and is then cut, glued or garbled anywhere."""
    reader = BodyReader(worth=0)
    content = ('{"a":1,"messages":[' + ",".join(items) + '],"z":[""]}').encode()
    reader.read(content, "messages")
    at = data.draw(st.integers(0, len(content)))
    to = data.draw(st.integers(at, min(len(content), at + 3)))
    piece = data.draw(
        st.sampled_from(
            [b"", b"2", b".5", b"]", b",", b'"', b" ", b'],"messages":[""', b"\xff", b"e5", b'["",1]']
        )
    )
    garbled = content[:at] + piece + content[to:]
    assert outcome(lambda c: reader.read(c, "messages"), garbled) == outcome(plain, garbled)


def body(history, **rest):
    return dumps({"model": "m", "tools": [{"big": "x" * 5000}], "messages": history, **rest})


def test_shared_elements_are_identical_objects():
    reader = BodyReader()
    history = [{"role": "user", "content": f"message {i} " + "y" * 200} for i in range(40)]
    fields, first = reader.read(body(history), "messages")
    more, second = reader.read(body([*history, {"role": "user", "content": "next"}], stream=True), "messages")

    assert all(a is b for a, b in zip(first, second, strict=False))
    assert more["tools"] is fields["tools"]
    assert second[-1] == b'{"role":"user","content":"next"}'
    assert more["messages"] == plain(body([*history, {"role": "user", "content": "next"}]))[0]["messages"]


def test_branches_share_what_they_share():
    reader = BodyReader()
    history = [{"role": "user", "content": f"message {i} " + "y" * 200} for i in range(40)]
    _, trunk = reader.read(body(history), "messages")
    branches = [[*history[:30], {"role": "user", "content": f"branch {b}"}] for b in range(3)]
    for branch in branches * 2:
        _, items = reader.read(body(branch), "messages")
        assert sum(a is b for a, b in zip(trunk, items, strict=False)) == 30
        assert items == plain(body(branch))[1]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b'{"messages":[1,}',
        b'{"messages":["\xff"]}',
        b'{"a":"\n"}',
        b"\xef\xbb\xbf{}",
        b'{"a":1}x',
    ],
)
def test_no_body(content):
    with pytest.raises(ValueError):
        BodyReader(worth=0).read(content, "messages")


@pytest.mark.parametrize(
    "content", [b"{}", b'{"messages":"hi"}', b'{"messages":{"messages":[1]}}', b'{"messages":[ ]}']
)
def test_no_elements(content):
    assert BodyReader(worth=0).read(content, "messages") == (members(content), [])


def test_one_line():
    raw = b'{\r\n "a": "\\n",\n"b":\t1}'

    assert json.loads(one_line(raw)) == json.loads(raw)
    assert b"\n" not in one_line(raw)
    assert b"\r" not in one_line(raw)


def test_characters_are_not_bytes():
    assert (
        characters(Split(b"{}", ['"é😀"'.encode(), b"[1]"], system=b'"abc"', tools='["ü"]'.encode()))
        == 4 + 3 + 5 + 5
    )
