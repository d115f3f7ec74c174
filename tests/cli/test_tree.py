"""`tree`: which call follows which."""

from __future__ import annotations

import json

import pytest
from spec_writer import IDS, SYSTEM, SpecWriter, compact


def message(text, role="user"):
    return {"role": role, "content": text}


U, V, W, X = map(message, ("one", "two", "three", "four"))
TRACE = {"trace_id": "ab" * 16, "span_id": "cd" * 8}


def ask(w, number, messages, answer="fine", system=SYSTEM, **fields):
    w.request(IDS[number], 0, compact({"model": "m", "messages": [system, *messages]}), **fields)
    if answer is not None:
        w.response(IDS[number], 0, answer)


def call_tool(w, number, messages, arguments, **fields):
    ask(w, number, messages, None, **fields)
    w.response(IDS[number], 0, None, tool_calls=[{"id": "c", "name": "ask", "arguments": arguments}])


def continued(w):
    ask(w, 0, [U])
    ask(w, 1, [U, V])
    ask(w, 2, [U, V, W, X])


def forked(w):
    ask(w, 0, [U])
    ask(w, 1, [U, V])
    ask(w, 2, [U, W])


def edited(w):
    ask(w, 0, [U, V, W])
    ask(w, 1, [U, X, W])


def rewound(w):
    ask(w, 0, [U, V, W])
    ask(w, 1, [U, V])


def repeated(w):
    ask(w, 0, [U])
    ask(w, 1, [U])


def shortened(w):
    ask(w, 0, [U, V, W])
    ask(w, 1, [message("a summary"), W, X])


def restarted(w):
    ask(w, 0, [U, V], stage="plan", iteration=1)
    ask(w, 1, [W], stage="plan", iteration=2)
    ask(w, 2, [X], stage="write", iteration=3)


def asked_a_sub_agent(w):
    call_tool(w, 0, [U], json.dumps({"question": "How warm is Porto?"}))
    ask(w, 1, [message("Answer this: How warm is Porto?")], system=message("You are another.", "system"))
    ask(w, 2, [U, V])


def asked_a_sub_agent_in_its_trace(w):
    call_tool(w, 0, [U], "{}", **TRACE)
    ask(w, 1, [W], **TRACE)
    ask(w, 2, [U, V], **TRACE)
    ask(w, 3, [X], **TRACE)


def unrelated(w):
    call_tool(w, 0, [U], json.dumps({"question": "How warm is Porto?"}))
    ask(w, 1, [U, V])
    ask(w, 2, [message("How warm is Porto?")])
    ask(w, 3, [])


@pytest.mark.parametrize(
    ("write", "relations"),
    [
        (continued, [("begins", None, 0), ("continues", 0, 1), ("continues", 1, 2)]),
        (forked, [("begins", None, 0), ("continues", 0, 1), ("forks", 0, 1)]),
        (edited, [("begins", None, 0), ("forks", 0, 1)]),
        (rewound, [("begins", None, 0), ("forks", 0, 2)]),
        (repeated, [("begins", None, 0), ("repeats", 0, 1)]),
        (shortened, [("begins", None, 0), ("shortens", 0, 1)]),
        (restarted, [("begins", None, 0), ("restarts", 0, 0), ("begins", None, 0)]),
        (asked_a_sub_agent, [("begins", None, 0), ("sub-agent", 0, 0), ("continues", 0, 1)]),
        (
            asked_a_sub_agent_in_its_trace,
            [("begins", None, 0), ("sub-agent", 0, 0), ("continues", 0, 1), ("begins", None, 0)],
        ),
        (unrelated, [("begins", None, 0), ("continues", 0, 1), ("begins", None, 0), ("begins", None, 0)]),
    ],
)
def test_relations(run, write, relations):
    w = SpecWriter()
    write(w)
    found = {call["call_id"]: call for call in json.loads(run("tree", "--json", data=w.bytes())[1])}
    told = [
        (call["relation"], call.get("parent_call_id"), call["messages_in_common"])
        for call in sorted(found.values(), key=lambda call: call["call_id"])
    ]

    assert told == [(name, None if at is None else IDS[at], common) for name, at, common in relations]


def test_tree(run):
    w = SpecWriter()
    ask(w, 0, [U], stage="plan", iteration=1, **TRACE)
    ask(w, 1, [U, V], stage="plan", iteration=2)
    ask(w, 2, [U, W], None)
    ask(w, 3, [U, W, X])
    ask(w, 4, [X])
    code, out, err = run("tree", data=w.bytes())

    assert (code, err) == (0, "")
    assert out.decode().splitlines() == [
        "0199b000-0000  m  plan 1  ok  one",
        "├─0199b000-0002  m  unfinished  forks after message 1  three",
        "├─0199b000-0003  m  ok  +1  four",
        "0199b000-0001  m  plan 2  ok  +1  two",
        "",
        "0199b000-0004  m  ok  four",
    ]
    assert run("tree", "--ids")[1].decode().splitlines()[:3] == [
        "0199b000-0000  m  plan 1  ok  one",
        f"  trace {TRACE['trace_id']}  span {TRACE['span_id']}",
        "├─0199b000-0002  m  unfinished  forks after message 1  three",
    ]


@pytest.mark.parametrize(
    ("options", "ids"),
    [("-n 1", [4]), ("--stage plan", [0, 1]), ("--status unfinished", [0, 1]), ("--model x", [])],
)
def test_conversations_are_chosen_as_a_whole(run, options, ids):
    w = SpecWriter()
    ask(w, 0, [U], stage="plan")
    ask(w, 1, [U, V], None)
    ask(w, 4, [X])
    _, out, _ = run("tree", "--json", *options.split(), data=w.bytes())

    assert sorted(IDS.index(call["call_id"]) for call in json.loads(out)) == ids


def test_nothing_to_show(run):
    assert run("tree", data=SpecWriter().bytes())[:2] == (0, b"no calls yet\n")


def test_parents_that_are_lost_or_run_in_a_circle(run):
    w = SpecWriter()
    ask(w, 0, [U, V, W])
    w.line("message", hash="a" * 32, parent="b" * 32, role="user", content="x")
    w.line("message", hash="b" * 32, parent="a" * 32, role="user", content="y")
    w.raw_request(IDS[1], 0, b"{}", body={}, context="a" * 32)
    ask(w, 2, [U, V, X])
    lines = [line for line in w.lines if b'"two"' not in line]
    code, out, _ = run("tree", data=b"".join(lines))

    assert code == 0
    assert b"is missing: its line is lost or in another file" in out
    assert b"run in a circle" in out


def test_ten_thousand_turns(run):
    w = SpecWriter()
    chain = w.chain([message(f"turn {n}") for n in range(10_000)])
    w.raw_request(IDS[0], 0, b"{}", body={}, context=chain)
    for number in range(200):
        chain = w.message(message(f"more {number}"), chain)
        w.raw_request(f"0199b001-{number:04x}-7000-8000-000000000000", 0, b"{}", body={}, context=chain)
    out = json.loads(run("tree", "--json", data=w.bytes())[1])

    assert [call["message_count"] for call in out] == list(range(10_000, 10_201))
