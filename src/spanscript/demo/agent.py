"""
A small agent on the openai and anthropic SDKs: tools, streams, embeddings. It knows nothing of tracing.

    python -m spanscript.demo.agent [SCENE …]
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

import anthropic
import openai

CHAT_MODEL = os.environ.get("OPENAI_MODEL", "gpt-4o-mini")
CLAUDE_MODEL = os.environ.get("ANTHROPIC_MODEL", "claude-haiku-4-5")
EMBEDDING_MODEL = "text-embedding-3-small"
LIMIT = 80  # tokens of an answer

PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
ABOUT = {"name": "get_weather", "description": "The weather in a city, now."}


def get_weather(city: str) -> str:
    """The tool that the models may call."""
    return f"21 degrees and sunny in {city}"


def tools() -> str | None:
    """A chat in which the model calls a tool and then answers."""
    client = openai.OpenAI()
    offered: Any = [{"type": "function", "function": ABOUT | {"parameters": PARAMETERS}}]
    history: list[Any] = [{"role": "user", "content": "What is the weather in Lisbon?"}]
    choice: Any = "required"
    for _ in range(4):
        answer = client.chat.completions.create(
            model=CHAT_MODEL,
            messages=history,
            tools=offered,
            tool_choice=choice,
            max_completion_tokens=LIMIT,
        )
        message = answer.choices[0].message
        if not message.tool_calls:
            return message.content
        history.append(message.model_dump(exclude_none=True))
        for call in message.tool_calls:
            arguments = json.loads(call.function.arguments)  # type: ignore[union-attr]
            result = get_weather(**arguments)
            history.append({"role": "tool", "tool_call_id": call.id, "content": result})
        choice = "auto"
    return None


def stream() -> str:
    """An answer that is shown while it comes."""
    return asyncio.run(_stream())


async def _stream() -> str:
    async with openai.AsyncOpenAI() as client:
        chunks = await client.chat.completions.create(
            model=CHAT_MODEL,
            messages=[{"role": "user", "content": "Tell me about a lighthouse, in one sentence."}],
            stream=True,
            stream_options={"include_usage": True},
            max_completion_tokens=LIMIT,
        )
        return "".join([c.choices[0].delta.content or "" async for c in chunks if c.choices])


def retry() -> str | None:
    """A question on a bad day: the SDK tries again until it is answered."""
    question: Any = [{"role": "user", "content": "Name a city by the sea."}]
    answer = openai.OpenAI().chat.completions.create(
        model=CHAT_MODEL, messages=question, max_completion_tokens=LIMIT
    )
    return answer.choices[0].message.content


def slow() -> str:
    """A question that takes its time, by the responses API."""
    answer = openai.OpenAI().responses.create(
        model=CHAT_MODEL, input="Which planet is the largest?", max_output_tokens=LIMIT
    )
    return answer.output_text


def messages() -> str | None:
    """The tool again, with the other provider, and the last answer streamed."""
    client = anthropic.Anthropic()
    offered: Any = [ABOUT | {"input_schema": PARAMETERS}]
    history: list[Any] = [{"role": "user", "content": "What is the weather in Porto?"}]
    asked = client.messages.create(
        model=CLAUDE_MODEL,
        messages=history,
        tools=offered,
        tool_choice={"type": "any"},
        max_tokens=LIMIT,
    )
    history.append({"role": "assistant", "content": [b.model_dump() for b in asked.content]})
    results = [
        {"type": "tool_result", "tool_use_id": block.id, "content": get_weather(str(block.input["city"]))}
        for block in asked.content
        if block.type == "tool_use"
    ]
    history.append({"role": "user", "content": results})
    with client.messages.stream(
        model=CLAUDE_MODEL, messages=history, tools=offered, max_tokens=LIMIT
    ) as answer:
        return "".join(answer.text_stream)


def embeddings() -> str:
    """Two texts as vectors."""
    texts = ["a lighthouse", "a harbour"]
    answer = openai.OpenAI().embeddings.create(model=EMBEDDING_MODEL, input=texts)
    return f"{len(answer.data)} vectors of {len(answer.data[0].embedding)} numbers"


SCENES = {s.__name__: s for s in (tools, stream, retry, slow, messages, embeddings)}


def main(names: list[str]) -> None:
    """Play the scenes of these names, or all."""
    for name in names or SCENES:
        print(f"{name}: {SCENES[name]()}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
