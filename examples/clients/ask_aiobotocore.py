"""aiobotocore: `AWS_ENDPOINT_URL_BEDROCK_RUNTIME` and the usual `AWS_…` variables say whom it asks."""

import asyncio

from aiobotocore.session import get_session


async def main() -> None:
    question = [{"role": "user", "content": [{"text": "What is the capital of France?"}]}]
    async with get_session().create_client("bedrock-runtime") as client:
        answer = await client.converse(modelId="us.amazon.nova-micro-v1:0", messages=question)
        print(answer["output"]["message"]["content"][0]["text"])
        streamed = await client.converse_stream(modelId="us.amazon.nova-micro-v1:0", messages=question)
        async for event in streamed["stream"]:
            print(event.get("contentBlockDelta", {}).get("delta", {}).get("text", ""), end="")


asyncio.run(main())
