"""`diff`: what changed in the model's context between two calls."""

from __future__ import annotations

import json

import pytest
from spec_writer import IDS, SYSTEM, TOOLS, SpecWriter, compact

from spanscript.cli import _changes


def message(text, role="user"):
    return {"role": role, "content": text}


U, A, B, C = map(message, ("What is the weather?", "It rains in Porto.", "And in Faro?", "Thanks"))
LONG = [message(f"number {n}") for n in range(500)]


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ([], [], []),
        ([U, A], [U, A], [("same", 0, 2)]),
        ([U], [U, A, B], [("same", 0, 1), ("added", 1, 1), ("added", 2, 1)]),
        ([U, A, B], [B], [("dropped", 0, 1), ("dropped", 1, 1), ("same", 0, 1)]),
        ([U, A, B], [U, B], [("same", 0, 1), ("dropped", 1, 1), ("same", 1, 1)]),
        ([U, A, B], [U, C, B], [("same", 0, 1), ("dropped", 1, 1), ("added", 1, 1), ("same", 2, 1)]),
        (
            [U, A, B],
            [U, message("It rains in Lisbon."), B],
            [("same", 0, 1), ("edited", 1, 1), ("same", 2, 1)],
        ),
        ([A], [message("It rains in Porto.", "system")], [("dropped", 0, 1), ("added", 0, 1)]),
        ([A, C], [C, message("It rains.")], [("dropped", 0, 1), ("same", 0, 1), ("added", 1, 1)]),
        (["a b c"], ["a b d"], [("edited", 0, 1)]),
        ([1], [1.0], [("edited", 0, 1)]),
        (LONG, [U, *LONG], [("added", 0, 1), ("same", 1, 500)]),
        (LONG, [*LONG, U], [("same", 0, 500), ("added", 500, 1)]),
        (LONG, [*LONG[:250], U, *LONG[250:]], [("same", 0, 250), ("added", 250, 1), ("same", 251, 250)]),
    ],
)
def test_changes_of_messages(before, after, changes):
    assert [(c.kind, c.at, c.count) for c in _changes.of_messages(before, after)] == changes


def test_so_many_messages_are_not_compared_one_by_one(monkeypatch):
    monkeypatch.setattr(_changes, "_MOST_COMPARED", 10)
    found = _changes.of_messages(LONG[:20], [U, *LONG[1:19], A])

    assert {change.kind for change in found} == {"dropped", "edited", "added"}
    assert _changes.of_texts("a\n" * 9, "b") == ["-a"] * 9 + ["-", "+b"]


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ({}, {}, {}),
        ({"a": 1}, {"a": 1}, {}),
        ({"a": 1}, {"a": 1.0}, {"a": [[1], [1.0]]}),
        ({"a": None}, {}, {"a": [[None], []]}),
        ({}, {"b": [1]}, {"b": [[], [[1]]]}),
    ],
)
def test_changes_of_parameters(before, after, changes):
    assert _changes.of_parameters(before, after) == changes


def test_changes_of_texts():
    assert _changes.of_texts("a\nb", "a\nc") == ["@@ -1,2 +1,2 @@", " a", "-b", "+c"]
    assert _changes.of_texts(None, {"a": 1}) == ["@@ -0,0 +1,3 @@", "+{", '+  "a": 1', "+}"]
    assert _changes.of_texts("a", "a") == []


def two():
    w = SpecWriter()
    w.request(
        IDS[0], 0, compact({"model": "m", "messages": [SYSTEM, U, A, B], "tools": TOOLS, "temperature": 1})
    )
    brief = {**SYSTEM, "content": SYSTEM["content"] + "\nBe brief."}
    options = {"reasoning": {"effort": "low"}, "stop": ["x"]}
    edited = message("It rains in Lisbon.")
    w.request(IDS[1], 0, compact({"model": "n", "messages": [brief, U, edited, C], **options}), stage="s")
    return w.bytes()


def test_diff(run):
    code, out, err = run("diff", IDS[0], "last", data=two())

    assert (code, err) == (0, "")
    assert out.decode().splitlines() == [
        f"- {IDS[0]}  2026-11-22T07:00:06.000000Z  m  unfinished",
        f"+ {IDS[1]}  2026-11-22T07:00:10.000000Z  n  s  unfinished",
        "",
        "PARAMETERS",
        "~ model  m → n",
        "- temperature  1",
        "+ stage  s",
        "+ reasoning.effort  low",
        '+ stop  ["x"]',
        "",
        "SYSTEM PROMPT",
        "@@ -1 +1,2 @@",
        " You are exact.\\u2028Ünïcödé",
        "+Be brief.",
        "",
        "TOOLS",
        "@@ -1,12 +0,0 @@",
        *(f"-{line}" for line in json.dumps(TOOLS, indent=2).splitlines()),
        "",
        "MESSAGES  1 same, 1 edited, 1 dropped, 1 added",
        "= 1 of the same",
        "~ [user]",
        "  @@ -1 +1 @@",
        "  -It rains in Porto.",
        "  +It rains in Lisbon.",
        "- [user]",
        "  And in Faro?",
        "+ [user]",
        "  Thanks",
    ]


def test_json(run):
    found = json.loads(run("diff", IDS[0], IDS[1], "--json", data=two())[1])

    assert (found["before"], found["after"]) == (IDS[0], IDS[1])
    assert found["parameters"]["temperature"] == {"before": 1}
    assert found["parameters"]["model"] == {"before": "m", "after": "n"}
    assert found["messages"][1] == {
        "change": "edited",
        "at": 1,
        "count": 1,
        "before": A,
        "after": message("It rains in Lisbon."),
    }


def test_a_call_and_itself(run):
    _, out, _ = run("diff", "last", "last", data=two())

    assert out.decode().splitlines()[2:] == ["", "MESSAGES  3 same", "= 3 of the same"]


def test_a_context_that_is_not_there(run):
    lines = [line for line in two().splitlines(keepends=True) if b"Porto" not in line]
    code, out, err = run("diff", IDS[1], IDS[0], data=b"".join(lines))

    assert (code, out) == (2, b"")
    assert "the context cannot be rebuilt: message" in err
    assert "is missing: its line is lost" in err
