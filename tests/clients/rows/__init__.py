"""Who asks, by which wire API, and how it takes the answer: one small file for each client."""

from rows import anthropic, groq, httpx, mistralai, openai
from rows.anthropic import MESSAGES
from rows.row import CHAT, KEY, Row
from rows.stainless import City

ROWS: tuple[Row, ...] = (*openai.ROWS, *anthropic.ROWS, *groq.ROWS, *mistralai.ROWS, *httpx.ROWS)

__all__ = ["CHAT", "KEY", "MESSAGES", "ROWS", "City", "Row"]
