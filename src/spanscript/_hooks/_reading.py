"""The bodies of answers on their way to the app, as far as HTTP libraries are alike."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any

from spanscript._attempt import Attempt
from spanscript._unread import end_unread, watch


class Step:
    """One step of reading the body of an answer: what is raised in it ends the attempt."""

    __slots__ = ("attempt",)

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.attempt.fail(error)


class Reading:
    """The body of an answer while it is read: how that ends is how the attempt ends."""

    __slots__ = ("_attempt",)

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt

    def __enter__(self) -> Callable[[bytes], None]:
        return self._attempt.chunk

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._attempt.end("eof")
        elif not isinstance(error, GeneratorExit):  # then the app reads no further, and closes
            self._attempt.fail(error)


class Seen:
    """What stands in the place of a stream and passes on what it does not know: all but reading."""

    _stream: Any = None  # a copy that was made without a constructor has nothing to pass on to

    def __init__(self, stream: Any, attempt: Attempt) -> None:
        self._stream = stream
        self._attempt = attempt
        watch(attempt)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __del__(self) -> None:
        if self._stream is not None:
            end_unread(self._attempt)
