"""openai: `OPENAI_BASE_URL` and `OPENAI_API_KEY` say whom it asks."""

from openai import OpenAI

client = OpenAI()
question = [{"role": "user", "content": "What is the capital of France?"}]
print(client.chat.completions.create(model="gpt-5-mini", messages=question).choices[0].message.content)
for chunk in client.chat.completions.create(model="gpt-5-mini", messages=question, stream=True):
    print(chunk.choices[0].delta.content or "" if chunk.choices else "", end="")
