"""The wire API `completions` (text in, text out), as the loopback provider speaks it."""

from __future__ import annotations

import json
from collections.abc import Iterator

from spanscript._exchange import Event, Json
from spanscript.demo.provider import policy
from spanscript.demo.provider.chat_completions import envelope, usage
from spanscript.demo.provider.policy import Answer, Ask


def read(body: Json) -> Ask:
    """
    What the body asks.

    Raises:
        KeyError: `model` is missing.
    """
    prompt = body.get("prompt", "")
    prompts = prompt if isinstance(prompt, list) else [prompt]
    return Ask(
        model=body["model"],
        prompt=prompt if isinstance(prompt, str) else json.dumps(prompt, ensure_ascii=False),
        text=str(prompts[-1] if prompts else ""),
        max_tokens=body.get("max_tokens"),
        choices=body.get("n") or 1,
    )


def whole(answer: Answer, _asked: Json) -> Json:
    """The body of the whole answer."""
    choices = [
        {"text": text, "index": index, "logprobs": None, "finish_reason": answer.finish}
        for index, text in enumerate(answer.texts)
    ]
    return envelope(answer, "text_completion", "cmpl") | {"choices": choices, "usage": usage(answer)}


def events(answer: Answer, asked: Json) -> Iterator[Event]:
    """The events of the streamed answer."""
    head = envelope(answer, "text_completion", "cmpl")
    for index, text in enumerate(answer.texts):
        for word in [*policy.words(text or ""), ""]:
            finish = None if word else answer.finish
            choice = {"text": word, "index": index, "logprobs": None, "finish_reason": finish}
            yield Event(head | {"choices": [choice]})
    if (asked.get("stream_options") or {}).get("include_usage"):
        yield Event(head | {"choices": [], "usage": usage(answer)})
    yield Event("[DONE]")
