"""mistralai traces itself: before version 2 whenever there is a provider, since then if it is told to."""

from __future__ import annotations

from importlib import metadata, util
from typing import Any

import pytest
from apps import ANSWER, COLOURS, Each, now, run
from faults import FAULTS, QUICK
from opentelemetry import trace
from proof import attempts_are_requests, replay_is_exact
from rows.mistralai import ROWS

pytestmark = pytest.mark.skipif(not util.find_spec("mistralai"), reason="mistralai is not installed")
USAGE = "gen_ai.usage.output_tokens"
SCOPE = "mistralai_sdk_tracer"
OLD = util.find_spec("mistralai") and metadata.version("mistralai").startswith("1.")


class _App:
    """As much of an app as the rows need to make a client that tries again."""

    fault = FAULTS[0]

    def __init__(self, provider: Any) -> None:
        self.provider = provider


async def _filled(provider: Any, colour: str, stream: bool) -> str:
    client = ROWS[0].create(_App(provider))  # type: ignore[arg-type]
    name = f"{'stream' if stream else 'complete'}{'_async' if colour == 'async' else ''}"
    answer = await now(getattr(client.fim, name)(model="codestral-latest", prompt=_SAID))
    if not stream:
        return str(answer.choices[0].message.content)
    chunks = [event.data async for event in Each(answer)]
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


_SAID = ANSWER.removeprefix("You said: ")


@pytest.mark.parametrize("told", ["", "global"])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("colour", COLOURS)
def test_tokens_are_told_once(
    colour: str, stream: bool, told: str, provider: Any, recording: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", recording.provider)
    monkeypatch.setenv("MISTRAL_SDK_TELEMETRY", told)
    provider.script(f"429 {QUICK}", "ok")
    assert run(colour, _filled(provider, colour, stream)) == ANSWER

    native = [span for span in recording.spans if span.instrumentation_scope.name == SCOPE]
    # On a retry since version 2 theirs of the first try is never ended.
    assert len(native) == (2 if OLD else 1 if told else 0)
    counted = [span for span in recording.spans if USAGE in span.attributes]
    assert [span.instrumentation_scope.name for span in counted] == [
        SCOPE if _tells(stream, told) else "spanscript"
    ]
    assert [a.attributes["llm.status"] for a in recording.attempts] == ["retrying", "ok"]
    attempts_are_requests(recording, provider)
    replay_is_exact(recording, provider.llm_requests)


def _tells(stream: bool, told: str) -> bool:
    """Whether theirs tells the tokens; the old one not those of a stream."""
    return not stream if OLD else bool(told)
