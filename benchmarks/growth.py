"""How much an agent's transcript grows: bytes written over bytes that were new."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import httpx2
import openai
from opentelemetry.sdk.trace import TracerProvider

import spanscript
from benchmarks import answers

TURNS = 200
GOAL = 1.3
_TOOL: Any = {
    "type": "function",
    "function": {
        "name": "read_file",
        "description": "Gives the content of a file.",
        "parameters": {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
    },
}


def grow() -> dict[str, float]:
    """
    An agent of 200 turns: each sends the whole history, with an answer and 4.5 KB from a tool that are new.

    Returns:
        `unique_bytes`: every message, the tools, and the answers received, once; `transcript_bytes`;
        `ratio` of the two; `second_half`: bytes of turns 101 to 200 over those of turns 1 to 100.
    """
    messages: list[Any] = [{"role": "system", "content": answers.text(2000)}]
    received = 0
    sizes = []
    with tempfile.TemporaryDirectory() as directory:
        undo = spanscript.instrument(TracerProvider(), directory=directory)
        for turn in range(TURNS):
            answer = answers.completion(f"{turn}: {answers.text(400)}")
            http = httpx2.Client(transport=answers.whole(answer))
            with openai.OpenAI(api_key="unused", http_client=http) as client:
                reply = client.chat.completions.create(model="gpt-5", messages=messages, tools=[_TOOL])
            received += len(answer)
            result = {"role": "user", "content": f"{turn}: {answers.text(4500)}"}
            messages += [reply.choices[0].message.to_dict(), result]
            sizes.append(sum(file.stat().st_size for file in Path(directory).iterdir()))
        undo()
    sent = [*messages[:-2], [_TOOL]]
    unique = sum(len(json.dumps(value, separators=(",", ":"))) for value in sent) + received
    half = sizes[TURNS // 2 - 1]
    return {
        "unique_bytes": unique,
        "transcript_bytes": sizes[-1],
        "ratio": sizes[-1] / unique,
        "second_half": (sizes[-1] - half) / half - 1,
    }
