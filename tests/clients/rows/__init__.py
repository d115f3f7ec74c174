"""Who asks, by which wire API, and how it takes the answer: one small file for each client."""

from rows import (
    aiohttp,
    anthropic,
    boto3,
    cohere,
    google_genai,
    groq,
    httpx,
    litellm,
    mistralai,
    ollama,
    openai,
    requests,
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
    *httpx.ROWS,
    *requests.ROWS,
    *aiohttp.ROWS,
)

__all__ = ["CHAT", "KEY", "MESSAGES", "ROWS", "City", "Row"]
