"""A weather agent on LangChain: a run with a tool, streamed ones, a typed answer, and one with Claude."""

from __future__ import annotations

import asyncio

from langchain.agents import create_agent
from langchain.tools import tool
from langchain_anthropic import ChatAnthropic
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI
from pydantic import BaseModel


class City(BaseModel):
    """A city and its country."""

    name: str
    country: str


@tool
def get_weather(city: str) -> str:
    """The weather in a city, now."""
    print("tool:", city)
    return f"21 degrees and sunny in {city}"


def asked(city: str) -> dict:
    return {"messages": [{"role": "user", "content": f"What is the weather in {city}?"}]}


async def streamed(model) -> str:
    agent = create_agent(model, tools=[get_weather])
    pieces = []
    async for chunk, _ in agent.astream(asked("Porto"), stream_mode="messages"):
        if chunk.type == "AIMessageChunk" and chunk.text:
            pieces.append(chunk.text)
    return "|".join(pieces)


async def main() -> None:
    model = ChatOpenAI(model="gpt-4o-mini", stream_usage=True)
    agent = create_agent(model, tools=[get_weather], system_prompt="You tell the weather.")
    print("whole:", agent.invoke(asked("Lisbon"))["messages"][-1].text)
    print("streamed:", await streamed(model))

    chain = ChatPromptTemplate.from_template("Tell me about {city}") | model | StrOutputParser()
    print("chain:", "|".join(chain.stream({"city": "Faro"})))
    print("batch:", chain.batch([{"city": "Braga"}, {"city": "Evora"}]))
    print("typed:", model.with_structured_output(City).invoke("Name a city: Sintra"))

    responses = ChatOpenAI(model="gpt-5-mini", use_responses_api=True)
    print("responses:", await streamed(responses))
    claude = ChatAnthropic(model="claude-haiku-4-5", max_tokens=200)
    print("claude:", await streamed(claude))


if __name__ == "__main__":
    asyncio.run(main())
