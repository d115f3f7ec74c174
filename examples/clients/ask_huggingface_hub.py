"""huggingface_hub: `LLM_URL` says whom it asks, `HF_TOKEN` with which key."""

import os

from huggingface_hub import InferenceClient

client = InferenceClient(base_url=f"{os.environ['LLM_URL']}/v1")
question = [{"role": "user", "content": "What is the capital of France?"}]
model = "meta-llama/Llama-3.1-8B-Instruct"
print(client.chat_completion(question, model=model).choices[0].message.content)
for chunk in client.chat_completion(question, model=model, stream=True):
    print(chunk.choices[0].delta.content or "" if chunk.choices else "", end="")
