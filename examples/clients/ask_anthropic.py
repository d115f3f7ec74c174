"""anthropic: `ANTHROPIC_BASE_URL` and `ANTHROPIC_API_KEY` say whom it asks."""

from anthropic import Anthropic

client = Anthropic()
question = [{"role": "user", "content": "What is the capital of France?"}]
print(client.messages.create(model="claude-haiku-4-5", max_tokens=100, messages=question).content[0].text)
with client.messages.stream(model="claude-haiku-4-5", max_tokens=100, messages=question) as stream:
    for text in stream.text_stream:
        print(text, end="")
