"""Timing that can be compared: contenders take turns, A B C A B C, so that what the machine does meanwhile falls on all of them alike.

Nothing is pinned and no run is thrown away: a median is given with the lowest and highest run, and a ratio is one of turns that ran side by
side. Every contender runs once before, untimed, so that compiling and first touches are not counted. One whose run is short runs again
until its turn has lasted a while: what the contender before it has left in caches and asleep is no part of its rate.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict


class Spread(TypedDict):
    """The median of some runs, with the lowest and the highest."""

    median: float
    low: float
    high: float
    runs: int


def spread(values: Sequence[float]) -> Spread:
    """The spread of at least one value."""
    return Spread(median=statistics.median(values), low=min(values), high=max(values), runs=len(values))


@dataclass(frozen=True)
class Rounds:
    """How many rounds of kernels and peers, and how many seconds a turn lasts at least."""

    count: int
    lasting: float = 0.25


def interleaved(contenders: Mapping[str, Callable[[], object]], rounds: int | Rounds, warm: bool = True) -> dict[str, list[float]]:
    """Seconds that a run of each contender takes in each round, after one that does not count where it is to be `warm`: one run, or the
    mean of as many as its turn has.

    One that measures itself returns its seconds as a float, and those are taken.
    """
    turns = rounds if isinstance(rounds, Rounds) else Rounds(rounds, 0.0)
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(0 if warm else 1, turns.count + 1):
        for name, contender in contenders.items():
            runs, taken, started = 0, 0.0, time.perf_counter()
            while not runs or (turn and taken < turns.lasting):
                returned = contender()
                runs, taken = runs + 1, time.perf_counter() - started
            if turn:
                seconds[name].append(returned if isinstance(returned, float) else taken / runs)
    return seconds


def rates(seconds: Sequence[float], work: float) -> list[float]:
    """Work a second in each round."""
    return [work / taken for taken in seconds]


def ratio(first: Sequence[float], second: Sequence[float]) -> Spread:
    """How many times `second` goes into `first`, round by round."""
    return spread([one / other for one, other in zip(first, second, strict=True)])
