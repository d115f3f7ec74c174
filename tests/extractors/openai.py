"""What OpenAI's wire APIs say, read from their raw JSON by rules written for the tests."""

import json

from extractors.extract import Extract


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
    messages = [b for i in items if i["type"] == "message" and i["role"] == "assistant" for b in i["content"]]
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


def stream_of_chat(events):
    choices = by_index([c for e in events for c in e.get("choices") or []])
    return expected_chat([c.get("delta") or {} for c in choices])


def stream_of_completions(events):
    return expected_completion(by_index([c for e in events for c in e.get("choices") or []]))


def stream_of_responses(events):
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


def tokens(bodies):
    return tokens_in([usage for body in bodies for usage in usages_of(body)])


EXTRACTORS = {
    "chat_completions": Extract(
        lambda body: expected_chat([c["message"] for c in body.get("choices", [])]), stream_of_chat, tokens
    ),
    "completions": Extract(
        lambda body: expected_completion(body.get("choices", [])), stream_of_completions, tokens
    ),
    "responses": Extract(lambda body: expected_response(body.get("output", [])), stream_of_responses, tokens),
    "embeddings": Extract(lambda body: {}, lambda events: {}, tokens),
}
