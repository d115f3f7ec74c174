"""An agent sends its whole history with every turn; the transcript grows by what is new alone."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import httpx2
import openai

TURNS = 200
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": f"Does what {name} says to the file at the path.",
            "parameters": {
                "type": "object",
                "properties": {"path": {"type": "string"}},
                "required": ["path"],
            },
        },
    }
    for name in ("read_file", "write_file", "run_file")
]


def _text(size: int, seed: int) -> str:
    return "".join(Random(seed).choices('abcdefghijklmnopqrstuvwxyz \n"', k=size))


class _Model:
    """Thinks aloud and calls a tool, every time; keeps what came and went, as bytes."""

    def __init__(self) -> None:
        self.last_request = b""
        self.answers: list[bytes] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.last_request = request.content
        turn = len(self.answers)
        function = {"name": "read_file", "arguments": json.dumps({"path": f"src/{turn}.py"})}
        message = {
            "role": "assistant",
            "content": _text(300, turn),
            "tool_calls": [{"id": f"call_{turn}", "type": "function", "function": function}],
        }
        answer = {
            "id": f"chatcmpl-{turn}",
            "object": "chat.completion",
            "created": 1_700_000_000,
            "model": "gpt-5-2026-01-01",
            "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
            "usage": {
                "prompt_tokens": 1300 * turn,
                "completion_tokens": 90,
                "total_tokens": 1300 * turn + 90,
            },
        }
        self.answers.append(json.dumps(answer, separators=(",", ":")).encode())
        return httpx2.Response(200, content=self.answers[-1], headers={"content-type": "application/json"})


def _run_agent(model: _Model, directory: Path) -> list[int]:
    """Returns the transcript's size after each turn."""
    client = openai.OpenAI(api_key="unused", http_client=httpx2.Client(transport=httpx2.MockTransport(model)))
    messages = [
        {"role": "system", "content": _text(2000, -1)},
        {"role": "user", "content": "Repair the build."},
    ]
    sizes = []
    for turn in range(TURNS):
        answer = client.chat.completions.create(model="gpt-5", messages=messages, tools=TOOLS)
        result = {"role": "tool", "tool_call_id": f"call_{turn}", "content": _text(4500, turn + TURNS)}
        messages += [answer.choices[0].message.to_dict(), result]
        sizes.append(sum(file.stat().st_size for file in directory.iterdir()))
    return sizes


def test_a_transcript_grows_by_what_is_new(recording):
    model = _Model()
    sizes = _run_agent(model, recording.directory)
    sent = json.loads(model.last_request)
    unique = [*sent["messages"], sent["tools"]]
    unique_bytes = sum(len(json.dumps(value, separators=(",", ":"))) for value in unique)
    unique_bytes += sum(map(len, model.answers))
    first, second = sizes[TURNS // 2 - 1], sizes[-1] - sizes[TURNS // 2 - 1]

    assert len(recording.calls) == TURNS
    assert sizes[-1] <= 1.3 * unique_bytes
    assert abs(second / first - 1) < 0.1
