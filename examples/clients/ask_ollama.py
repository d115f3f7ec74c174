"""ollama: `OLLAMA_HOST` says whom it asks."""

import ollama

question = [{"role": "user", "content": "What is the capital of France?"}]
print(ollama.chat("llama3.2", question).message.content)
for chunk in ollama.chat("llama3.2", question, stream=True):
    print(chunk.message.content, end="")
