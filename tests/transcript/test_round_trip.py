"""What the real writer writes, the reader gives back: every dialect, every layout."""

from __future__ import annotations

import json
import os
import signal

import pytest
from spec_writer import IDS, TURNS, chat

from spanscript import _json
from spanscript._dialects import DIALECTS
from spanscript._exchange import Choice, Message, Outcome, Reply, Request, Text, Thinking, Usage
from spanscript.transcript import entries
from spanscript.transcript.check import check
from spanscript.transcript.conversation import request_entries
from spanscript.transcript.reader import Transcript
from spanscript.transcript.writer import Writer

BODIES = {
    "chat_completions": chat(4, stream=True, metadata={"é": "\u2028"}, seed=2**70, top_p=1.0),
    "responses": {
        "model": "m",
        "input": [*TURNS[:1], {"type": "reasoning", "summary": []}, TURNS[4]],
        "tools": [{"type": "x"}],
    },
    "responses text": {"model": "m", "instructions": "be brief", "input": "hi", "temperature": 1.0},
    "messages": {
        "model": "m",
        "system": [{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "hi"}]},
            {"role": "assistant", "content": "ho"},
        ],
        "tools": [{"name": "t", "input_schema": {"$ref": "#/a"}}],
        "max_tokens": 9,
    },
    "completions": {"model": "m", "prompt": ["a", "b"]},
    "embeddings": {"model": "m", "input": ["a", "b"]},
    "own references": {
        "model": "m",
        "messages": [{"role": "user", "content": "x"}],
        "metadata": {"$transcript": "context"},
    },
    "odd message": {
        "model": "m",
        "messages": [{"role": "user", "hash": 1, "content": "x"}, {}, {"ключ": 1.50}],
    },
}
LAYOUTS = {
    "compact": {"separators": (",", ":"), "ensure_ascii": False},
    "spaced": {},
    "indented": {"indent": 2},
    "odd": {"indent": 3, "separators": (" ,", " :")},
}


def request(dialect: str, content: bytes, call_id: str = IDS[0], attempt: int = 0) -> Request:
    known = DIALECTS[dialect]
    try:
        body = _json.members(content)
        raw = body.get(known.list_key, b"")
        split = known.split(body, _json.elements(raw) if raw.startswith(b"[") else [])
    except ValueError:
        split = None
    place = ("https://api.openai.com/v1/x", "api.openai.com", 443)
    return Request(
        call_id, attempt, known, "openai", "openai", *place, content, split, model="m", stream=False
    )


OK = Outcome(
    "ok",
    1_000_000_000,
    2_000_000_000,
    http_status=200,
    reply=Reply(
        "r", "m-1", (Choice(Message("assistant", (Thinking("hm"), Text("done"))), "stop"),), Usage(5, 6)
    ),
)


def write(directory, *requests: Request, **options) -> None:
    writer = Writer(directory, **options)
    for one in requests:
        assert writer.write(request_entries(one, None))
        assert writer.write(lambda _, one=one: [entries.provider_call_outcome(one, OK, None)])
    writer.close()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", BODIES)
def test_every_body_comes_back(tmp_path, name, layout):
    dialect = name.split()[0] if name.split()[0] in DIALECTS else "chat_completions"
    sent = json.dumps(BODIES[name], **LAYOUTS[layout]).encode()
    write(tmp_path, request(dialect, sent))
    transcript = Transcript(tmp_path)
    found = transcript.rebuild(transcript.request(transcript.find("last")))

    assert json.loads(found.content) == json.loads(sent)
    assert (found.proof, found.content == sent) == (
        ("respaced", False) if layout == "odd" else ("exact", True)
    )
    assert [problem for problem in check(tmp_path) if not problem.note] == []


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"no JSON",
        b"\xff\x00",
        b"[1]",
        b'{"messages":NaN}',
        b'{"messages":[{"role":"user","content":"\\ud800"}]}',
        b'{"messages":[{"role":"user","n":' + b"1" * 5000 + b"}]}",
        b'{"messages":[{"role":"user","n":' + b"[" * 500 + b"]" * 500 + b"}]}",
    ],
)
def test_bodies_that_are_no_plain_json_come_back_to_the_byte(tmp_path, sent):
    write(tmp_path, request("chat_completions", sent))
    transcript = Transcript(tmp_path)

    assert transcript.rebuild(transcript.request(transcript.find("last"))).content == sent
    assert [str(problem) for problem in check(tmp_path) if not problem.note] == []


SPELLINGS = {
    "order of keys": (
        b'{"messages":[{"role":"user","content":"x"},{"role":"user","content":"y"}]}',
        b'{"messages":[{"content":"x","role":"user"},{"role":"user","content":"y"}]}',
    ),
    "escapes": (b'{"messages":[{"content":"\\u00e9"}]}', '{"messages":[{"content":"\u00e9"}]}'.encode()),
    "tools": (
        b'{"messages":[{"content":"x"}],"tools":[{"name":"t","type":"f"}]}',
        b'{"messages":[{"content":"x"}],"tools":[{"type":"f","name":"t"}]}',
    ),
    "system prompt": (
        b'{"messages":[{"role":"system","content":[{"type":"text","text":"s"}]},{"content":"x"}]}',
        b'{"messages":[{"role":"system","content":[{"text":"s","type":"text"}]},{"content":"x"}]}',
    ),
}


@pytest.mark.parametrize("writers", [1, 2])
@pytest.mark.parametrize("bodies", SPELLINGS.values(), ids=SPELLINGS)
def test_the_same_in_other_letters(tmp_path, bodies, writers):
    """Two clients of one process, or two processes, spell the same message differently: each is to come back."""
    ids = [f"0199b000-{n:04x}-7000-8000-000000000000" for n in range(4)]
    sent = [request("chat_completions", body, name) for body, name in zip(bodies * 2, ids, strict=True)]
    for at in range(writers):
        write(tmp_path, *sent[at::writers])

    transcript = Transcript(tmp_path)
    found = [transcript.rebuild(transcript.whole(call.requests[0])) for call in transcript.calls()]
    assert sorted(one.content for one in found) == sorted(one.content for one in sent)
    assert {one.proof for one in found} == {"exact"}
    assert [str(problem) for problem in check(tmp_path) if not problem.note] == []


def test_a_long_conversation_over_rotated_files(tmp_path):
    turns = [{"role": "user", "content": f"{n} " + "x" * 500} for n in range(60)]
    bodies = [
        json.dumps({"model": "m", "messages": turns[: n + 1]}, separators=(",", ":")).encode()
        for n in range(60)
    ]
    ids = [f"0199b000-{n:04x}-7000-8000-000000000000" for n in range(60)]
    sent = [request("chat_completions", body, name) for body, name in zip(bodies, ids, strict=True)]
    write(tmp_path, *sent, max_bytes=20_000)
    transcript = Transcript(tmp_path)

    assert len(list(tmp_path.iterdir())) > 3
    assert [call.call_id for call in transcript.calls()] == ids
    for name, body in zip(ids, bodies, strict=True):
        assert transcript.body(transcript.request(transcript.find(name))) == body
    assert list(check(tmp_path)) == []
    for file in tmp_path.iterdir():
        assert {problem.kind for problem in check(file) if not problem.note} == set(), (
            "each file stands alone"
        )


def test_a_killed_writer_leaves_what_it_wrote(tmp_path):
    sent = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'
    child = os.fork()
    if not child:
        Writer(tmp_path).write(request_entries(request("chat_completions", sent), None))
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    transcript = Transcript(tmp_path)

    assert transcript.find("last").status == "unfinished"
    assert transcript.body(transcript.request(transcript.find("last"))) == sent
    assert [problem.kind for problem in check(tmp_path)] == ["unfinished"]
