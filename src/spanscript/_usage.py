"""
What calls use, counted for the blocks of the app that they are made in.

A call belongs to the blocks that are open where it starts, and is counted when it ends, wherever and
whenever that is. Without a block, a call costs one look at a context variable.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from decimal import Decimal
from typing import Final

from msgspec import Struct, field

from spanscript import _prices
from spanscript._exchange import Outcome, Request, Usage
from spanscript._guard import guarded

_MANY: Final = 1000
"""Calls whose cost nobody asks for are priced when there are so many, for they must not become ever more."""


class _Bill:
    """
    Costs, added up when somebody asks: a price takes longer to look up than all else at a call's end.

    They are kept small till then, and looked up in a thread of their own if nobody asks.
    """

    def __init__(self) -> None:
        self._waiting: deque[_prices.Cost] = deque()
        self._lock = threading.RLock()
        self._usd: Decimal | None = None
        self._unpriced = 0

    def add(self, cost: _prices.Cost) -> None:
        """Take the cost of a call."""
        self._waiting.append(cost)
        if len(self._waiting) % _MANY == 0:
            threading.Thread(target=self.settle, name="spanscript-prices", daemon=True).start()

    def settle(self) -> tuple[Decimal | None, int]:
        """US dollars, and the number of calls that are not in them."""
        with self._lock:
            while self._waiting:
                usd = self._waiting.popleft().usd
                if usd is None:
                    self._unpriced += 1
                else:
                    self._usd = usd + (self._usd or 0)
            return self._usd, self._unpriced


class _Numbers(Struct, eq=False):
    """What is added up. Tokens are those that the wire told, of every attempt."""

    calls: int = 0
    attempts: int = 0
    failed_attempts: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    waiting_seconds: float = 0.0
    seconds: float = 0.0


class Spent(_Numbers, eq=False):
    """
    What calls used. Each number grows when a call ends; to be read at any time, from any thread.

    Attributes:
        calls: Calls that have ended, well or not.
        attempts: Their HTTP attempts.
        failed_attempts: Those of them that failed: an error, a broken answer, a task that was cancelled.
        input_tokens: Tokens that were sent, cached ones included. Like all tokens: of every attempt, failed
            ones too, as far as the wire told them, and `None` until it told any.
        output_tokens: Tokens that the models made, reasoning included.
        cache_read_tokens, cache_write_tokens: Those of the input that were read from, written to a cache.
        reasoning_tokens: Those of the output that were reasoning.
        waiting_seconds: From the ends of failed attempts to the starts of the next, and under `rate_limit`.
        seconds: Durations of all calls, added up; more than has passed if they ran side by side.
    """

    _bill: _Bill = field(default_factory=_Bill)

    def __repr__(self) -> str:
        """The numbers, without the cost: it may have to be looked up."""
        told = (f"{name}={getattr(self, name)!r}" for name in _Numbers.__struct_fields__)
        return f"{type(self).__name__}({', '.join(told)})"

    @property
    def cost_usd(self) -> float | None:
        """
        US dollars by list prices; `None` if no price is known for any call.

        Looked up now: the first time takes half a second. Needs the extra `prices`.
        """
        if self.calls:
            _prices.say_if_missing()
        usd, _ = self._bill.settle()
        return None if usd is None else float(usd)

    @property
    def unpriced(self) -> int:
        """Calls that are not in `cost_usd`: their model has no known price, or no tokens were told."""
        return self._bill.settle()[1]


class Used(Spent, eq=False):
    """What the calls of a block used, see `Spent`; `by_model` tells it of each model."""

    _models: dict[str | None, Spent] = field(default_factory=dict)
    # Entered again where a signal handler of the app reads the numbers.
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _is_left: bool = False
    """Whether it was closed in another context, where it cannot be taken off the one it was opened in."""

    @property
    def by_model(self) -> Mapping[str | None, Spent]:
        """Model, as the requests name it → what it used; `None`: the model is not known."""
        with self._lock:
            return dict(self._models)

    def _take(self, model: str | None, numbers: _Numbers, cost: _prices.Cost) -> None:
        with self._lock:
            for spent in (self, self._models.setdefault(model, Spent())):
                _add(spent, numbers)
                spent._bill.add(cost)  # noqa: SLF001  # its own


class Tally:
    """Counts one call for the blocks that it belongs to."""

    __slots__ = ("_blocks", "_cost", "_ended_ns", "_numbers")

    def __init__(self, blocks: tuple[Used, ...]) -> None:
        self._blocks = blocks
        self._numbers = _Numbers(calls=1)
        self._cost = _prices.Cost()
        self._ended_ns: int | None = None

    @guarded
    def attempt_started(self, at_ns: int, waited_ms: float) -> None:
        """An attempt is about to be sent. The first one waited only for its turn under a rate limit."""
        waited = waited_ms / 1e3 if self._ended_ns is None else max(0, at_ns - self._ended_ns) / 1e9
        _add(self._numbers, _Numbers(attempts=1, waiting_seconds=waited))

    @guarded
    def attempt_ended(self, request: Request, outcome: Outcome) -> None:
        """An attempt is over."""
        self._ended_ns = outcome.ended_ns
        if outcome.failure is not None:
            self._numbers.failed_attempts += 1
        if outcome.reply is not None:
            _add(self._numbers, outcome.reply.usage)
        charge = _prices.charge_of(request, outcome)
        if charge is not None:
            self._cost.charges.append(charge)

    @guarded
    def call_ended(self, model: str | None, lasted_ns: int) -> None:
        """The call is over: tell the blocks."""
        self._numbers.seconds = lasted_ns / 1e9
        for block in self._blocks:
            block._take(model, self._numbers, self._cost)  # noqa: SLF001  # its own


@contextmanager
def usage() -> Iterator[Used]:
    """
    Count what the calls of a block use.

        with spanscript.usage() as used:
            agent.run()
        print(used.calls, used.output_tokens, used.cost_usd)

    In sync and async code alike. Tasks, and threads with a copied context, belong to the blocks in which they
    were started. Blocks nest: a call counts in all that are open where it starts. Its numbers come when it
    ends, also after the block: of a stream, when it was read.

    Yields:
        What was used so far. While spanscript is not active, nothing ever is.
    """
    used = Used()
    token = _blocks.set((*_blocks.get(), used))
    try:
        yield used
    finally:
        now = _blocks.get()
        try:
            _blocks.reset(token)
        except ValueError:  # a generator that is closed elsewhere
            used._is_left = True  # noqa: SLF001  # its own
        else:
            # Not what was before: a generator may be closed after another block was opened.
            _blocks.set(tuple(block for block in now if block is not used))


def tally() -> Tally | None:
    """What counts a call that starts here; `None` if no block is open."""
    blocks = _blocks.get()
    if not blocks:
        return None
    blocks = tuple(block for block in blocks if not block._is_left)  # noqa: SLF001  # its own
    return Tally(blocks) if blocks else None


def _add(total: _Numbers, more: _Numbers | Usage) -> None:
    for name in more.__struct_fields__:
        number = getattr(more, name)
        if number is not None:
            setattr(total, name, number + (getattr(total, name) or 0))


_blocks: Final[ContextVar[tuple[Used, ...]]] = ContextVar("spanscript_usage", default=())
