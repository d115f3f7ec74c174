"""A weather agent on LlamaIndex: a run with a tool (streamed, as its agents do), a chat, a typed answer."""

from __future__ import annotations

import asyncio

from llama_index.core.agent.workflow import AgentStream, FunctionAgent
from llama_index.core.llms import ChatMessage
from llama_index.llms.openai import OpenAI, OpenAIResponses
from pydantic import BaseModel


class City(BaseModel):
    """A city and its country."""

    name: str
    country: str


def get_weather(city: str) -> str:
    """The weather in a city, now."""
    print("tool:", city)
    return f"21 degrees and sunny in {city}"


async def run(llm, city: str, **options) -> str:
    agent = FunctionAgent(tools=[get_weather], llm=llm, system_prompt="You tell the weather.", **options)
    handler = agent.run(user_msg=f"What is the weather in {city}?")
    pieces = [e.delta async for e in handler.stream_events() if isinstance(e, AgentStream)]
    return f"{await handler} ({len(pieces)} pieces)"


async def main() -> None:
    llm = OpenAI(model="gpt-4o-mini", additional_kwargs={"stream_options": {"include_usage": True}})
    print("streamed:", await run(llm, "Porto"))

    plain = OpenAI(model="gpt-4o-mini")
    print("whole:", await run(plain, "Lisbon", streaming=False))
    print("chat:", plain.chat([ChatMessage(role="user", content="Hello from Faro")]))
    print("typed:", plain.as_structured_llm(City).complete("Name a city: Braga").raw)

    responses = OpenAIResponses(model="gpt-4o-mini")
    print("responses:", "|".join(c.delta or "" for c in responses.stream_complete("Hello from Evora")))


if __name__ == "__main__":
    asyncio.run(main())
