"""A DSPy program: typed predictions, an agent with a tool, and an answer streamed field by field."""

from __future__ import annotations

import asyncio
import os

import dspy


class Weather(dspy.Signature):
    """The weather in the city of the question."""

    question: str = dspy.InputField()
    city: str = dspy.OutputField()
    degrees: int = dspy.OutputField()


def get_weather(city: str) -> str:
    """The weather in a city, now."""
    print("tool:", city)
    return f"21 degrees and sunny in {city}"


class Asked(dspy.Signature):
    """Call the tools that answer the question."""

    question: str = dspy.InputField()
    tools: list[dspy.Tool] = dspy.InputField()
    calls: dspy.ToolCalls = dspy.OutputField()


class Told(dspy.Signature):
    """Answer the question with what the tool found."""

    question: str = dspy.InputField()
    found: str = dspy.InputField()
    answer: str = dspy.OutputField()


def agent(question: str) -> str:
    tools = {"get_weather": dspy.Tool(get_weather)}
    asked = dspy.Predict(Asked)(question=question, tools=list(tools.values()))
    found = [tools[call.name](**call.args) for call in asked.calls.tool_calls]
    return dspy.Predict(Told)(question=question, found="; ".join(found)).answer


async def streamed(question: str) -> str:
    program = dspy.streamify(dspy.Predict("question -> answer: str"), async_streaming=True)
    pieces = []
    async for piece in program(question=question):
        if not isinstance(piece, dspy.Prediction):
            pieces.append(str(piece.choices[0].delta.content))
        else:
            pieces.append(f"= {piece.answer}")
    return "|".join(pieces)


def main() -> None:
    model = dspy.LM("openai/gpt-4o-mini", api_base=os.environ["OPENAI_BASE_URL"], cache=False)
    dspy.configure(lm=model, adapter=dspy.JSONAdapter(use_native_function_calling=True))
    print("typed:", dspy.Predict(Weather)(question="What is the weather in Lisbon?"))

    print("agent:", agent("What is the weather in Porto?"))
    print("streamed:", asyncio.run(streamed("What is the weather in Faro?")))


if __name__ == "__main__":
    main()
