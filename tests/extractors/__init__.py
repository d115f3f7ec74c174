"""For each dialect, a second opinion on what its bodies say: not the product's code."""

from extractors import anthropic, cohere, google, openai

EXTRACTORS = {**anthropic.EXTRACTORS, **cohere.EXTRACTORS, **google.EXTRACTORS, **openai.EXTRACTORS}
