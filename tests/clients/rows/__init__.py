"""Who asks, by which wire API, and how it takes the answer: one small file for each client."""

from rows import (
    aiohttp,
    anthropic,
    azure,
    boto3,
    cohere,
    google_genai,
    groq,
    httpx,
    huggingface,
    litellm,
    mistralai,
    ollama,
    openai,
    requests,
    together,
)
from rows.anthropic import MESSAGES
from rows.row import CHAT, KEY, Row
from rows.stainless import City

ROWS: tuple[Row, ...] = (
    *openai.ROWS,
    *anthropic.ROWS,
    *boto3.ROWS,
    *groq.ROWS,
    *mistralai.ROWS,
    *litellm.ROWS,
    *cohere.ROWS,
    *ollama.ROWS,
    *google_genai.ROWS,
    *together.ROWS,
    *azure.ROWS,
    *huggingface.ROWS,
    *httpx.ROWS,
    *requests.ROWS,
    *aiohttp.ROWS,
)

__all__ = ["CHAT", "KEY", "MESSAGES", "ROWS", "City", "Row"]
