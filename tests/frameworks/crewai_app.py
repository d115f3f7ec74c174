"""A crew of one weather agent on CrewAI: a task with a tool, one whose answer is streamed."""

from __future__ import annotations

from crewai import LLM, Agent, Crew, Task
from crewai.tools import tool


@tool("get_weather")
def get_weather(city: str) -> str:
    """The weather in a city, now."""
    print("tool:", city)
    return f"21 degrees and sunny in {city}"


def kickoff(city: str, stream: bool) -> str:
    agent = Agent(
        role="Weather reporter",
        goal="Tell the weather",
        backstory="You like the sun.",
        llm=LLM(model="openai/gpt-4o-mini", stream=stream),
        tools=[get_weather],
        max_iter=4,
    )
    task = Task(description=f"What is the weather in {city}?", expected_output="One sentence.", agent=agent)
    return str(Crew(agents=[agent], tasks=[task]).kickoff())


def main() -> None:
    print("whole:", kickoff("Lisbon", stream=False))
    print("streamed:", kickoff("Porto", stream=True))


if __name__ == "__main__":
    main()
