"""
What the app asks as one call: a block of its code, or the tries of `retrying`.

A block takes what is asked in it one after the other until an answer has come: then the question is
answered, and what else is asked in it is a call of its own. So is what is asked while it is busy, by
another thread or task. Nothing is begun before something is asked.
"""

from __future__ import annotations

import threading
from typing import Literal, Protocol

from spanscript._exchange import Status
from spanscript._ids import new_call_id

Foreseen = Literal["retrying", "retries_exhausted", "error"]
"""What becomes of a call after a failed attempt."""


class Plan(Protocol):
    """What the app does after a failure."""

    def foresee(self, *, retryable: bool, retry_after_ms: int | None) -> Foreseen:
        """Whether there will be another try."""


class Attempted(Protocol):
    """An attempt, as far as a block must know it."""

    @property
    def running(self) -> bool:
        """Whether it has not ended."""

    @property
    def failed(self) -> bool:
        """Whether it has, and not well."""


class Held(Protocol):
    """A call, as far as its block must know it."""

    id: str
    attempts: int
    status: Status | None
    ended_ns: int | None
    returned: bool

    @property
    def latest(self) -> Attempted | None:
        """Its last attempt; `None` before the first, and after the call's end."""

    def close(self) -> None:
        """Nothing more is asked in it."""


class Block:
    """
    One block while it is open.

    Attributes:
        call_id: UUIDv7 that its call has, should there be one.
        call: The call; `None` until something is asked.
        plan: What the app does after a failure; `None`: nothing that is known.
    """

    __slots__ = ("_asked_before", "_claim", "call", "call_id", "plan")

    def __init__(self) -> None:
        self.call_id = new_call_id()
        self.call: Held | None = None
        self.plan: Plan | None = None
        self._asked_before = 0
        self._claim = threading.Lock()

    def claim(self) -> bool:
        """Take it to ask something in; `release` it when that was asked. `False`: that is no part of it."""
        if not self._claim.acquire(blocking=False):
            return False
        if self._is_open():
            return True
        self._claim.release()
        return False

    def release(self) -> None:
        """Give it back."""
        self._claim.release()

    @property
    def is_free(self) -> bool:
        """Whether it would take what is asked now."""
        return not self._claim.locked() and self._is_open()

    def try_again(self) -> None:
        """Another try begins: whatever the answer was, the question is asked again."""
        self._asked_before = self.call.attempts if self.call else 0

    def close(self) -> None:
        """The app has left it."""
        if self.call is not None:
            self.call.close()

    def _is_open(self) -> bool:
        call = self.call
        if call is None:
            return True
        latest = call.latest
        if call.returned or (latest is not None and latest.running):
            return False
        return call.attempts == self._asked_before or latest is None or latest.failed


class CallInBlock:
    """What a block of the app knows of its call."""

    __slots__ = ("_block",)

    def __init__(self, block: Block) -> None:
        self._block = block

    @property
    def id(self) -> str:
        """The call's UUID, as it stands on spans and in the transcript."""
        return self._block.call_id

    @property
    def attempts(self) -> int:
        """HTTP attempts that it has made so far; 0 while spanscript is not active."""
        call = self._block.call
        return 0 if call is None else call.attempts

    @property
    def status(self) -> Status | None:
        """How it ended; `None` until it has."""
        call = self._block.call
        return None if call is None or call.ended_ns is None else call.status
