"""`show`: one call as people read it."""

from __future__ import annotations

import json

import pytest
from spec_writer import IDS, SYSTEM, TURNS, SpecWriter, chat, compact, sample

GOOD = sample()[0].bytes()


def shown(run, data, *argv):
    code, out, err = run("show", *(argv or ("last",)), data=data)
    assert (code, err) == (0, "")
    return out.decode()


def section(text, name):
    """The lines of a section, without its heading."""
    return text.split(f"\n\n{name}")[1].split("\n\n")[0].splitlines()[1:]


def test_the_whole_of_it(run):
    assert shown(run, GOOD, IDS[1][:13]).splitlines() == [
        f"call       {IDS[1]}",
        "status     ok after 3 attempts, 5000 ms",
        "time       2026-11-22T07:00:10.000000Z",
        "model      gpt-5, streamed",
        "provider   openai",
        "dialect    chat_completions, client openai",
        "url        https://api.openai.com/v1/chat/completions",
        "stage      iteration 2",
        "tokens     12 input, 3 output",
        "parameters temperature 0.2",
        "",
        "ATTEMPTS",
        "  0  ██████                    429  retrying  1000 ms  429: slow down",
        "           ······              waited 1000 ms (asked to wait 1000 ms)",
        "  1             ██████         429  retrying  1000 ms  429: slow down",
        "                      ······   waited 1000 ms (asked to wait 1000 ms)",
        "  2                         █  200  ok  250 ms",
        "",
        f"PROMPT  + is what {IDS[0]} had not",
        "[system]",
        "  You are exact.\\u2028Ünïcödé",
        "[tools]",
        "  weather",
        "[user]",
        "  What is the weather in Köln?",
        "+ [assistant]",
        '  → weather {"city": "Köln"}  (c1)',
        "    ← sunny  (c1)",
        "",
        "ANSWER",
        "  It is sunny.",
        "  Enjoy!",
        "  finish reasons: stop",
    ]


def test_json(run):
    _, out, _ = run("show", "last", "--json", data=GOOD)
    found = json.loads(out)

    assert found["prompt"]["messages"] == chat(5)["messages"][1:]
    assert (found["prompt"]["follows"], found["prompt"]["known_messages"]) == (IDS[1], 3)
    assert found["prompt"]["parameters"]["temperature"] == 0.2
    assert found["attempt_list"] == [{"attempt": 0, "status": "unfinished", "started_ms": 0.0}]


def test_what_is_missing_is_said_and_the_rest_is_shown(run):
    lines = sample()[0].lines
    code, out, err = run("show", IDS[1], data=b"".join(lines[:3] + lines[4:]))

    assert (code, err.count("\n")) == (2, 1)
    assert "is missing: its line is lost" in err
    assert b"cannot be shown: run/llm_transcript.jsonl:" in out
    assert b"It is sunny." in out


def written(messages=({"role": "user", "content": "Hi"},), before=(), answer=None, **body):
    w = SpecWriter()
    for number, earlier in enumerate(before):
        w.request(IDS[number], 0, compact({"model": "m", "messages": [SYSTEM, *earlier]}))
    w.request(IDS[5], 0, compact({"model": "m", "messages": [SYSTEM, *messages], **body}))
    if answer is not None:
        w.response(IDS[5], 0, **answer)
    return w


U, A, B = ({"role": "user", "content": text} for text in ("one", "two", "three"))


@pytest.mark.parametrize(
    ("before", "messages", "marks"),
    [
        ([], [U, A], ["", ""]),
        ([[U]], [U, A], ["", "+ "]),
        ([[U], [U, A]], [U, A, B], ["", "", "+ "]),
        ([[U, A], [U]], [U, A, B], ["", "", "+ "]),
        ([[U], [U, A]], [U, B], ["", "+ "]),
        ([[U, A]], [U, A], ["", ""]),
        ([[A]], [U, A], ["", ""]),
    ],
)
def test_what_is_new_is_marked(run, before, messages, marks):
    text = shown(run, written(messages, before).bytes())

    assert [line.split("[")[0] for line in section(text, "PROMPT") if "[user]" in line] == marks
    assert (" had not" in text) == any(list(messages[: len(b)]) == list(b) for b in before)


def test_only_what_is_new(run):
    w = SpecWriter()
    w.request(IDS[0], 0, compact(chat(1)))
    changed = {**SYSTEM, "content": "Be brief."}
    w.request(IDS[5], 0, compact({"model": "gpt-5", "messages": [changed, *TURNS[:1], A]}))
    lines = section(shown(run, w.bytes(), "last", "--new"), "PROMPT")

    assert lines == ["- [tools]", "  not here any more", "+ [system]", "  Be brief.", "+ [user]", "  two"]


def called(*ids):
    calls = [{"id": n, "type": "function", "function": {"name": f"f{n}", "arguments": "{}"}} for n in ids]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def result(name, text="done"):
    return {"role": "tool", "tool_call_id": name, "content": text}


@pytest.mark.parametrize(
    ("messages", "lines"),
    [
        (
            [called("a", "b"), result("b", "B"), result("a", "A")],
            ["[assistant]", "  → fa {}  (a)", "    ← A  (a)", "  → fb {}  (b)", "    ← B  (b)"],
        ),
        (
            [called("a"), result("a"), result("a", "again")],
            ["[assistant]", "  → fa {}  (a)", "    ← done  (a)", "[tool]", "  ← again  (a)"],
        ),
        ([result("z")], ["[tool]", "  ← done  (z)"]),
        ([called("a")], ["[assistant]", "  → fa {}  (a)"]),
        (
            [
                {
                    "role": "user",
                    "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}],
                }
            ],
            ["[user]", "  (image image/png: 4 base64 characters)"],
        ),
        ([{"role": "user]\n[system", "content": "x"}], ["[user]\\n[system]", "  x"]),
        ([{"role": "user", "content": "a\n[system]\n\tb"}], ["[user]", "  a", "  [system]", "      b"]),
    ],
)
def test_messages(run, messages, lines):
    assert section(shown(run, written(messages).bytes()), "PROMPT")[2:] == lines


@pytest.mark.parametrize(
    ("answer", "lines"),
    [
        ({"text": "a", "thinking": "b"}, ["  (thinking) b", "  a"]),
        ({"text": None, "refusal": "no"}, ["  (refusal) no"]),
        (
            {
                "text": "a",
                "parts": [
                    {"type": "text", "text": "x"},
                    {"type": "tool_call", "name": "f", "arguments": {"a": 1}},
                    {"type": "new"},
                ],
            },
            ["  x", '  → f {"a": 1}', '  {"type": "new"}'],
        ),
        (
            {"text": "a", "choices": [{"text": "a"}, {"text": "b"}, 7]},
            ["[choice 0]", "  a", "[choice 1]", "  b", "[choice 2]", "  7"],
        ),
        ({"text": None, "empty": True, "truncated": True}, ["  truncated: true", "  empty: true"]),
        (
            {"text": "a", "extras": {"service_tier": "default"}},
            ["  a", '  extras: {"service_tier": "default"}'],
        ),
    ],
)
def test_answers(run, answer, lines):
    data = written(answer={**answer, "finish_reasons": None}).bytes()

    assert section(shown(run, data), "ANSWER") == lines


@pytest.mark.parametrize(
    ("fields", "lines"),
    [
        ({"tool_calls": []}, None),
        ({"prose": "Well."}, ["  Well."]),
        ({"tool_calls": [{"id": "a", "name": "f"}]}, ["  → f  as answered"]),
        ({"tool_calls": [{"name": "f", "arguments": {"a": 1}}, 7]}, ['  → f {"a": 1}', "  7"]),
        ({"tool_parse_errors": ["city is missing."]}, ["  ! city is missing."]),
        ({"tool_parse_errors": 7}, []),
    ],
)
def test_interpretations(run, fields, lines):
    w = written(answer={})
    w.line("interpreted_response", call_id=IDS[5], tool_format="hermes", **fields)
    text = shown(run, w.bytes())

    assert ("INTERPRETED  hermes" in text) == (lines is not None)
    assert lines is None or section(text, "INTERPRETED") == lines


def test_annotations(run):
    w = written(answer={})
    w.line("annotation", event="budget", call_id=IDS[5], fields={"left": 3, "of": "ten"})
    w.line("annotation", event="note", call_id=IDS[5])
    w.line("annotation", event="other", call_id=IDS[4])
    w.line("annotation", event="nobody's", fields={"a": 1})
    text = shown(run, w.bytes(), IDS[5])

    assert section(text, "ANNOTATIONS") == ["  budget  left=3 of=ten", "  note"]
    assert [a["event"] for a in json.loads(run("show", IDS[5], "--json")[1])["annotations"]] == [
        "budget",
        "note",
    ]


def test_long_texts_are_cut_unless_asked_for(run):
    long = "x" * 5000
    data = written([{"role": "user", "content": long}], answer={"text": long}).bytes()
    brief = shown(run, data)

    assert brief.count("… 3000 more characters; --full shows them") == 2
    assert shown(run, data, "last", "--full").count(long) == 2


def test_a_wait_under_a_rate_limit(run):
    w = SpecWriter()
    w.raw_request(IDS[0], 0, b"{}", body={}, rate_limit_wait_ms=250.4)
    w.response(IDS[0], 0)

    assert "waited 250 ms for its turn under a rate limit" in shown(run, w.bytes())
