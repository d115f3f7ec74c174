"""For each dialect, a second opinion on what its bodies say: not the product's code."""

from extractors import anthropic, bedrock, cohere, google, openai

EXTRACTORS = {
    **anthropic.EXTRACTORS,
    **bedrock.EXTRACTORS,
    **cohere.EXTRACTORS,
    **google.EXTRACTORS,
    **openai.EXTRACTORS,
}
