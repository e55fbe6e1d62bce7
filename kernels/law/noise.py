"""Noise: a pace that wanders about what the law says, and breakthroughs, jumps of software at random times.

Equations: the pace is multiplied by e^w with dw = −(w/τ)dt + σ√(2/τ)dW, w(0) = 0: an Ornstein–Uhlenbeck process whose stationary standard
deviation is σ. Breakthroughs arrive at so many a month, and each adds an exponentially distributed number of doublings.

w does not depend on software, so it is a path that is known before the law is solved. It is exact at the points of a grid, at least 8·2^k
a correlation time and 32·2^k a horizon. Between them software goes at the mean pace over all paths through both ends, to second order in
the interval, which leaves the dates of one path an error of first order; how high and how low the pace goes is drawn
(`kernels/solvers/bridges.py`). The path is that of the base grid (k = 0), refined by halving: the middle of an interval of length δ with
w₀ and w₁ at its ends is normal with mean (w₀ + w₁)/(2 cosh(δ/2τ)) and variance σ² tanh(δ/2τ), so that a finer grid goes through the points
of a coarser one. Every number is addressed by (path, index, what): nothing depends on the steps or the batch.

Source: Uhlenbeck and Ornstein (1930), "On the theory of the Brownian motion"; Gillespie (1996), Phys. Rev. E 54, 2084 (exact transitions);
the bridge follows from them as the product of two transitions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import jax
import jax.numpy as jnp

from kernels.elementary import exp, expm1, log, log1p
from kernels.in_memory import kept_together
from kernels.sampling.indexed import threefry
from kernels.sampling.normals import normal_pair
from kernels.sampling.tails import Tail, nearer_tail
from kernels.solvers.bridges import Bridge

POINTS = 8
"""Points of the base grid a correlation time."""
LEAST_POINTS = 32
"""Points of the base grid a horizon, at least."""
_BREAKTHROUGHS = 1 << 8
"""What breakthroughs are addressed by; points of the path are by how often their grid was halved."""
_BETWEEN = 1 << 9
"""What lies between the points is addressed by, and by how often their grid was halved."""


def _words(path: tuple[jax.Array, jax.Array], index: jax.Array, what: int) -> tuple[jax.Array, jax.Array]:
    """Two random words at an address; `path` and `index`, whole numbers, are (lanes,)."""
    # A hundred operations, which would be done again for each number that is made of them.
    return kept_together(*threefry(path, index.astype(jnp.int32).astype(jnp.uint32), jnp.full(index.shape, what, jnp.uint32)))


def _normal(path: tuple[jax.Array, jax.Array], index: jax.Array, what: int) -> jax.Array:
    """A standard normal number at an address, of the type of `index`."""
    return normal_pair(*_words(path, index, what), index.dtype)[0]


def _exponential(tail: Tail) -> jax.Array:
    """−ln u, with all its digits at both ends."""
    return -jnp.where(tail.upper, log1p(-tail.probability), log(tail.probability))


@dataclass(frozen=True)
class Wandering:
    """The path of w/σ, a pure function of `path`, two of uint32 (lanes,), on the base grid of a correlation time and a horizon, months,
    halved so many times.

    What is remembered between the points: `segment`, the number of the interval, and w/σ at its ends; on a halved grid also that at the
    ends of the interval of the base grid around it. All are (lanes,) of the float type.
    """

    path: tuple[jax.Array, jax.Array]
    refinements: int
    correlation_time: jax.Array
    horizon: jax.Array

    @property
    def remembered(self) -> tuple[str, ...]:
        base = ("wander_base_start", "wander_base_end") if self.refinements else ()
        return ("segment", "wander_start", "wander_end", *base)

    @cached_property
    def _base_months(self) -> jax.Array:
        return jnp.minimum(self.correlation_time / POINTS, self.horizon / LEAST_POINTS)

    @cached_property
    def months(self) -> jax.Array:
        """Length of an interval of the grid."""
        return self._base_months / (1 << self.refinements)

    @cached_property
    def variance(self) -> jax.Array:
        """By how much the variance of w/σ grows in an interval, were it not pulled back."""
        return 2 * self.months / self.correlation_time

    @cached_property
    def _decay(self) -> tuple[jax.Array, jax.Array]:
        """Of a transition over an interval of the base grid: what is left of w, and the standard deviation of what is added."""
        length = self._base_months / self.correlation_time
        return exp(-length), jnp.sqrt(-expm1(-2 * length))

    def _transition(self, start: jax.Array, point: jax.Array) -> jax.Array:
        """The value at a point of the base grid, given that at the one before."""
        left, spread = self._decay
        return left * start + spread * _normal(self.path, point, 0)

    def _within(self, point: jax.Array, start: jax.Array, end: jax.Array) -> jax.Array:
        """The value at a point of the grid, given those at the ends of the interval of the base grid that begins at it or around it."""
        for level in range(1, self.refinements + 1):
            half = self._base_months / (1 << level) / self.correlation_time
            over, doubled = exp(half), expm1(2 * half)
            ahead = 1 << (self.refinements - level)
            number = 2 * jnp.floor(point / (2 * ahead)) + 1
            # 2 cosh and tanh of the half
            middle = (start + end) / (over + 1 / over) + jnp.sqrt(doubled / (doubled + 2)) * _normal(self.path, number, level)
            beyond = point >= number * ahead
            start, end = jnp.where(beyond, middle, start), jnp.where(beyond, end, middle)
        return start

    def begun(self, like: jax.Array) -> dict[str, jax.Array]:
        """What is remembered at month 0, of the shape and type of `like`."""
        zero = jnp.zeros_like(like)
        end = self._transition(zero, zero + 1)
        found = {"segment": zero, "wander_start": zero, "wander_end": end}
        if self.refinements:
            found |= {"wander_end": self._within(zero + 1, zero, end), "wander_base_start": zero, "wander_base_end": end}
        return found

    def advanced(self, at: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
        """What is remembered after the next point of the grid."""
        segment, start = at["segment"] + 1, at["wander_end"]
        if not self.refinements:
            return {"segment": segment, "wander_start": start, "wander_end": self._transition(start, segment + 1)}
        parts = 1 << self.refinements
        base = jnp.floor(segment / parts)
        entered = segment == base * parts
        base_start = jnp.where(entered, at["wander_base_end"], at["wander_base_start"])
        base_end = jnp.where(entered, self._transition(base_start, base + 1), at["wander_base_end"])
        end = jnp.where(segment + 1 == (base + 1) * parts, base_end, self._within(segment + 1, base_start, base_end))
        return {"segment": segment, "wander_start": start, "wander_end": end, "wander_base_start": base_start, "wander_base_end": base_end}

    def log_pace(self, at: Mapping[str, jax.Array], months: jax.Array, deviation: jax.Array) -> jax.Array:
        """ln of the pace's factor at a time within the interval (and a little beyond), with σ = `deviation`, each (lanes,)."""
        share, start, end = jnp.clip(months / self.months - at["segment"], -1, 2), at["wander_start"], at["wander_end"]
        return deviation * (start + share * (end - start)) + self._bulge(at, deviation) * share * (1 - share)

    def _bulge(self, at: Mapping[str, jax.Array], deviation: jax.Array) -> jax.Array:
        """By how much, over s(1 − s), the mean of the pace's factor over all paths through both points is above the line, of its ln."""
        # The bridge is below the line by ½δ²s(1 − s) of its mean, and has variance 2δs(1 − s), half of which it adds to the mean pace.
        return deviation * self.variance / 2 * (deviation - self.variance / 8 * (at["wander_start"] + at["wander_end"]))

    def rises(self, segment: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Two exponential numbers of mean 1, which say how far the path goes above and below the line in the interval of this number; each
        (lanes,)."""
        above, below = (nearer_tail(word, segment.dtype) for word in _words(self.path, segment, _BETWEEN + self.refinements))
        return _exponential(above), _exponential(below)

    def bridge(self, at: Mapping[str, jax.Array], deviation: jax.Array, rise: jax.Array) -> Bridge:
        """The interval as the curve above the line sees it, with one of the interval's `rises`."""
        spread = 2 * deviation**2 * self.variance
        return Bridge(at["segment"] * self.months, self.months, self._bulge(at, deviation), spread * rise)


def breakthrough(path: tuple[jax.Array, jax.Array], number: jax.Array, rate: jax.Array, size: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Months to the breakthrough of this number (0, 1, …) from the one before, and the doublings of that one before, each (lanes,).

    `path` is two of uint32 (lanes,), `rate` a month, `size` the mean in doublings. A rate of 0 gives +inf months.
    """
    gap, jump = (nearer_tail(word, rate.dtype) for word in _words(path, number, _BREAKTHROUGHS))
    return _exponential(gap) / rate, size * _exponential(jump)
