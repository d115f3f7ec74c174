"""
Paired measurement: every variant in turn, round after round, in one process.

A shared machine drifts by more than what is measured here. So variants are compared within a round
(forth and back: ABCD, DCBA), each block of a round is represented by the median of its calls, and a
difference by the median over the rounds of the differences within them. The garbage collector stays
on, as in an app, and starts each block from a collected heap. Time is the thread's own processor time
(other processes of the machine do not count), but for cases that wait for another process.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from statistics import median, quantiles
from time import thread_time_ns
from typing import Any

Around = Callable[[], AbstractContextManager[Any]]
"""What is put around each call, within what is timed."""

Block = Callable[[Around, int], list[int]]
"""Makes so many calls and gives the nanoseconds of each."""

Variant = Callable[[Block], AbstractContextManager[Around]]
"""Switches something on; is given a block, should it need a call to look at."""


@dataclass(frozen=True)
class Case:
    """
    Something that is timed.

    Attributes:
        name: Its name on the command line and in the table.
        open: Makes what it needs, and gives its block; the block may be used any number of times.
        variants: Names of the variants that make sense for it, the bare one first.
        calls: Calls in a block.
        rounds: Times that each variant is run.
        warm: Calls before a block that do not count.
        units: Of what a cost is told, in each call (chunks of a stream, say).
        goal: Microseconds of a unit that the second variant of `pair` may take more than the first.
        pair: The two variants that are compared.
        among: The variants, if they are not the usual ones.
    """

    name: str
    open: Callable[[], AbstractContextManager[Block]]
    variants: str = "ABCD"
    calls: int = 40
    rounds: int = 16
    warm: int = 5
    units: int = 1
    goal: float | None = None
    pair: str = "BD"
    among: Mapping[str, Variant] | None = None


@dataclass(frozen=True)
class Times:
    """Medians in nanoseconds, by variant and round."""

    case: Case
    rounds: Mapping[str, Sequence[float]]

    def of(self, variant: str) -> float:
        """Microseconds of one call."""
        return median(self.rounds[variant]) / 1000

    @property
    def added(self) -> float:
        """Microseconds of a unit by which the second variant of the pair takes longer."""
        return median(self._differences)

    @property
    def spread(self) -> tuple[float, float]:
        """Lower and upper quartile of that over the rounds."""
        low, _, high = quantiles(self._differences, n=4)
        return low, high

    def ratio(self, variant: str) -> float:
        """How many times as long as the bare call."""
        bare = self.case.variants[0]
        return median(v / b for v, b in zip(self.rounds[variant], self.rounds[bare], strict=True))

    @property
    def _differences(self) -> list[float]:
        first, second = (self.rounds[variant] for variant in self.case.pair)
        return [(s - f) / 1000 / self.case.units for f, s in zip(first, second, strict=True)]


def measure(case: Case, variants: Mapping[str, Variant]) -> Times:
    """Time *case* under each of its variants."""
    rounds: dict[str, list[float]] = {name: [] for name in case.variants}
    variants = case.among or variants
    with case.open() as block:
        gc.collect()
        gc.freeze()  # what the libraries hold for ever would be looked through before each block
        for number in range(case.rounds):
            for name in case.variants if number % 2 == 0 else reversed(case.variants):
                with variants[name](block) as around:
                    block(around, case.warm)
                    gc.collect()
                    rounds[name].append(median(block(around, case.calls)))
    return Times(case, rounds)


def one_by_one(call: Callable[[], object], clock: Callable[[], int] = thread_time_ns) -> Block:
    """The block of a synchronous call."""

    def block(around: Around, count: int) -> list[int]:
        times = []
        for _ in range(count):
            start = clock()
            with around():
                call()
            times.append(clock() - start)
        return times

    return block
