"""The pace along a random path, where it is more than its points: of every interval between two of them how high and how low the pace goes
there, and when it first is at some level, from the bridge through both ends.

Of the steps within an interval the ends of the first and of the last count, and summits in between; a jump or a change of policy within it
is taken as part of the way. What policy does itself, it does at the points.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from kernels.solvers import bridges
from kernels.solvers.clock_dense import Place, Roughness
from kernels.solvers.rows import at_places, places


class Interval(NamedTuple):
    """An interval of the path, (…, lanes) all: ln of the pace at both ends and at its highest (-inf where there is none), when it begins
    and ends, how much the variance grows in it, and the number that says when what is passed in it is passed."""

    start: jax.Array
    end: jax.Array
    highest: jax.Array
    begun: jax.Array
    ended: jax.Array
    variance: jax.Array
    when: jax.Array

    def date(self, level: jax.Array, smooth: jax.Array) -> jax.Array:
        """When the pace is first at a level that it reaches in the interval; `smooth` is when the line through both ends is, as it is bent
        by the law, or any date outside the interval."""
        below = jnp.maximum(level - self.start, 0)
        inside = (smooth > self.begun) & (smooth <= self.ended)
        left = (self.ended - smooth) / jnp.where(inside, smooth - self.begun, 1)
        beyond = jnp.where(inside, below * left, jnp.abs(jnp.where(jnp.isfinite(self.end), self.end, level) - level))
        share = bridges.first_passage(below, beyond, self.variance, self.when)
        return self.begun + jnp.where(below > 0, share, 0) * (self.ended - self.begun)


class Steps(NamedTuple):
    """ln of the pace at both ends of a step and at its highest, and at both ends before policy, each (lanes,)."""

    start: jax.Array
    end: jax.Array
    summit: jax.Array
    start_before: jax.Array
    end_before: jax.Array


class RoughPaces(NamedTuple):
    """`intervals` in the rows of their last steps, (steps, lanes); ln of how slow the pace is at its slowest before policy, (lanes,)."""

    intervals: Interval
    slowest: jax.Array

    @property
    def fastest(self) -> Interval:
        """The interval of the highest pace, (lanes,)."""
        return self._at(jnp.argmax(self.intervals.highest, axis=0).astype(jnp.int32))

    def first_at(self, level: jax.Array) -> tuple[jax.Array, Interval]:
        """Whether the pace is ever at a level (…, lanes), and the first interval in which it is."""
        meets = self.intervals.highest[:, None] >= level
        return jnp.any(meets, axis=0), self._at(jnp.argmax(meets, axis=0).astype(jnp.int32))

    def _at(self, index: jax.Array) -> Interval:
        here = places(index)
        return Interval(*(at_places(row, here) for row in self.intervals))


_Held = tuple[tuple[jax.Array, ...], jax.Array, Interval]


def rough_paces(
    step: Callable[[jax.Array], Place],
    roughness: Callable[[jax.Array], Roughness],
    along: Callable[[Place], Steps],
    used: jax.Array,
    rows: int,
    log_most: jax.Array | None,
) -> RoughPaces:
    """Of `used` steps in so many rows: `step(index)` and `roughness(index)` are those of all trajectories at a step, `along(place)` the
    pace in it."""
    like = step(jnp.int32(0)).state[0]

    def visit(index: jax.Array, held: _Held) -> _Held:
        (was, first, first_before, begun, summit), slowest, found = held
        place, rough = step(index), roughness(index)
        pace = along(place)
        enters = (index == 0) | (rough.number != was)
        first, first_before, begun = (
            jnp.where(enters, new, old) for new, old in ((pace.start, first), (pace.start_before, first_before), (place.state[0], begun))
        )
        summit = jnp.where(enters, pace.summit, jnp.maximum(summit, pace.summit))
        last = (index == used) | (roughness(jnp.minimum(index + 1, used)).number != rough.number)
        ended = place.end[0]
        variance = rough.variance * (ended - begun)
        if log_most is None:
            highest = bridges.highest(first, pace.end, variance, rough.above)
        else:
            # Policy that holds the pace holds it wherever it would go.
            highest = jnp.minimum(bridges.highest(first_before, pace.end_before, variance, rough.above), log_most)
        # The law itself may have a summit in between. What the steps follow is the mean pace, which is above the line by as much as this.
        highest = jnp.maximum(highest, summit - variance / 8)
        slow = bridges.highest(-first_before, -pace.end_before, variance, rough.below)
        slowest = jnp.where(last, jnp.maximum(slow, slowest), slowest)
        here = Interval(first, pace.end, jnp.where(last, highest, -jnp.inf), begun, ended, variance, rough.when)
        kept = Interval(*(lax.dynamic_update_index_in_dim(row, value, index, 0) for row, value in zip(found, here, strict=True)))
        return (rough.number, first, first_before, begun, summit), slowest, kept

    nothing = jnp.zeros_like(like)
    empty = jnp.zeros((rows, *like.shape), like.dtype)
    found = Interval(*[empty] * 7)._replace(highest=jnp.full_like(empty, -jnp.inf))
    begin = ((nothing - 1, *[nothing] * 4), nothing - jnp.inf, found)
    _, slowest, intervals = lax.fori_loop(0, used + 1, visit, begin)
    return RoughPaces(intervals, slowest)
