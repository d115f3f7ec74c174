"""What Cohere's wire APIs say, read from their raw JSON by rules written for the tests."""

from extractors.extract import Extract


def whole(body):
    message = body.get("message") if isinstance(body.get("message"), dict) else {}
    blocks, calls = message.get("content", []), [c["function"] for c in message.get("tool_calls", [])]
    return {
        "text": "".join(b["text"] for b in blocks if b["type"] == "text"),
        "thinking": message.get("tool_plan", "")
        + "".join(b["thinking"] for b in blocks if b["type"] == "thinking"),
        "names": [c["name"] for c in calls],
        "arguments": "".join(c["arguments"] for c in calls),
    }


def stream(events):
    messages = [e["delta"]["message"] for e in events if "message" in e.get("delta", {})]
    blocks = [m["content"] for m in messages if isinstance(m.get("content"), dict)]
    return {
        "text": "".join(b.get("text", "") for b in blocks),
        "thinking": "".join(
            m.get("tool_plan", "") + b.get("thinking", "") for m, b in zip(messages, blocks, strict=False)
        ),
    }


def chat_tokens(bodies):
    usages = [b.get("usage") or b.get("delta", {}).get("usage") for b in bodies]
    counts = next((usage["tokens"] for usage in usages if usage), {})
    return counts.get("input_tokens"), counts.get("output_tokens")


def embed_tokens(bodies):
    return bodies[0].get("meta", {}).get("billed_units", {}).get("input_tokens"), None


EXTRACTORS = {
    "cohere_chat": Extract(whole, stream, chat_tokens),
    "cohere_embed": Extract(lambda body: {}, lambda events: {}, embed_tokens),
}
