"""
What providers really sent, decoded without loss.

The recordings are not part of this repository: SPANSCRIPT_CORPUS names the file, and these tests are
skipped where it is absent. What is expected is read from the raw JSON by extractors written for this test.
"""

import base64
import gzip
import json
import os
import re
from pathlib import Path

import pytest
from exchanges.resolving import resolved, resolved_bytes, taken_apart
from extractors import EXTRACTORS
from extractors.bedrock import frames

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
    ends = (
        *("completions", "responses", "messages", "embeddings", "invoke", "converse", "converse-stream"),
        *("generateContent", "streamGenerateContent", "embedContent", "batchEmbedContents", "predict"),
    )
    rejected = [
        (row["host"], row["path"], row["req_body"])
        for row in recorded()
        if row["method"] == "POST"
        and re.split("[/:]", row["path"])[-1] in ends
        and row["id"] not in known
        and row["req_enc"] == "json"  # some were harmed when they were recorded
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


def subset(found, expected):
    return {key: found[key] for key in expected}


@pytest.mark.parametrize(("dialect", "row"), rows(stream=[""], resp_enc=["json"]))
def test_whole_answers(dialect, row):
    body, reply = row["resp_body"], reply_of(dialect, row)
    extract = EXTRACTORS[dialect.name]
    expected = extract.whole(body)

    assert subset(found_in(reply), expected) == expected
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == extract.tokens([body])
    assert reply.model == (body.get("model") or body.get("modelVersion"))
    assert bool(reply.failure) == (row["status"] >= 400)
    assert reply.complete
    unbegun = body.get("status") == "queued" or dialect.operation == "embeddings" or row["status"] >= 400
    assert bool(reply.choices) != unbegun


@pytest.mark.parametrize(("dialect", "row"), rows(stream=["sse", "aws-eventstream"]))
def test_streams(dialect, row):
    reply = reply_of(dialect, row)
    events = list(data_lines(row["resp_body"]) if row["stream"] == "sse" else frames(content_of(row)))
    extract = EXTRACTORS[dialect.name]
    expected = extract.stream(events)
    errors = [event["error"] for event in events if event.get("error")]
    cut = reply.failure is None and not reply.complete

    assert subset(found_in(reply), expected) == expected
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == extract.tokens(events)
    assert bool(errors) == bool(reply.failure)
    assert cut == (row["id"] in CUT)


CUT = ()
