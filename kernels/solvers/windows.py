"""The fastest window of a trajectory that is known in steps: which steps it begins and ends in.

A window of so many doublings that begins at level s takes d(s) = t(s + doublings) − t(s). Where neither end passes from one step to the
next d is smooth, so both ends are walked along the steps together, and every such stretch of s is judged: it holds a least value where
ln T(s + doublings) − ln T(s) passes from below zero to above. Inside a step T is taken for exponential between its ends.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from kernels.elementary import expm1
from kernels.in_memory import in_memory
from kernels.solvers.rows import at_places, places

LEAP = -1e4
"""ln T of a leap, of software that rises in no time: faster than any pace."""


class Pieces(NamedTuple):
    """The steps of trajectories in software, each (steps, lanes): levels and dates at their ends, and ln T there (T in months a doubling).

    A step over which software stands still has two equal levels, and a leap, which is a piece of its own, no months and `LEAP` for ln T.
    Steps that were not taken have no length.
    """

    level: jax.Array
    level_after: jax.Array
    month: jax.Array
    months: jax.Array
    log_time: jax.Array
    log_time_after: jax.Array


class Stretch(NamedTuple):
    """Where windows begin in one step and end in another: the numbers of both, the least and greatest level of their start, and those with
    the stretches beside it."""

    first: jax.Array
    last: jax.Array
    low: jax.Array
    high: jax.Array
    low_beside: jax.Array
    high_beside: jax.Array


class _Piece(NamedTuple):
    """A step of each trajectory, (lanes,): the levels where it starts and ends, the month of its start, ln T there and by how much it
    changes, and the months that e^change − 1 is multiplied by to give those since its start."""

    level: jax.Array
    level_after: jax.Array
    month: jax.Array
    log_time: jax.Array
    rise: jax.Array
    months: jax.Array

    def share(self, level: jax.Array) -> jax.Array:
        """Which part of the step is behind at levels within it."""
        width = self.level_after - self.level
        return jnp.clip((level - self.level) / jnp.where(width > 0, width, 1), 0, 1)

    def log_time_at(self, level: jax.Array) -> jax.Array:
        """ln T at levels within it."""
        return self.log_time + self.share(level) * self.rise

    def months_to(self, level: jax.Array) -> jax.Array:
        """Months since its start at levels within it."""
        return self.months * expm1(_change(self.rise) * self.share(level))


def _change(rise: jax.Array) -> jax.Array:
    """Of ln T over a step, or one that can be told from none."""
    return jnp.where(jnp.abs(rise) < 1e-3, 1e-3, jnp.clip(rise, -80, 80))


class _Walk(NamedTuple):
    """While stretches are judged: the steps that the next one begins and ends in, with their numbers, where it starts, where the one before
    it did, the least duration so far, whether the last one had it, and which one did."""

    begin: _Piece
    finish: _Piece
    first: jax.Array
    last: jax.Array
    low: jax.Array
    low_before: jax.Array
    least: jax.Array
    won: jax.Array
    best: Stretch


def fastest_stretch(pieces: Pieces, used: jax.Array, amount: jax.Array, furthest: jax.Array) -> Stretch:
    """The stretch with the fastest window of `amount` doublings (lanes,) that begins at `furthest` doublings (lanes,) at the latest.

    `used` is how many steps the slowest trajectory took, ().
    """

    # Of every step once, and not again for each window that begins or ends in it.
    rise = pieces.log_time_after - pieces.log_time
    months = pieces.months / expm1(_change(rise))
    rows = in_memory(_Piece(pieces.level, pieces.level_after, pieces.month, pieces.log_time, rise, months))

    def pick(number: jax.Array) -> _Piece:
        here = places(number)
        return in_memory(_Piece(*(at_places(row, here) for row in rows)))

    def passed(level: jax.Array) -> jax.Array:
        """Steps that end at a level or before it."""
        taken = jnp.arange(len(pieces.level), dtype=jnp.int32)[:, None] < used
        count = jnp.sum((pieces.level_after <= level) & taken, axis=0, dtype=jnp.int32)
        return jnp.minimum(count, used - 1)

    def walk(_: jax.Array, at: _Walk) -> _Walk:
        begin, finish = at.begin, at.finish
        high = jnp.minimum(jnp.minimum(begin.level_after, finish.level_after - amount), furthest)
        long = high > at.low
        ends = jnp.stack([at.low, high])
        below, above = finish.log_time_at(ends + amount) - begin.log_time_at(ends)
        dips = (below < 0) & (above > 0)
        middle = jnp.where(dips, at.low - below * ((high - at.low) / jnp.where(dips, above - below, 1)), at.low)
        starts = in_memory(jnp.stack([at.low, middle, high]))
        durations = (finish.month - begin.month) + finish.months_to(starts + amount) - begin.months_to(starts)
        duration = jnp.where(long, jnp.maximum(jnp.min(durations, axis=0), 0), jnp.inf)
        # Within one leap it is exactly zero; beside it only so nearly as levels have digits.
        wins = in_memory((duration < at.least) | ((duration == at.least) & (at.first == at.last)))
        # Durations bend where a window begins or ends with a leap: what is beside a stretch stops there.
        leaps = jnp.minimum(begin.log_time, finish.log_time) <= LEAP
        best = at.best._replace(high_beside=jnp.where(at.won & long & ~leaps, high, at.best.high_beside))
        here = Stretch(at.first, at.last, at.low, high, at.low_before, high)
        # One of the two goes on to its next step. (Where both end at once the other follows, after a stretch of no length.)
        begins = begin.level_after <= high
        ends_it = ~begins & (finish.level_after - amount <= high)
        first, last = (jnp.minimum(number + moves, used - 1) for number, moves in ((at.first, begins), (at.last, ends_it)))
        following = pick(jnp.where(begins, first, last))
        return _Walk(
            begin=_Piece(*(jnp.where(begins, new, old) for new, old in zip(following, begin, strict=True))),
            finish=_Piece(*(jnp.where(ends_it, new, old) for new, old in zip(following, finish, strict=True))),
            first=first,
            last=last,
            low=jnp.maximum(at.low, high),
            low_before=jnp.where(long, jnp.where(leaps, high, at.low), at.low_before),
            least=jnp.minimum(duration, at.least),
            won=wins | (at.won & ~long),
            best=Stretch(*(jnp.where(wins, new, old) for new, old in zip(here, best, strict=True))),
        )

    zero = jnp.zeros_like(amount)
    first, last = passed(zero), passed(amount)
    stretch = Stretch(first, last, zero, zero, zero, zero)
    start = _Walk(pick(first), pick(last), first, last, zero, zero, jnp.full_like(zero, jnp.inf), zero > 0, stretch)
    walked: _Walk = lax.fori_loop(0, 2 * used, walk, start)
    return walked.best
