"""Searches that the solvers share, elementwise over lanes: roots within a bracket, zeros of a cubic, and least values.

Functions are given arrays of the shape of their ends, or with one axis before, and return one of that shape. The number of steps is
fixed, so that every lane does the same work.

Source: the Illinois variant of the secant method is Dowell and Jarratt (1971), BIT 11, 168; golden-section search is Kiefer (1953).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from kernels.solvers.rounds import few_rounds

Function = Callable[[jax.Array], jax.Array]

_GOLDEN = 0.6180339887498949


def root_of(function: Function, search: Callable[[], jax.Array], low: jax.Array, high: jax.Array) -> jax.Array:
    """What `search` finds, shape (…), as the root of an elementwise function between `low` and `high`; on one of them it moves with that
    end. The search itself is not differentiated."""
    low, high = (jnp.broadcast_to(end, jnp.broadcast_shapes(low.shape, high.shape)) for end in (low, high))
    root: jax.Array = lax.custom_root(
        function,
        lax.stop_gradient(low),
        lambda _function, _guess: search(),
        lambda linear, miss: miss / linear(jnp.ones_like(miss)),
    )
    return jnp.where((root > low) & (root < high), root, jnp.where(root > low, high, low))


class _Bracket(NamedTuple):
    """A zero's bracket with the function's values at its ends, the place that was tried last with its value, and which end moved before: 1
    the upper, -1 the lower, 0 neither."""

    low: jax.Array
    high: jax.Array
    at_low: jax.Array
    at_high: jax.Array
    tried: jax.Array
    value: jax.Array
    side: jax.Array

    def narrowed(self, index: jax.Array, halvings: int) -> _Bracket:
        """Narrowed by what was tried last, with the next place to try, whose value is yet to be filled in: the middle in the first so many
        passes, and then the secant's zero."""
        low, high, at_low, at_high, tried, value, side = self
        above = value > 0
        halving = index <= halvings
        at_low, at_high = (
            jnp.where(above, jnp.where((side > 0) & ~halving, at_low / 2, at_low), value),
            jnp.where(above, value, jnp.where((side < 0) & ~halving, at_high / 2, at_high)),
        )
        low, high = jnp.where(above, low, tried), jnp.where(above, tried, high)
        rise = at_high - at_low
        secant = jnp.clip(low - at_low * ((high - low) / jnp.where(rise > 0, rise, 1)), low, high)
        middle = jnp.where(index < halvings, (low + high) / 2, secant)
        return _Bracket(low, high, at_low, at_high, middle, value, jnp.where(above, 1, -1).astype(side.dtype))


def illinois(
    rising: Function, low: jax.Array, high: jax.Array, at_low: jax.Array, at_high: jax.Array, guess: jax.Array, steps: int
) -> jax.Array:
    """Where an increasing function is zero between `low`, where it is `at_low` ≤ 0, and `high`, where it is `at_high` ≥ 0: so many steps of
    the secant method, the first from a `guess`, kept inside its bracket by halving the value at an end that stays for a second time."""
    zero = jnp.zeros_like(low)

    def step(index: jax.Array, bracket: _Bracket) -> _Bracket:
        # The bracket is narrowed by what the pass before has left in memory. Of a value of this pass the compiler would make copies that
        # round otherwise, and at a root they would not agree on its sign.
        begun = bracket._replace(tried=guess)
        bracket = jax.tree.map(lambda first, later: jnp.where(index == 0, first, later), begun, bracket.narrowed(index, 0))
        return bracket._replace(value=rising(bracket.tried))

    found: _Bracket = lax.fori_loop(0, steps, step, _Bracket(low, high, at_low, at_high, guess, zero, zero))
    return found.narrowed(jnp.int32(steps), 0).tried


def sign_change(rising: Function, low: jax.Array, high: jax.Array, steps: int, halvings: int = 0) -> jax.Array:
    """Where an increasing function changes sign between `low` and `high`, or the nearer end: so many steps of `illinois`, after as many
    `halvings` of the bracket as the function is far from a line."""
    low, high = jnp.broadcast_arrays(low, high)
    zero = jnp.zeros_like(low)

    def step(index: jax.Array, carry: tuple[_Bracket, jax.Array, jax.Array]) -> tuple[_Bracket, jax.Array, jax.Array]:
        # The first two passes try the ends: in the same loop, so that the compiler meets the function once.
        bracket, start, end = carry
        start, end = jnp.where(index == 1, bracket.value, start), jnp.where(index == 2, bracket.value, end)
        at_low, at_high = jnp.minimum(start, 0), jnp.maximum(end, 0)
        begun = _Bracket(low, high, at_low, at_high, low, at_low, zero)
        bracket = jax.tree.map(lambda first, later: jnp.where(index == 2, first, later), begun, bracket).narrowed(index - 2, halvings)
        tried = jnp.where(index == 0, low, jnp.where(index == 1, high, bracket.tried))
        return bracket._replace(tried=tried, value=rising(tried)), start, end

    begin = (_Bracket(low, high, zero, zero, low, zero, zero), zero, zero)
    found, start, end = lax.fori_loop(0, 2 + halvings + steps, step, begin)
    return jnp.where(start >= 0, low, jnp.where(end <= 0, high, found.tried))


def cubic_zero(start: jax.Array, slope_at_start: jax.Array, end: jax.Array, slope_at_end: jax.Array, steps: int) -> jax.Array:
    """Where on [0, 1] the cubic with these values and slopes at its ends crosses zero from below: Newton's method kept in its bracket."""

    def improve(_: int, found: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
        low, high, at = found
        rest = 1 - at
        # In what is added to the start, so that a root close to it keeps its digits.
        value = start + at * (rise * at * (3 - 2 * at) + rest * (slope_at_start * rest - slope_at_end * at))
        slope = 6 * at * rest * rise + rest * (1 - 3 * at) * slope_at_start + at * (3 * at - 2) * slope_at_end
        low, high = jnp.where(value > 0, low, at), jnp.where(value > 0, at, high)
        newton = at - value / jnp.where(slope == 0, 1, slope)
        return low, high, jnp.where((newton > low) & (newton < high), newton, (low + high) / 2)

    rise = end - start
    guess = jnp.clip(-start / jnp.where(rise == 0, 1, rise), 0, 1)
    _, _, zero = few_rounds(steps, improve, (jnp.zeros_like(guess), jnp.ones_like(guess), guess))
    return zero


def hump(start: jax.Array, slope_at_start: jax.Array, end: jax.Array, slope_at_end: jax.Array) -> tuple[jax.Array, jax.Array]:
    """About where on (0, 1) a function with these values and slopes at its ends is highest, if it rises at its start and falls at its end:
    at the summit of the parabola with these slopes. And what it does not exceed if it is concave, where the tangents at its ends meet.

    At 0, with -inf, where it does not rise and fall so.
    """
    humped = (slope_at_start > 0) & (slope_at_end < 0)
    bend = jnp.where(humped, slope_at_start - slope_at_end, 1)
    bound = start + slope_at_start * ((end - slope_at_end - start) / bend)
    return jnp.where(humped, slope_at_start / bend, 0), jnp.where(humped, bound, -jnp.inf)


def best_of(
    cost: Function, place: Callable[[jax.Array], jax.Array], count: int | jax.Array, like: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The place where `cost` is least among `place(0)` … `place(count − 1)`, which do not fall, between its neighbours; of the shape and
    type of `like`."""

    def visit(index: jax.Array, found: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        least, before, at, after, previous, won = found
        here = jnp.broadcast_to(place(index), like.shape).astype(like.dtype)
        value = cost(here)
        wins, moved = value < least, here > previous
        return (
            jnp.minimum(value, least),
            jnp.where(wins, previous, before),
            jnp.where(wins, here, at),
            jnp.where(wins | (won & moved), here, after),
            jnp.where(moved, here, previous),
            wins | (won & ~moved),
        )

    first = jnp.broadcast_to(place(jnp.int32(0)), like.shape).astype(like.dtype)
    begin = (jnp.full_like(first, jnp.inf), first, first, first, first, first != first)
    found: tuple[jax.Array, ...] = lax.fori_loop(0, count, visit, begin)
    return found[1], found[2], found[3]


def narrowed(cost: Function, low: jax.Array, high: jax.Array, steps: int) -> tuple[jax.Array, jax.Array]:
    """A bracket of a least value of `cost`, narrowed by so many steps of golden-section search."""

    def narrow(_: int, ends: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        left, right = ends
        inner_left, inner_right = right - _GOLDEN * (right - left), left + _GOLDEN * (right - left)
        at_left, at_right = cost(jnp.stack([inner_left, inner_right]))
        keep_left = at_left < at_right
        return jnp.where(keep_left, left, inner_left), jnp.where(keep_left, inner_right, right)

    ends: tuple[jax.Array, jax.Array] = lax.fori_loop(0, steps, narrow, (low, high))
    return ends
