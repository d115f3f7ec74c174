"""A weather agent on the OpenAI Agents SDK: a run with a tool, one streamed, one on chat completions."""

from __future__ import annotations

import asyncio

from agents import Agent, ModelSettings, OpenAIChatCompletionsModel, Runner, function_tool
from openai import AsyncOpenAI
from openai.types.responses import ResponseTextDeltaEvent


@function_tool
def get_weather(city: str) -> str:
    """The weather in a city, now."""
    print("tool:", city)
    return f"21 degrees and sunny in {city}"


def agent(**options) -> Agent:
    return Agent(name="Weather", instructions="You tell the weather.", tools=[get_weather], **options)


async def main() -> None:
    result = await Runner.run(agent(model="gpt-5-mini"), "What is the weather in Lisbon?")
    print("whole:", result.final_output)

    streamed = Runner.run_streamed(agent(model="gpt-5-mini"), "What is the weather in Porto?")
    pieces = [
        event.data.delta
        async for event in streamed.stream_events()
        if event.type == "raw_response_event" and isinstance(event.data, ResponseTextDeltaEvent)
    ]
    print("streamed:", "|".join(pieces))

    chat = OpenAIChatCompletionsModel(model="gpt-4o-mini", openai_client=AsyncOpenAI())
    settings = ModelSettings(include_usage=True)
    streamed = Runner.run_streamed(agent(model=chat, model_settings=settings), "The weather in Faro?")
    async for _ in streamed.stream_events():
        pass
    print("chat:", streamed.final_output)


if __name__ == "__main__":
    asyncio.run(main())
