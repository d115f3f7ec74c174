"""
Telling the app of its calls while they run: that they begin, what comes, how attempts and calls end.

A call is told to those who listen where it begins. Answers are decoded while they come only for them: with
no listener, a call costs one look at a tuple.
"""

from __future__ import annotations

import atexit
import inspect
import os
import threading
from collections.abc import Callable
from time import monotonic
from types import TracebackType
from typing import Any, Final, Protocol

import msgspec

from spanscript._delivery import Mailbox, Worker
from spanscript._deltas import Deltas
from spanscript._exchange import Failure, Outcome, Reply, Request, Status
from spanscript._guard import guarded
from spanscript._secrets import mask
from spanscript._told import AttemptEnd, CallEnd, CallProgress, CallStart, Record
from spanscript._words import Words

_UNDO_SECONDS: Final = 5.0
_EXIT_SECONDS: Final = 2.0


class Undo:
    """Takes a thing back when it is called, or at the end of a `with` block; once."""

    __slots__ = ("_undo",)

    def __init__(self, undo: Callable[[], None]) -> None:
        self._undo: Callable[[], None] | None = undo

    def __call__(self) -> None:
        """Take it back."""
        undo, self._undo = self._undo, None
        if undo is not None:
            undo()

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self()


def subscribe(listener: Callable[[Record], object]) -> Undo:
    """
    Have every call that begins from now on told to *listener*, while it runs.

        def listener(record):
            match record:
                case spanscript.CallProgress(kind="text"):
                    print(record.delta, end="")
                case spanscript.CallEnd():
                    print(record.status, record.seconds, record.output_tokens)

        undo = spanscript.subscribe(listener)

    Of each call, in this order: a `CallStart`; of each attempt its `CallProgress` records, then its
    `AttemptEnd`; a `CallEnd`. Calls side by side are told as they come.

    The listener runs in a thread of its own and never holds up the app. One that is slow lags and loses
    nothing; one that raises is logged, once, and goes on being told. Text is as the model said it: clean
    it before it goes to a terminal. To get into an event loop, use its `call_soon_threadsafe`.

    Args:
        listener: A plain function of one record.

    Returns:
        What ends it: a function, or a context manager. What is pending is delivered first, within five
        seconds (not when the listener itself ends it); then nothing more is. If it is never called, what is
        pending at the interpreter's exit is delivered within two seconds.

    Raises:
        TypeError: The listener cannot be called, or is a coroutine function, which nothing would await.
    """
    if not callable(listener) or inspect.iscoroutinefunction(listener):
        raise TypeError(f"a listener is a plain function of one record, not {listener!r}")
    mailbox: Mailbox[Record] = Mailbox(listener, _joined)
    _listeners.add(mailbox)
    return Undo(lambda: _listeners.remove(mailbox, _UNDO_SECONDS))


class _Listeners:
    """Who listens, and the thread that makes records for them."""

    def __init__(self) -> None:
        self.mailboxes: tuple[Mailbox[Record], ...] = ()
        self.decoding = Worker("spanscript-progress", _handle)
        self._lock = threading.Lock()

    def add(self, mailbox: Mailbox[Record]) -> None:
        with self._lock:
            self.mailboxes = (*self.mailboxes, mailbox)

    def remove(self, mailbox: Mailbox[Record], seconds: float) -> None:
        with self._lock:
            self.mailboxes = tuple(other for other in self.mailboxes if other is not mailbox)
        until = monotonic() + (0 if mailbox.worker.is_here else seconds)
        self.decoding.flush(until)
        mailbox.close(until)

    def begin_anew(self) -> None:
        self._lock = threading.Lock()
        self.decoding.begin_anew()
        for mailbox in self.mailboxes:
            mailbox.begin_anew()

    def flush(self, seconds: float) -> None:
        until = monotonic() + seconds
        for worker in (self.decoding, *(mailbox.worker for mailbox in self.mailboxes)):
            worker.flush(until)


def _handle(work: tuple[Callable[[Any], None], Any]) -> None:
    handle, given = work
    handle(given)


class _Call(Protocol):
    """A call, as far as it is told of."""

    id: str
    info: Any
    words: Words
    started_ns: int
    ended_ns: int | None
    attempts: int
    status: Status | None
    failure: Failure | None


class Telling:
    """Tells of one call. Its methods but `tell` run in the app's threads, and only hand on."""

    __slots__ = ("_mailboxes", "_over", "_started")

    def __init__(self, mailboxes: tuple[Mailbox[Record], ...]) -> None:
        self._mailboxes = mailboxes
        self._started = False
        self._over = False

    @guarded
    def call_started(self, call: _Call) -> None:
        """It has begun. A lazy one has when it sends something: until then it may be forgotten."""
        if call.attempts or not call.info.lazy:
            self._start(call)

    def answering(self, request: Request, content_type: str) -> Progress:
        """What takes the bytes of an answer whose head has come."""
        return Progress(self, request, content_type)

    @guarded
    def attempt_ended(self, progress: Progress | None, request: Request, outcome: Outcome) -> None:
        """An attempt is over; *progress* had its bytes, if it was answered."""
        failure = outcome.failure
        end = AttemptEnd(
            call_id=request.call_id,
            attempt=request.attempt,
            time=outcome.ended_ns / 1e9,
            status=outcome.status,
            seconds=(outcome.ended_ns - outcome.started_ns) / 1e9,
            http_status=outcome.http_status,
            error_type=failure.type if failure else None,
            error_message=failure.message if failure else None,
            retry_after_ms=outcome.retry_after_ms,
        )
        if progress is not None:
            _listeners.decoding.put((progress.finish, outcome.reply))
        _listeners.decoding.put((self.tell, end))

    @guarded
    def call_ended(self, call: _Call, asked: Any, last: Outcome | None) -> None:
        """
        The call is over.

        Args:
            call: It.
            asked: What names the model: the last request or, if there was none, what is known of the call.
            last: How the last attempt ended, if there was one.
        """
        self._start(call)
        reply = last.reply if last else None
        ended_ns, failure = call.ended_ns or call.started_ns, call.failure
        end = CallEnd(
            call_id=call.id,
            time=ended_ns / 1e9,
            status=call.status or "error",
            seconds=(ended_ns - call.started_ns) / 1e9,
            attempts=call.attempts,
            model=(reply and reply.model) or asked.model,
            error_type=failure.type if failure else None,
            error_message=failure.message if failure else None,
            empty=last is not None and last.empty,
            **(msgspec.structs.asdict(reply.usage) if reply else {}),
        )
        _listeners.decoding.put((self.tell, end))

    def _start(self, call: _Call) -> None:
        if self._started:
            return
        self._started = True
        info = call.info
        start = CallStart(
            call_id=call.id,
            time=call.started_ns / 1e9,
            client=info.client,
            provider=info.provider,
            model=info.model,
            operation=info.operation,
            iteration=call.words.iteration,
            stage=call.words.stage,
        )
        _listeners.decoding.put((self.tell, start))

    @guarded
    def tell(self, record: Record) -> None:
        """Give a record to all who listen, in the thread that decodes."""
        if self._over:
            return
        self._over = isinstance(record, CallEnd)
        key = None
        if isinstance(record, CallProgress):
            key = (record.attempt, record.kind, record.tool_index)
        for mailbox in self._mailboxes:
            mailbox.put(record, record.call_id, key)


class Progress:
    """
    Takes the bytes of one answer in the app's threads, and decodes them in ours.

    Args:
        telling: Of its call.
        request: What is answered.
        content_type: Of the answer; empty if its bytes are compressed, and cannot be read before the end.
    """

    __slots__ = ("_deltas", "_over", "_request", "_telling")

    def __init__(self, telling: Telling, request: Request, content_type: str) -> None:
        self._telling = telling
        self._request = request
        self._deltas = Deltas(request.dialect, content_type)
        self._over = False

    def chunk(self, data: bytes) -> None:
        """Take some bytes, as they came."""
        _listeners.decoding.put((self._read, data))

    @guarded
    def _read(self, data: bytes) -> None:
        if not self._over:
            self._tell(self._deltas.take(mask(data)))

    @guarded
    def finish(self, reply: Reply | None) -> None:
        """Tell what the whole reply has beside, in our thread."""
        self._over = True
        if reply is not None:
            self._tell(self._deltas.rest(reply))

    def _tell(self, deltas: list[Any]) -> None:
        usage = self._deltas.usage
        for delta in deltas:
            self._telling.tell(
                CallProgress(
                    call_id=self._request.call_id,
                    attempt=self._request.attempt,
                    kind=delta.kind,
                    delta=delta.text,
                    tool=delta.tool,
                    tool_index=delta.index,
                    input_tokens=usage.input_tokens,
                    output_tokens=usage.output_tokens,
                )
            )


@guarded
def telling() -> Telling | None:
    """What tells of a call that begins here; `None` if nobody listens."""
    mailboxes = _listeners.mailboxes
    if not mailboxes:
        return None
    _listeners.decoding.start()
    for mailbox in mailboxes:
        mailbox.worker.start()
    return Telling(mailboxes)


def _joined(records: list[Record]) -> Record:
    """One record of progress of several of the same thing."""
    deltas = [record.delta for record in records if isinstance(record, CallProgress)]
    return msgspec.structs.replace(records[-1], delta="".join(deltas))


_listeners: Final = _Listeners()
os.register_at_fork(after_in_child=_listeners.begin_anew)


@atexit.register
def _at_exit() -> None:
    _listeners.flush(_EXIT_SECONDS)
