"""The loopback provider as the demo's agent meets it: on a bad day, for some of its questions."""

from __future__ import annotations

from spanscript.demo.provider import Provider, Step

_BAD_DAY: dict[str, tuple[Step | str, ...]] = {
    "a city by the sea": (
        "429 retry-after-ms=150",
        "529 retry-after-ms=300",
        Step(answer={"texts": ["Lisbon."]}),
    ),
    "Faro?": (
        "429 retry-after-ms=120",
        Step(answer={"texts": [""], "calls": [], "finish": "stop"}),
        Step(),
    ),
    "planet": (Step(delay=0.8, answer={"texts": ["Jupiter is the largest planet."]}),),
    "Tell me about a lighthouse": (
        Step(
            chunk_delay=0.03,
            answer={"texts": ["A lighthouse shows ships at night where the rocks are."]},
        ),
    ),
}
"""What a question says → how it is answered, attempt by attempt."""


def start() -> Provider:
    """Start the provider, scripted for one run of the agent."""
    provider = Provider()
    for said, steps in _BAD_DAY.items():
        provider.script(*steps, match=said)
    return provider


def environment(openai_url: str, anthropic_url: str) -> dict[str, str]:
    """The environment in which the SDKs ask a provider on loopback, past any proxy and without a key."""
    return {
        "OPENAI_BASE_URL": openai_url,
        "OPENAI_API_KEY": "unused",
        "ANTHROPIC_BASE_URL": anthropic_url,
        "ANTHROPIC_API_KEY": "unused",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }
