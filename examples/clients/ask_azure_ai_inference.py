"""azure-ai-inference: `LLM_URL` says whom it asks."""

import os

from azure.ai.inference import ChatCompletionsClient
from azure.ai.inference.models import UserMessage
from azure.core.credentials import AzureKeyCredential

endpoint = f"{os.environ['LLM_URL']}/models"
question = [UserMessage("What is the capital of France?")]
with ChatCompletionsClient(endpoint, AzureKeyCredential("unused")) as client:
    print(client.complete(model="gpt-5-mini", messages=question).choices[0].message.content)
    for chunk in client.complete(model="gpt-5-mini", messages=question, stream=True):
        print(chunk.choices[0].delta.content or "" if chunk.choices else "", end="")
