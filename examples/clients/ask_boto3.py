"""boto3: `AWS_ENDPOINT_URL_BEDROCK_RUNTIME` and the usual `AWS_…` variables say whom it asks."""

import boto3

client = boto3.client("bedrock-runtime")
question = [{"role": "user", "content": [{"text": "What is the capital of France?"}]}]
answer = client.converse(modelId="us.amazon.nova-micro-v1:0", messages=question)
print(answer["output"]["message"]["content"][0]["text"])
for event in client.converse_stream(modelId="us.amazon.nova-micro-v1:0", messages=question)["stream"]:
    print(event.get("contentBlockDelta", {}).get("delta", {}).get("text", ""), end="")
