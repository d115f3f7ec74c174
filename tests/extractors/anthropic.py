"""What Anthropic's wire API says, read from its raw JSON by rules written for the tests."""

import json

from extractors.extract import Extract
from extractors.openai import tokens


def expected_message(blocks):
    calls = [b for b in blocks if b["type"] == "tool_use"]
    return {
        "text": "".join(b["text"] for b in blocks if b["type"] == "text"),
        "thinking": "".join(b["thinking"] for b in blocks if b["type"] == "thinking"),
        "names": [b["name"] for b in calls],
        "arguments": "".join(json.dumps(b["input"]) for b in calls),
    }


def stream(events):
    deltas = [e["delta"] for e in events if e["type"] == "content_block_delta"]
    starts = [e["content_block"] for e in events if e["type"] == "content_block_start"]
    return {
        "text": "".join(s.get("text", "") for s in starts) + "".join(d.get("text", "") for d in deltas),
        "thinking": "".join(d.get("thinking", "") for d in deltas),
        "names": [s["name"] for s in starts if s["type"] == "tool_use"],
    }


def completed(bodies):
    return {"text": "".join(body.get("completion") or "" for body in bodies)}


EXTRACTORS = {
    "messages": Extract(lambda body: expected_message(body.get("content", [])), stream, tokens),
    "complete": Extract(lambda body: completed([body]), completed, tokens),
}
