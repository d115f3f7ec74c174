"""What stands on spans, as the people who look at them in a backend want it."""

from __future__ import annotations

import pytest

anthropic = pytest.importorskip("anthropic")

ASK = [{"role": "user", "content": "hi"}]


def test_only_calls_of_openai_have_its_attributes(provider, recording):
    with anthropic.Anthropic(base_url=provider.url, api_key="k") as client:
        message = client.messages.create(model="claude-5", max_tokens=9, messages=ASK)

    assert message.usage.service_tier
    assert not [name for name in recording.calls[0].attributes if name.startswith("openai.")]
