"""
Streams that nobody reads to the end: dropped by the app, or still open when the process ends.

A finalizer runs wherever the garbage collector happens to strike, maybe inside a lock of the
OpenTelemetry SDK or of our own writer, held by this very thread. So an end by garbage collection waits,
if any such code is on the stack, until the next stream or the end of the process.
"""

from __future__ import annotations

import atexit
import sys
import threading
from collections import deque
from pathlib import Path
from types import FrameType
from typing import Final
from weakref import WeakSet

from spanscript._attempt import Attempt
from spanscript._guard import guarded

_MAY_HOLD_A_LOCK: Final = (
    "/threading.py",
    "/queue.py",
    "/logging/",
    # Not all of it: web frameworks are instrumented by a frame that stands below every request.
    *(f"/opentelemetry/{part}/" for part in ("_logs", "exporter", "metrics", "sdk", "trace")),
    f"{Path(__file__).parent}/",
)
_THREAD_STARTS: Final = ("_bootstrap", "_bootstrap_inner", "run")
"""What of `threading.py` stands below everything in a thread."""

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
        if _may_hold_a_lock(frame):
            return True
        frame = frame.f_back
    return False


def _may_hold_a_lock(frame: FrameType) -> bool:
    code = frame.f_code
    if code.co_name in _THREAD_STARTS and code.co_filename == threading.__file__:
        return False
    return any(part in code.co_filename for part in _MAY_HOLD_A_LOCK)
