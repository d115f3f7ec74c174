"""requests alone, with no client of a provider: `LLM_URL` says whom it asks."""

import os

import requests

url = f"{os.environ['LLM_URL']}/v1/chat/completions"
body = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "What is the capital of France?"}]}
print(requests.post(url, json=body, timeout=60).json()["choices"][0]["message"]["content"])
with requests.post(url, json={**body, "stream": True}, stream=True, timeout=60) as answer:
    for line in answer.iter_lines():
        print(line.decode())
