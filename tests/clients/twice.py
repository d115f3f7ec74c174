"""Run something bare and recorded; neither the app nor the server may see a difference."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from apps import shown
from proof import nothing_leaks, parity, replay_is_exact, sent

Work = Callable[[Any], Any]
"""Provider → what the app saw."""


def twice(provider: Any, request: Any, work: Work, steps: Iterable[Any] = (), forever: bool = False) -> Any:
    """
    Give the recording of the second run.

    Its bodies replay exactly, and spans and transcript say the same.
    """
    bare = _once(provider, work, steps, forever)
    received = sent(provider)
    recording = request.getfixturevalue("recording")
    provider.reset()
    with recording.provider.get_tracer("app").start_as_current_span("app") as outer:
        seen = _once(provider, work, steps, forever)
        nothing_leaks(outer)
    assert seen == bare
    assert sent(provider) == received
    return recording


def proven(recording: Any, provider: Any) -> Any:
    """The recording's own truth, for runs whose requests are all recorded."""
    replay_is_exact(recording, [r for r in provider.llm_requests if r.method == "POST"])
    parity(recording)
    return recording


def calls_of(recording: Any) -> list[Any]:
    """The call spans, without the app's own."""
    return [span for span in recording.calls if span.name != "app"]


def statuses_of(recording: Any) -> list[list[str]]:
    """For each call, in the order of their starts, the statuses of its attempts."""
    by_call: dict[int, list[str]] = {call.context.span_id: [] for call in calls_of(recording)}
    for attempt in recording.attempts:
        by_call[attempt.parent.span_id].append(attempt.attributes["llm.status"])
    return list(by_call.values())


def _once(provider: Any, work: Work, steps: Iterable[Any], forever: bool) -> Any:
    provider.script(*steps, forever=forever)
    try:
        return shown(work(provider))
    except Exception as error:
        return shown(error)
