"""aiohttp alone, with no client of a provider: `LLM_URL` says whom it asks."""

import asyncio
import os

import aiohttp


async def main() -> None:
    body = {
        "model": "gpt-5-mini",
        "messages": [{"role": "user", "content": "What is the capital of France?"}],
    }
    url = f"{os.environ['LLM_URL']}/v1/chat/completions"
    async with aiohttp.ClientSession() as session:
        async with session.post(url, json=body) as answer:
            print((await answer.json())["choices"][0]["message"]["content"])
        async with session.post(url, json={**body, "stream": True}) as answer:
            async for line in answer.content:
                print(line.decode(), end="")


asyncio.run(main())
