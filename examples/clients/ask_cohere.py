"""cohere: `LLM_URL` says whom it asks, `CO_API_KEY` with which key."""

import os

import cohere

client = cohere.ClientV2(base_url=os.environ["LLM_URL"])
question = [{"role": "user", "content": "What is the capital of France?"}]
print(client.chat(model="command-a-03-2025", messages=question).message.content[0].text)
for event in client.chat_stream(model="command-a-03-2025", messages=question):
    if event.type == "content-delta":
        print(event.delta.message.content.text, end="")
