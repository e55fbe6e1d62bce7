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


class _Walk(NamedTuple):
    """While stretches are judged: the steps of the next one and where it starts, where the one before it did, the least duration so far,
    whether the last one had it, and which one did."""

    first: jax.Array
    last: jax.Array
    low: jax.Array
    low_before: jax.Array
    least: jax.Array
    won: jax.Array
    best: Stretch


def _share(piece: Pieces, level: jax.Array) -> jax.Array:
    width = piece.level_after - piece.level
    return jnp.clip((level - piece.level) / jnp.where(width > 0, width, 1), 0, 1)


def _months(piece: Pieces, level: jax.Array) -> jax.Array:
    """Months since the start of a step at levels within it."""
    share, change = _share(piece, level), piece.log_time_after - piece.log_time
    change = jnp.where(jnp.abs(change) < 1e-3, 1e-3, jnp.clip(change, -80, 80))
    return piece.months * expm1(change * share) / expm1(change)


def _log_time(piece: Pieces, level: jax.Array) -> jax.Array:
    share = _share(piece, level)
    return piece.log_time + share * (piece.log_time_after - piece.log_time)


def fastest_stretch(pieces: Pieces, used: jax.Array, amount: jax.Array, furthest: jax.Array) -> Stretch:
    """The stretch with the fastest window of `amount` doublings (lanes,) that begins at `furthest` doublings (lanes,) at the latest.

    `used` is how many steps the slowest trajectory took, ().
    """

    def pick(number: jax.Array) -> Pieces:
        return Pieces(*(jnp.take_along_axis(row, number[None], axis=0)[0] for row in pieces))

    def passed(level: jax.Array) -> jax.Array:
        """Steps that end at a level or before it."""
        taken = jnp.arange(len(pieces.level), dtype=jnp.int32)[:, None] < used
        count = jnp.sum((pieces.level_after <= level) & taken, axis=0, dtype=jnp.int32)
        return jnp.minimum(count, used - 1)

    def walk(_: jax.Array, at: _Walk) -> _Walk:
        begin, finish = pick(at.first), pick(at.last)
        high = jnp.minimum(jnp.minimum(begin.level_after, finish.level_after - amount), furthest)
        long = high > at.low
        ends = jnp.stack([at.low, high])
        below, above = _log_time(finish, ends + amount) - _log_time(begin, ends)
        dips = (below < 0) & (above > 0)
        middle = jnp.where(dips, at.low - below * ((high - at.low) / jnp.where(dips, above - below, 1)), at.low)
        starts = jnp.stack([at.low, middle, high])
        durations = (finish.month - begin.month) + _months(finish, starts + amount) - _months(begin, starts)
        duration = jnp.where(long, jnp.maximum(jnp.min(durations, axis=0), 0), jnp.inf)
        # Within one leap it is exactly zero; beside it only so nearly as levels have digits.
        wins = (duration < at.least) | ((duration == at.least) & (at.first == at.last))
        # Durations bend where a window begins or ends with a leap: what is beside a stretch stops there.
        leaps = jnp.minimum(begin.log_time, finish.log_time) <= LEAP
        best = at.best._replace(high_beside=jnp.where(at.won & long & ~leaps, high, at.best.high_beside))
        here = Stretch(at.first, at.last, at.low, high, at.low_before, high)
        return _Walk(
            first=jnp.minimum(at.first + (begin.level_after <= high), used - 1),
            last=jnp.minimum(at.last + (finish.level_after - amount <= high), used - 1),
            low=jnp.maximum(at.low, high),
            low_before=jnp.where(long, jnp.where(leaps, high, at.low), at.low_before),
            least=jnp.minimum(duration, at.least),
            won=wins | (at.won & ~long),
            best=Stretch(*(jnp.where(wins, new, old) for new, old in zip(here, best, strict=True))),
        )

    zero = jnp.zeros_like(amount)
    first, last = passed(zero), passed(amount)
    begin = _Walk(first, last, zero, zero, jnp.full_like(zero, jnp.inf), zero > 0, Stretch(first, last, zero, zero, zero, zero))
    walked: _Walk = lax.fori_loop(0, 2 * used, walk, begin)
    return walked.best
