"""What Google's wire APIs say, read from their raw JSON by rules written for the tests."""

import json

from extractors.extract import Extract


def parts(bodies):
    for body in bodies:
        for candidate in body.get("candidates", []):
            yield from candidate.get("content", {}).get("parts", [])


def expected(bodies):
    texts = [(p.get("thought", False), p["text"]) for p in parts(bodies) if "text" in p]
    calls = [p["functionCall"] for p in parts(bodies) if "functionCall" in p]
    blocked = [b["promptFeedback"] for b in bodies if "promptFeedback" in b]
    return {
        "text": "".join(text for thought, text in texts if not thought),
        "thinking": "".join(text for thought, text in texts if thought),
        "refusal": "".join(b.get("blockReasonMessage", b["blockReason"]) for b in blocked),
        "names": [c["name"] for c in calls],
        "arguments": "".join(json.dumps(c["args"]) for c in calls),
    }


def tokens(bodies):
    """The last counts; what tools put into the prompt and what the model thought stand beside."""
    counts = bodies[-1].get("usageMetadata", {})
    asked = [counts[k] for k in ("promptTokenCount", "toolUsePromptTokenCount") if k in counts]
    answered = [counts[k] for k in ("candidatesTokenCount", "thoughtsTokenCount") if k in counts]
    total = counts.get("totalTokenCount")
    assert total is None or total == sum(asked + answered)
    return sum(asked) if asked else None, sum(answered) if answered else None


def embedding_tokens(bodies):
    """Of all that is embedded."""
    (body,) = bodies
    each = [p["embeddings"]["statistics"]["token_count"] for p in body.get("predictions", [])]
    return body.get("usageMetadata", {}).get("promptTokenCount", sum(each) if each else None), None


EXTRACTORS = {
    "generate_content": Extract(lambda body: expected([body]), expected, tokens),
    "embed_content": Extract(lambda body: {}, lambda events: {}, embedding_tokens),
}
