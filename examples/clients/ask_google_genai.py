"""google-genai: `LLM_URL` says whom it asks, `GEMINI_API_KEY` with which key."""

import os

from google import genai

client = genai.Client(http_options={"base_url": os.environ["LLM_URL"]})
question = "What is the capital of France?"
print(client.models.generate_content(model="gemini-3-flash", contents=question).text)
for chunk in client.models.generate_content_stream(model="gemini-3-flash", contents=question):
    print(chunk.text, end="")
