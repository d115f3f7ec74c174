"""mistralai: `LLM_URL` says whom it asks, `MISTRAL_API_KEY` with which key."""

import os

from mistralai.client import Mistral

question = [{"role": "user", "content": "What is the capital of France?"}]
with Mistral(api_key=os.environ["MISTRAL_API_KEY"], server_url=os.environ["LLM_URL"]) as client:
    answer = client.chat.complete(model="mistral-small-latest", messages=question)
    print(answer.choices[0].message.content)
    for event in client.chat.stream(model="mistral-small-latest", messages=question):
        print(event.data.choices[0].delta.content, end="")
