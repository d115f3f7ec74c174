"""
Rate limits that the app asks for: requests per minute to a provider, over a sliding window of a minute.

They hold for all threads and tasks of a process, each process for itself. An attempt asks for its turn before
it is sent, wherever that happens; how it waits is its hook's business. The window is pyrate-limiter's.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final
from weakref import WeakSet

from spanscript._extras import needed

_LOG = logging.getLogger("spanscript")
_living: Final[WeakSet[Limit]] = WeakSet()


class Limit:
    """
    A limit on the requests to one provider.

    Raises:
        ModuleNotFoundError: pyrate-limiter is missing (extra `agent`).
    """

    def __init__(self, rpm: int) -> None:
        self._rpm = rpm
        self._make_bucket()
        _living.add(self)

    def _make_bucket(self) -> None:
        limiter = needed("pyrate_limiter", "agent")
        self._lock = threading.Lock()
        self._item: Callable[..., Any] = limiter.RateItem
        self._bucket = limiter.InMemoryBucket([limiter.Rate(self._rpm, limiter.Duration.MINUTE)])

    def take(self) -> float:
        """Take a place in the window: 0; or, where there is none, the seconds until one may be free."""
        with self._lock:
            item = self._item("request", self._bucket.now())
            self._bucket.leak(item.timestamp)
            if self._bucket.put(item):
                return 0.0
            # The window is counted in whole milliseconds, and one that is just over is still in it.
            return (int(self._bucket.waiting(item)) + 1) / 1000

    def forget(self) -> None:
        """Begin anew, in a forked child: the requests are its parent's, and so may be who holds the lock."""
        self._make_bucket()


def rate_limit(provider: str, rpm: int) -> Callable[[], None]:
    """
    Send at most *rpm* requests in any minute to *provider*, from now on and in the whole process.

        undo = spanscript.rate_limit("openai", 60)

    What is too much waits: sync code sleeps, async code lets others run. The wait stands on the attempt's
    span (`llm.rate_limit_wait_ms`) and in its entry. Retries count as well. `SPANSCRIPT_RPM` does the same
    without code. Of several limits on a provider the last one holds.

    Args:
        provider: `gen_ai.provider.name`, as spans have it: `openai`, `anthropic`, `gcp.gemini` …
        rpm: Requests per minute, from 1.

    Returns:
        What takes it off again.

    Raises:
        ValueError: *rpm* is less than 1.
        ModuleNotFoundError: pyrate-limiter is missing (extra `agent`).
    """
    if rpm < 1:
        raise ValueError(f"a rate limit is a number of requests from 1, not {rpm}")
    global _limits  # noqa: PLW0603  # replaced as a whole, so that threads need no lock
    mine = (provider.lower(), Limit(rpm))
    _limits = (mine, *_limits)

    def undo() -> None:
        global _limits  # noqa: PLW0603
        _limits = tuple(other for other in _limits if other is not mine)

    return undo


def rate_limits(rpm: Mapping[str, int]) -> Callable[[], None]:
    """Put on those of the operator: provider → requests per minute. What is missing for it is logged."""
    try:
        undos = [rate_limit(provider, number) for provider, number in rpm.items()]
    except ModuleNotFoundError as error:
        _LOG.warning("Requests are not limited: %s", error)
        return lambda: None

    def undo_all() -> None:
        for undo in undos:
            undo()

    return undo_all


def is_limited() -> bool:
    """Whether there is any limit: if not, nobody need find out who is asked."""
    return bool(_limits)


def limit_of(provider: str) -> Limit | None:
    """The limit on requests to *provider*, if there is one."""
    return next((limit for name, limit in _limits if name == provider.lower()), None)


def _begin_child() -> None:
    for limit in list(_living):
        limit.forget()


_limits: tuple[tuple[str, Limit], ...] = ()

os.register_at_fork(after_in_child=_begin_child)
