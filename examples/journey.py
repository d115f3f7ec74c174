"""
An agent that says where it is: stages, iterations, sub-agents in parallel, tools, retries and a rate limit.

    SPANSCRIPT_DIR=./run opentelemetry-instrument python examples/journey.py

It asks whoever `OPENAI_BASE_URL` names, or OpenAI if its key is set; else a provider that is started here,
on loopback, which is busy now and then.
"""

import asyncio
import contextlib
import json
import os
from typing import Any

import openai

import spanscript

MODEL = os.environ.get("OPENAI_MODEL", "gpt-5-mini")
CITIES = ("Lisbon", "Porto", "Faro")
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = {"name": "get_weather", "description": "The weather in a city, now.", "parameters": PARAMETERS}
TOOLS = [{"type": "function", "function": WEATHER}]


def get_weather(city: str) -> str:
    """The tool that the model may call."""
    return f"21 degrees and sunny in {city}"


class Agent:
    """Asks the model, and runs its tools until it says something."""

    def __init__(self, client: openai.AsyncOpenAI) -> None:
        self.client = client

    @spanscript.retrying(retries=4, backoff_ms=200, on_empty=True)
    async def ask(self, messages: list[Any], **options: Any) -> Any:
        """One question, tried again where that may help: all tries are one call."""
        answer = await self.client.chat.completions.create(model=MODEL, messages=messages, **options)
        return answer.choices[0].message

    async def work(self, task: str) -> str:
        """Turns of model and tools."""
        messages = [{"role": "system", "content": "Use the tool."}, {"role": "user", "content": task}]
        for turn in range(1, 6):
            with spanscript.iteration(turn):
                said = await self.ask(messages, tools=TOOLS)
                messages.append(said.model_dump(exclude_none=True))
                if not said.tool_calls:
                    return said.content
                for call in said.tool_calls:
                    result = get_weather(**json.loads(call.function.arguments))
                    spanscript.annotate("tool_executed", tool=call.function.name, result=result)
                    messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
        raise RuntimeError("it goes round in circles")

    async def research(self, city: str) -> str:
        """A sub-agent: in a stage of its own, beside the others."""
        with spanscript.stage(f"research {city}"):
            return await self.work(f"What is the weather in {city}?")


async def main() -> None:
    """Plan a journey, and tell what that took."""
    spanscript.rate_limit("openai", 600)
    # The client's own retries would do as well; here the app decides what is tried again.
    async with openai.AsyncOpenAI(max_retries=0) as client:
        agent = Agent(client)
        with spanscript.usage() as used:
            with spanscript.stage("plan"), spanscript.iteration(1):
                await agent.ask([{"role": "user", "content": f"Plan a journey to {', '.join(CITIES)}."}])
            found = await asyncio.gather(*map(agent.research, CITIES))
            with spanscript.stage("write"), spanscript.iteration(1):
                text = "\n".join(found)
                letter = await agent.ask([{"role": "user", "content": f"Write a letter:\n{text}"}])
    print(letter.content)
    print(f"{used.calls} calls, {used.attempts} attempts, {used.input_tokens} → {used.output_tokens} tokens")


def provider() -> contextlib.AbstractContextManager[Any]:
    """Somebody to ask where nobody is named."""
    if os.environ.get("OPENAI_BASE_URL") or os.environ.get("OPENAI_API_KEY"):
        return contextlib.nullcontext()
    from spanscript.demo import loopback  # noqa: PLC0415  # only where there is nobody else

    started = loopback.start()
    os.environ.update(loopback.environment(started.openai_url, started.url))
    return started


if __name__ == "__main__":
    with provider():
        asyncio.run(main())
