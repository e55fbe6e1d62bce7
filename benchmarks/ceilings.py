"""How many operations of a kind a machine can do in a second, on all its cores at once: the ceilings of a roofline.

Each is a compiled loop over numbers that stay in a core's first cache (on an accelerator: that fill it). In a pass each number goes through
a chain of one operation, and no number waits for another. How long a chain suits is tried out. A multiply-add is measured in C besides.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.bare import Threads
from benchmarks.environment import cores
from benchmarks.operations import DIVISION, EXPONENTIAL, LOGARITHM, MULTIPLY_ADD, OTHER, ROOT
from benchmarks.peers.c_library import compiler
from benchmarks.peers.multiply_adds import MultiplyAdds
from kernels.compiler import compiled

_LINKS: dict[str, Callable[[jax.Array, jax.Array, jax.Array], jax.Array]] = {
    MULTIPLY_ADD: lambda x, a, b: x * a + b,
    # Without the sum between them two divisions would be made one.
    DIVISION: lambda x, a, b: b / (x + a),
    ROOT: lambda x, a, b: jnp.sqrt(x + b),
    EXPONENTIAL: lambda x, a, b: jnp.exp(-x),
    LOGARITHM: lambda x, a, b: jnp.log(x + b),
    OTHER: lambda x, a, b: jnp.where(x < a, b, x),
}
"""One link of a chain; `a` and `b` are numbers that are not known when it is compiled."""
_COUNTED = {OTHER: 2}
"""Operations of a link: a comparison and a selection. What else a link needs (a sum, a sign) is not counted."""


@dataclass(frozen=True)
class Loop:
    """A loop to be timed, so many operations of a kind on all cores, and how it is made."""

    kind: str
    run: Callable[[], object]
    work: float
    made: str

    def seconds(self) -> float:
        """Seconds of the quickest of some runs, after one that compiles."""
        taken = []
        for _ in range(4):
            started = time.perf_counter()
            self.run()
            taken.append(time.perf_counter() - started)
        return min(taken)


def loops(precision: str, seconds: float, on: list[Any]) -> list[tuple[Loop, Loop]]:
    """For each kind the fastest loop, which takes about so many seconds, and the same with twice as many passes. Multiply-adds in C come
    last, where there is a compiler and no accelerator."""
    found = []
    for kind in _LINKS:
        tried = [_sized(_Chain(kind, precision, length, on).loop, seconds) for length in _lengths(on)]
        found.append(max(tried, key=lambda pair: pair[0].work / pair[0].seconds()))
    if on[0].platform == "cpu" and compiler() is not None:

        def in_c(passes: int) -> Loop:
            run = MultiplyAdds(precision, passes, cores())
            return Loop(MULTIPLY_ADD, run, run.work, "C, in registers")

        found.append(_sized(in_c, seconds))
    return found


def _lengths(on: list[Any]) -> tuple[int, ...]:
    return (1, 2, 4, 8, 16) if on[0].platform == "cpu" else (64, 512)


def _sized(loop: Callable[[int], Loop], seconds: float) -> tuple[Loop, Loop]:
    """The loop with as many passes as take about so many seconds, and with twice as many."""
    passes = 16
    while (taken := loop(passes).seconds()) < seconds / 4:
        passes *= 4
    passes = max(1, round(passes * seconds / taken))
    return loop(passes), loop(2 * passes)


class _Chain:
    """Chains of one operation, so many links long, on every device."""

    def __init__(self, kind: str, precision: str, length: int, on: list[Any]) -> None:
        self._kind, self._length = kind, length
        self._lanes = 2048 if on[0].platform == "cpu" else 1 << 22
        link, random = _LINKS[kind], np.random.default_rng(20250804)

        def run(x: jax.Array, passes: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
            def one(_: jax.Array, x: jax.Array) -> jax.Array:
                for index in range(length):
                    x = link(x, a[index], b[index])
                return x

            end: jax.Array = lax.fori_loop(0, passes, one, x)
            return end

        self._run = compiled(run)
        # Multiply-adds by a factor below 1, and the others too, stay near 1 for ever.
        ranges = ((0.5, 1.5, self._lanes), (0.5, 0.9, length), (1.0, 1.5, length))
        numbers = [random.uniform(*one).astype(precision) for one in ranges]
        self._held = [(device, *(jax.device_put(one, device) for one in numbers)) for device in on]

    def loop(self, passes: int) -> Loop:
        """The loop with so many passes."""
        times = np.int32(passes)
        calls: list[Callable[[], Any]] = [partial(self._run, x, jax.device_put(times, device), a, b) for device, x, a, b in self._held]
        work = float(passes) * self._length * self._lanes * len(calls) * _COUNTED.get(self._kind, 1)
        return Loop(self._kind, Threads(calls), work, f"XLA, chains of {self._length}")
