"""
Streams that nobody reads to the end: dropped by the app, or still open when the process ends.

A finalizer runs wherever the garbage collector happens to strike, maybe inside a lock of the
OpenTelemetry SDK or of our own writer, held by this very thread. So an end by garbage collection waits,
if any such code is on the stack, until the next stream or the end of the process.
"""

from __future__ import annotations

import atexit
import sys
from collections import deque
from typing import Final
from weakref import WeakSet

from spanscript._attempt import Attempt
from spanscript._guard import guarded

_MAY_HOLD_A_LOCK: Final = ("threading.py", "queue.py", "logging", "opentelemetry", "spanscript")
_open: Final[WeakSet[Attempt]] = WeakSet()
_waiting: Final[deque[Attempt]] = deque()


@guarded
def watch(attempt: Attempt) -> None:
    """A body begins to be read: note it, and end those that waited."""
    _end_waiting()
    _open.add(attempt)


@guarded
def end_unread(attempt: Attempt) -> None:
    """The stream object of *attempt* is garbage."""
    if not attempt.running:
        return
    if _stack_may_hold_a_lock():
        _waiting.append(attempt)
    else:
        attempt.end("closed")


@atexit.register
@guarded
def _end_open() -> None:
    """The process ends: what is still open will not be read."""
    _end_waiting()
    for attempt in list(_open):
        attempt.end("closed")


def _end_waiting() -> None:
    while _waiting:
        _waiting.popleft().end("closed")


def _stack_may_hold_a_lock() -> bool:
    finalizer = sys._getframe(3)  # noqa: SLF001  # above it: this function, `end_unread`, its guard
    frame = finalizer.f_back
    while frame is not None:
        name = frame.f_code.co_filename
        if any(part in name for part in _MAY_HOLD_A_LOCK):
            return True
        frame = frame.f_back
    return False
