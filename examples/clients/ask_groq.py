"""groq: `GROQ_BASE_URL` and `GROQ_API_KEY` say whom it asks."""

from groq import Groq

client = Groq()
question = [{"role": "user", "content": "What is the capital of France?"}]
model = "llama-3.3-70b-versatile"
print(client.chat.completions.create(model=model, messages=question).choices[0].message.content)
for chunk in client.chat.completions.create(model=model, messages=question, stream=True):
    print(chunk.choices[0].delta.content or "" if chunk.choices else "", end="")
