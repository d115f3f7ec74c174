"""A weather agent on PydanticAI: a run with a tool, one streamed, one with a typed answer, one with Claude."""

from __future__ import annotations

import asyncio

from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput


class City(BaseModel):
    """A city and its country."""

    name: str
    country: str


def get_weather(city: str) -> str:
    """The weather in a city, now."""
    print("tool:", city)
    return f"21 degrees and sunny in {city}"


async def follow(_, events) -> None:
    """Show the events of a run while they come."""
    print("events:", len([event async for event in events]) > 2)


async def main() -> None:
    agent = Agent("openai-chat:gpt-4o-mini", instructions="You tell the weather.", tools=[get_weather])
    result = await agent.run("What is the weather in Lisbon?")
    print("whole:", result.output)

    async with agent.run_stream("What is the weather in Porto?") as streamed:
        pieces = [piece async for piece in streamed.stream_text(delta=True, debounce_by=None)]
    print("streamed:", "|".join(pieces))

    typed = Agent("openai-responses:gpt-5-mini", output_type=NativeOutput(City))
    print("typed:", (await typed.run("Name a city: Braga")).output)

    claude = Agent("anthropic:claude-haiku-4-5", tools=[get_weather])
    result = await claude.run("What is the weather in Faro?", event_stream_handler=follow)
    print("claude:", result.output)


if __name__ == "__main__":
    asyncio.run(main())
