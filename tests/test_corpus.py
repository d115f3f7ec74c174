"""
What providers really sent, decoded without loss.

The recordings are not part of this repository: SPANSCRIPT_CORPUS names the file, and these tests are
skipped where it is absent. What is expected is read from the raw JSON by extractors written for this test.
"""

import base64
import gzip
import json
import os
from pathlib import Path

import pytest
from exchanges.resolving import resolved, resolved_bytes, taken_apart

from spanscript import _wire
from spanscript._dialects import find
from spanscript._exchange import Refusal, Text, Thinking, ToolCall
from spanscript._json import dumps, members

FILE = Path(
    os.environ.get("SPANSCRIPT_CORPUS")
    or Path(__file__).parents[2] / "shared" / "corpus" / "recorded.jsonl.gz"
)


def recorded():
    if FILE.exists():
        with gzip.open(FILE, "rt", encoding="utf-8") as lines:
            yield from map(json.loads, lines)


def load():
    found = []
    for row in recorded():
        match = find(row["method"], row["path"])
        if match and row["req_enc"] == "json":
            body = members(dumps(row["req_body"]))
            found += [(dialect, row) for dialect in match.dialects if dialect.accepts(body)][:1]
    return found


ROWS = load()
pytestmark = pytest.mark.skipif(not ROWS, reason=f"no recordings at {FILE}")


def rows(**wanted):
    found = [
        pytest.param(d, r, id=f"{r['host']}-{d.name}-{r['id']}")
        for d, r in ROWS
        if all(r[k] in v for k, v in wanted.items())
    ]
    return found or [pytest.param(None, None, marks=pytest.mark.skip)]


def test_every_request_of_these_apis_is_known():
    known = {row["id"] for _, row in ROWS}
    ends = ("completions", "responses", "messages", "embeddings")
    rejected = [
        (row["host"], row["path"], row["req_body"])
        for row in recorded()
        if row["method"] == "POST" and row["path"].rsplit("/", 1)[-1] in ends and row["id"] not in known
    ]
    assert rejected == []


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_split_resolves(separators):
    for dialect, row in ROWS:
        for ascii_only in (True, False):
            text = json.dumps(row["req_body"], separators=separators, ensure_ascii=ascii_only)
            content = text.encode("utf-8", "surrogatepass")
            split = taken_apart(dialect, content)
            assert resolved(split) == row["req_body"], row["id"]
            if separators == (",", ":"):
                assert resolved_bytes(split) == content, row["id"]
            for item in split.items:
                assert dialect.message(json.loads(item)).role


def content_of(row):
    body = row["resp_body"]
    if row["resp_enc"] == "base64":
        return base64.b64decode(body)
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()


def reply_of(dialect, row):
    kind = row["resp_headers"].get("content-type", "")
    kind = "text/event-stream" if row["stream"] == "sse" else kind
    return _wire.read(dialect, kind, content_of(row), row["status"])


def found_in(reply):
    """Texts, thinking, refusals, tool calls of all choices, joined."""
    parts = [p for c in reply.choices for p in c.message.parts]
    calls = [p for p in parts if isinstance(p, ToolCall) and not p.server_side]
    arguments = [
        a if isinstance(a, str) else json.dumps(a) for a in (c.arguments for c in calls) if a is not None
    ]
    return {
        "text": "".join(p.text for p in parts if isinstance(p, Text)),
        "thinking": "".join(p.text for p in parts if isinstance(p, Thinking)),
        "refusal": "".join(p.text for p in parts if isinstance(p, Refusal)),
        "names": [c.name for c in calls],
        "arguments": "".join(arguments),
    }


def data_lines(text):
    for line in text.splitlines():
        if line.startswith("data:") and line[5:].strip() != "[DONE]":
            yield json.loads(line[5:])


def flat(content):
    """Text of chat content: a string, or blocks."""
    if isinstance(content, list):
        return "".join(b.get("text", "") for b in content if b.get("type") == "text")
    return content or ""


def thought(message):
    content = message.get("content")
    inner = (
        [b["thinking"] for b in content if b.get("type") == "thinking"] if isinstance(content, list) else []
    )
    shown = message.get("reasoning_content") or message.get("reasoning") or ""
    return shown + "".join(flat(i) for i in inner)


def expected_chat(messages):
    """From whole messages or deltas: choices are told apart only by what they say."""
    audio = [m["audio"] for m in messages if m.get("audio")]
    calls = [c for m in messages for c in m.get("tool_calls") or []]
    functions = [c.get("function") or c.get("custom") for c in calls]
    functions += [m["function_call"] for m in messages if m.get("function_call")]
    return {
        "text": "".join(flat(m.get("content")) for m in messages)
        + "".join(a.get("transcript") or "" for a in audio),
        "thinking": "".join(map(thought, messages)),
        "refusal": "".join(m.get("refusal") or "" for m in messages),
        "names": unrepeated(calls) + [m["function_call"]["name"] for m in messages if named(m)],
        "arguments": "".join(f.get("arguments") or "" for f in functions),
    }


def unrepeated(calls):
    """Some say the name with every delta, always with the same id."""
    named = [(c.get("id"), (c.get("function") or c.get("custom") or {}).get("name")) for c in calls]
    named = [(i, name) for i, name in named if name]
    return [name for at, (i, name) in enumerate(named) if at == 0 or named[at - 1] != (i, name)]


def named(message):
    return (message.get("function_call") or {}).get("name")


def by_index(choices):
    return [c for _, c in sorted(((c.get("index", 0), c) for c in choices), key=lambda pair: pair[0])]


def expected_completion(choices):
    return {"text": "".join(c["text"] for c in by_index(choices))}


def expected_response(items):
    messages = [b for i in items if i["type"] == "message" for b in i["content"]]
    calls = [i for i in items if i["type"] in ("function_call", "custom_tool_call")]
    client = [i for i in items if i["type"] == "tool_search_call" and i.get("execution") == "client"]
    calls += [{"name": "tool_search", "arguments": json.dumps(i["arguments"])} for i in client]
    thoughts = [
        b for i in items if i["type"] == "reasoning" for b in i.get("summary") or i.get("content") or []
    ]
    return {
        "text": "".join(b.get("text", "") for b in messages),
        "thinking": "".join(b["text"] for b in thoughts),
        "refusal": "".join(b.get("refusal", "") for b in messages),
        "names": [c["name"] for c in calls],
        "arguments": "".join(c.get("arguments", c.get("input")) for c in calls),
    }


def expected_message(blocks):
    calls = [b for b in blocks if b["type"] == "tool_use"]
    return {
        "text": "".join(b["text"] for b in blocks if b["type"] == "text"),
        "thinking": "".join(b["thinking"] for b in blocks if b["type"] == "thinking"),
        "names": [b["name"] for b in calls],
        "arguments": "".join(json.dumps(b["input"]) for b in calls),
    }


def expected_whole(dialect, body):
    if dialect.name == "chat_completions":
        return expected_chat([c["message"] for c in body.get("choices", [])])
    if dialect.name == "completions":
        return expected_completion(body.get("choices", []))
    if dialect.name == "responses":
        return expected_response(body.get("output", []))
    if dialect.name == "messages":
        return expected_message(body.get("content", []))
    return {}


def expected_stream(dialect, text):
    events = list(data_lines(text))
    choices = by_index([c for e in events for c in e.get("choices") or []])
    if dialect.name == "chat_completions":
        return expected_chat([c.get("delta") or {} for c in choices])
    if dialect.name == "completions":
        return expected_completion(choices)
    if dialect.name == "responses":
        pieces = {
            kind: "".join(e["delta"] for e in events if e.get("type") == f"response.{kind}.delta")
            for kind in ("output_text", "function_call_arguments")
        }
        done = [e["item"] for e in events if e.get("type") == "response.output_item.done"]
        searches = [i for i in done if i["type"] == "tool_search_call" and i.get("execution") == "client"]
        pieces["searches"] = "".join(json.dumps(i["arguments"]) for i in searches)
        return {
            "text": pieces["output_text"],
            "arguments": pieces["function_call_arguments"] + pieces["searches"],
        }
    deltas = [e["delta"] for e in events if e["type"] == "content_block_delta"]
    starts = [e["content_block"] for e in events if e["type"] == "content_block_start"]
    return {
        "text": "".join(s.get("text", "") for s in starts) + "".join(d.get("text", "") for d in deltas),
        "thinking": "".join(d.get("thinking", "") for d in deltas),
        "names": [s["name"] for s in starts if s["type"] == "tool_use"],
    }


def tokens_in(usages):
    """Input and output tokens as the last usage that has them says."""
    said = {}
    for usage in usages:
        for key, value in (usage or {}).items():
            said[key] = value if isinstance(value, int) else said.get(key)
    cached = (said.get("cache_read_input_tokens") or 0) + (said.get("cache_creation_input_tokens") or 0)
    fresh = said.get("prompt_tokens", said.get("input_tokens"))
    if fresh is None and said:
        fresh = said["total_tokens"]
    return (fresh + cached if fresh is not None else None), said.get(
        "completion_tokens", said.get("output_tokens")
    )


def usages_of(event):
    yield event.get("usage")
    for inner in ("message", "response", "x_groq"):
        if isinstance(event.get(inner), dict):
            yield event[inner].get("usage")


def subset(found, expected):
    return {key: found[key] for key in expected}


@pytest.mark.parametrize(("dialect", "row"), rows(stream=[""], resp_enc=["json"]))
def test_whole_answers(dialect, row):
    body, reply = row["resp_body"], reply_of(dialect, row)
    expected = expected_whole(dialect, body)

    assert subset(found_in(reply), expected) == expected
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == tokens_in([body.get("usage")])
    assert reply.model == (body.get("model") or None)
    assert bool(reply.failure) == (row["status"] >= 400)
    assert reply.complete
    unbegun = body.get("status") == "queued" or dialect.name == "embeddings" or row["status"] >= 400
    assert bool(reply.choices) != unbegun


@pytest.mark.parametrize(("dialect", "row"), rows(stream=["sse"]))
def test_streams(dialect, row):
    reply = reply_of(dialect, row)
    expected = expected_stream(dialect, row["resp_body"])
    events = list(data_lines(row["resp_body"]))
    usages = [usage for event in events for usage in usages_of(event)]
    errors = [event["error"] for event in events if event.get("error")]
    cut = reply.failure is None and not reply.complete

    assert subset(found_in(reply), expected) == expected
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == tokens_in(usages)
    assert bool(errors) == bool(reply.failure)
    assert cut == (row["id"] in CUT)


CUT = ()
