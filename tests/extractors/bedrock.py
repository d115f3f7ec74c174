"""What Amazon Bedrock's wire APIs say, read from their raw JSON by rules written for the tests."""

import json
import struct

from extractors.extract import Extract


def frames(data):
    """The payloads of an event-stream: each frame says its length, and that of its headers."""
    at = 0
    while at < len(data):
        total, headers = struct.unpack_from(">II", data, at)
        yield json.loads(data[at + 12 + headers : at + total - 4])
        at += total


def whole(body):
    blocks = body.get("output", {}).get("message", {}).get("content", [])
    calls = [b["toolUse"] for b in blocks if "toolUse" in b]
    calls = [c for c in calls if c.get("type") != "server_tool_use"]
    reasoning = [b["reasoningContent"].get("reasoningText", {}) for b in blocks if "reasoningContent" in b]
    return {
        "text": "".join(b.get("text", "") for b in blocks),
        "thinking": "".join(r.get("text", "") for r in reasoning),
        "names": [c["name"] for c in calls],
        "arguments": "".join(json.dumps(c["input"]) for c in calls),
    }


def stream(events):
    deltas = [e["delta"] for e in events if "delta" in e]
    starts = [e["start"]["toolUse"] for e in events if "toolUse" in e.get("start", {})]
    return {
        "text": "".join(d.get("text", "") for d in deltas),
        "thinking": "".join(d.get("reasoningContent", {}).get("text", "") for d in deltas),
        "names": [s["name"] for s in starts if s.get("type") != "server_tool_use"],
    }


def tokens(bodies):
    """All that was not written is input: AWS says the total, whatever came from a cache."""
    usage = next((b["usage"] for b in reversed(bodies) if "usage" in b), None)
    if usage is None:
        return None, None
    return usage["totalTokens"] - usage["outputTokens"], usage["outputTokens"]


def embedded(bodies):
    return bodies[0].get("inputTextTokenCount"), None


EXTRACTORS = {
    "converse": Extract(whole, stream, tokens),
    "invoke_embed": Extract(lambda body: {}, lambda events: {}, embedded),
}
