"""httpx2 alone, with no client of a provider: `LLM_URL` says whom it asks."""

import os

import httpx2

body = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "What is the capital of France?"}]}
with httpx2.Client(base_url=os.environ["LLM_URL"]) as client:
    print(client.post("/v1/chat/completions", json=body).json()["choices"][0]["message"]["content"])
    with client.stream("POST", "/v1/chat/completions", json={**body, "stream": True}) as answer:
        for line in answer.iter_lines():
            print(line)
