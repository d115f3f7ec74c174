"""For each dialect, a second opinion on what its bodies say: not the product's code."""

from extractors import anthropic, openai

EXTRACTORS = {**openai.EXTRACTORS, **anthropic.EXTRACTORS}
