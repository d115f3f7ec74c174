"""together: `TOGETHER_BASE_URL` and `TOGETHER_API_KEY` say whom it asks."""

from together import Together

client = Together()
question = [{"role": "user", "content": "What is the capital of France?"}]
model = "meta-llama/Llama-3.3-70B-Instruct-Turbo"
print(client.chat.completions.create(model=model, messages=question).choices[0].message.content)
for chunk in client.chat.completions.create(model=model, messages=question, stream=True):
    print(chunk.choices[0].delta.content or "" if chunk.choices else "", end="")
