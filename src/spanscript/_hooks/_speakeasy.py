"""The retries of the SDKs that Speakeasy generates: Mistral's, and within google-genai the interactions'."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from spanscript._attempt import RetryPolicy
from spanscript._failures import is_one_of

_FOREVER_MS: Final = 3_600_000
"""How long it tries where its options say nothing."""


class _Retries:
    """A `RetryConfig` of theirs with the statuses that it is for, such as `429` and `5XX`, and the errors."""

    def __init__(self, config: Any, statuses: Sequence[str], errors: frozenset[str]) -> None:
        told = getattr(config, "status_codes_override", None) or statuses
        self._statuses = frozenset(code.upper() for code in told)
        self._errors = errors if config.retry_connection_errors else frozenset()

    def wants(self, status: int | None, headers: Mapping[str, str], error: BaseException | None) -> bool:
        """Whether it tries again; see `RetryPolicy`."""
        if status is None:
            return error is not None and is_one_of(error, self._errors)
        return not self._statuses.isdisjoint((str(status), f"{status // 100}XX"))


class _Timed(_Retries):
    """It limits no count but the time; only while that lasts is there another try."""

    def __init__(self, config: Any, statuses: Sequence[str], errors: frozenset[str]) -> None:
        super().__init__(config, statuses, errors)
        longest = config.backoff.max_elapsed_time if config.backoff else _FOREVER_MS
        self._until = time.monotonic() + longest / 1000

    @property
    def limit(self) -> int:
        """As many as there are, until the time is over; then no attempt is followed by another."""
        return sys.maxsize if time.monotonic() <= self._until else -1


class _Counted(_Retries):
    """It counts its tries."""

    def __init__(self, config: Any, statuses: Sequence[str], errors: frozenset[str]) -> None:
        super().__init__(config, statuses, errors)
        self.limit: int = config.max_retries or 0


_STRATEGIES: Final[Mapping[str, Callable[[Any, Sequence[str], frozenset[str]], RetryPolicy]]] = {
    "backoff": _Timed,
    "attempt-count-backoff": _Counted,
}


def retries_of(told: tuple[Any, Sequence[str]] | None, errors: frozenset[str]) -> RetryPolicy | None:
    """
    The policy that a `retry_config` asks for; `None` if it is none that is known.

    Args:
        told: A `RetryConfig`, and the statuses after which it tries again.
        errors: Names of the exceptions after which it does so, too, if it is told to.
    """
    if not told:
        return None
    config, statuses = told
    strategy = _STRATEGIES.get(config.strategy)
    return strategy(config, statuses, errors) if strategy else None
