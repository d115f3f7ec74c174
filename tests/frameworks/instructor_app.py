"""Typed answers with instructor: by a tool, by a schema, streamed while they are made, and from Claude."""

from __future__ import annotations

import asyncio

import instructor
from pydantic import BaseModel


class Weather(BaseModel):
    """The weather in a city."""

    city: str
    degrees: int


def asked(city: str) -> list:
    return [{"role": "user", "content": f"What is the weather in {city}?"}]


async def several() -> list[Weather]:
    client = instructor.from_provider("openai/gpt-4o-mini", async_client=True)
    found = await asyncio.gather(
        *[client.create(response_model=Weather, messages=asked(city)) for city in ("Braga", "Evora")]
    )
    return list(found)


def main() -> None:
    client = instructor.from_provider("openai/gpt-4o-mini")
    print("tool:", client.create(response_model=Weather, messages=asked("Lisbon")))

    schema = instructor.from_provider("openai/gpt-4o-mini", mode=instructor.Mode.JSON_SCHEMA)
    print("schema:", schema.create(response_model=Weather, messages=asked("Porto")))

    parts = client.create_partial(response_model=Weather, messages=asked("Faro"))
    print("streamed:", "|".join(str(part) for part in parts))

    print("several:", asyncio.run(several()))

    claude = instructor.from_provider("anthropic/claude-haiku-4-5")
    print("claude:", claude.create(response_model=Weather, messages=asked("Sintra"), max_tokens=200))


if __name__ == "__main__":
    main()
