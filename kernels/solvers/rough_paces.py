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

from kernels.in_memory import in_memory
from kernels.solvers import bridges
from kernels.solvers.clock_dense import Place, Roughness


class Interval(NamedTuple):
    """An interval of the path, (…, lanes) all: ln of the pace at both ends, at its highest, and at its highest along the steps; when it
    begins and ends, how much the variance grows in it, and the number that says when what is passed in it is passed."""

    start: jax.Array
    end: jax.Array
    highest: jax.Array
    summit: jax.Array
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
    """The interval of the highest pace, (lanes,); ln of how slow the pace is at its slowest before policy, (lanes,); and of levels that
    were asked for whether the pace is ever there, and the first interval in which it is, (levels, lanes)."""

    fastest: Interval
    slowest: jax.Array
    met: jax.Array
    first: Interval


_Held = tuple[Interval, jax.Array, jax.Array, RoughPaces]


def rough_paces(
    step: Callable[[jax.Array], Place],
    roughness: Callable[[jax.Array], Roughness],
    along: Callable[[Place], Steps],
    used: jax.Array,
    log_most: jax.Array | None,
    levels: jax.Array,
) -> RoughPaces:
    """Of `used` steps: `step(index)` and `roughness(index)` are those of all trajectories at a step, `along(place)` the pace in it;
    `levels` are ln of paces, (levels, lanes)."""

    def visit(index: jax.Array, held: _Held) -> _Held:
        interval, first_before, number, found = held
        place, rough = step(index), roughness(index)
        pace = along(place)
        enters = (index == 0) | (rough.number != number)
        first, first_before, begun = (
            jnp.where(enters, new, old)
            for new, old in ((pace.start, interval.start), (pace.start_before, first_before), (place.state[0], interval.begun))
        )
        ended = place.end[0]
        variance = rough.variance * (ended - begun)
        if log_most is None:
            highest = bridges.highest(first, pace.end, variance, rough.above)
        else:
            # Policy that holds the pace holds it wherever it would go.
            highest = jnp.minimum(bridges.highest(first_before, pace.end_before, variance, rough.above), log_most)
        # The law itself may have a summit in between. What the steps follow is the mean pace, which is above the line by as much as this.
        summit = jnp.where(enters, pace.summit, jnp.maximum(interval.summit, pace.summit))
        highest = jnp.maximum(highest, summit - variance / 8)
        here = in_memory(Interval(first, pace.end, highest, summit, begun, ended, variance, rough.when))
        last = in_memory((index == used) | (roughness(jnp.minimum(index + 1, used)).number != rough.number))
        slow = bridges.highest(-first_before, -pace.end_before, variance, rough.below)
        higher = last & (highest > found.fastest.highest)
        meets = last & ~found.met & (highest >= levels)
        return (
            here,
            first_before,
            rough.number,
            RoughPaces(
                fastest=_chosen(higher, here, found.fastest),
                slowest=jnp.where(last, jnp.maximum(slow, found.slowest), found.slowest),
                met=found.met | meets,
                first=_chosen(meets, here, found.first),
            ),
        )

    nothing = jnp.zeros_like(levels[0])
    none, never = Interval(*[nothing] * 8), nothing - jnp.inf
    firsts = Interval(*[jnp.zeros_like(levels)] * 8)
    begin = (none, nothing, nothing, RoughPaces(none._replace(highest=never), never, levels != levels, firsts))
    found: RoughPaces = lax.fori_loop(0, used + 1, visit, begin)[3]
    return found


def _chosen(which: jax.Array, here: Interval, before: Interval) -> Interval:
    return Interval(*(jnp.where(which, new, old) for new, old in zip(here, before, strict=True)))
