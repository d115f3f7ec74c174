"""litellm: `LLM_URL` says whom it asks; here by two of the providers that it knows."""

import os

import litellm

question = [{"role": "user", "content": "What is the capital of France?"}]
bases = {
    "openai/gpt-5-mini": f"{os.environ['LLM_URL']}/v1",
    "anthropic/claude-haiku-4-5": os.environ["LLM_URL"],
}
for model, base in bases.items():
    options = {"model": model, "messages": question, "api_base": base, "api_key": "unused"}
    print(litellm.completion(**options).choices[0].message.content)
    for chunk in litellm.completion(**options, stream=True):
        print(chunk.choices[0].delta.content or "", end="")
