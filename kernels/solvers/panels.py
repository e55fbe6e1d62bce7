"""Gauss–Legendre panels: how many a law needs, how wide they may be far from every ceiling, and sums over their points.

Source of the error bounds: for e^(cz) the rule's own error; for a singularity Trefethen (2008), "Is Gauss quadrature better than
Clenshaw–Curtis?", theorem 4.5.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from kernels.elementary import exp, expm1, log1p
from kernels.solvers.budget import Budget, Place
from kernels.solvers.solution import MOST_DOUBLINGS

CHANGE = 8.0
"""ln of the factor by which the integrand may change over a panel that is laid for each trajectory by itself."""

_PLACES = 24
"""Places at which the bounds of panels far from every ceiling are known."""
_WIDEST = 16.0
"""Doublings of a panel far from every ceiling, at most."""
_POINTS = range(4, 21)
"""Points that such a panel may have."""


def panels_for(
    tolerance: float,
    steepest: Callable[[float], float],
    nearest_ceiling: float,
    deepest: float,
    regular: bool = False,
    aside: float = math.inf,
) -> Budget:
    """Panels and nodes for a relative error within `tolerance`.

    `steepest(share)` bounds |d ln T/dx| over all trajectories up to that share of the way to the ceiling (of MOST_DOUBLINGS without one);
    `nearest_ceiling` is the least number of doublings to it; `deepest` bounds ln of how much shorter T becomes on the way;
    `regular` says that they are regular at it; `aside` is how many doublings off the real line their nearest other singularity is.
    """
    # Far from every ceiling: short of the nearest, or while one beyond what is followed is far off.
    whole, share = (nearest_ceiling, 0.9) if nearest_ceiling < MOST_DOUBLINGS else (MOST_DOUBLINGS, 0.1)
    ways = [share * place / _PLACES for place in range(_PLACES + 1)]
    places = tuple(Place(way * whole, max(steepest(way), 1e-3), nearest_ceiling - way * whole, aside) for way in ways)
    # Measured, with some to spare: once T is too small to matter panels widen by a factor each, down a valley and up again.
    valley = 0.0 if nearest_ceiling == math.inf else math.log2(1 + deepest / CHANGE)
    if tolerance > 1e-8:
        count, nodes = math.ceil(5 + 1.6 * valley) + (6 if regular else 0), 8
    else:
        # Of an exponential over such a panel 12 nodes leave 4e-17; the others are for what is not one.
        count, nodes = math.ceil(7 + 2.4 * valley) + (4 if regular else 0), 12 if tolerance > 1e-10 else 16
    # Below what float32 promises, 2e-6, whatever is asked.
    return Budget(count, nodes, max(min(tolerance / 30, 1e-6), 1e-15), share * whole, places)


@functools.cache
def widest_change(nodes: int, accuracy: float) -> float:
    """The c for which so many nodes leave a relative error of `accuracy` in the integral of e^(cz) over [0, 1]."""
    points, weights = gauss_legendre(nodes, np.dtype(np.float64))

    def error(change: float) -> float:
        return abs(float(weights @ np.exp(change * (points - 1))) * change / -math.expm1(-change) - 1)

    # From above, where rounding does not show.
    narrow, wide = 1e-3, 700.0
    while wide - narrow > 0.01 * narrow:
        middle = math.sqrt(narrow * wide)
        narrow, wide = (narrow, middle) if error(middle) > accuracy else (middle, wide)
    return narrow


def stretch(nodes: int, accuracy: float) -> float:
    """The least sum of a singularity's distances to both ends of a panel, in widths of the panel: half the sum of the axes of Bernstein's
    ellipse ρ through it, beyond which `nodes` points of Gauss leave about ρ^(−2·nodes)."""
    radius = math.exp(-math.log(accuracy) / (2 * nodes))
    return (radius + 1 / radius) / 2


def _widest(place: Place, nodes: int, accuracy: float) -> float:
    """Doublings of a panel that begins there."""
    least = stretch(nodes, accuracy)
    ahead, aside = 2 * place.ahead / (1 + least), 2 * place.aside / math.sqrt(least**2 - 1)
    return min(widest_change(nodes, accuracy) / place.steepest, _WIDEST, ahead, aside)


def direct_panels(start: float, end: float, budget: Budget) -> tuple[list[float], int]:
    """Where panels far from every ceiling begin and end, in doublings, and how many points each has: as few points in all as the budget's
    places allow."""
    found = min(
        (
            (nodes, _edges(start, end, [(place.level, _widest(place, nodes, budget.accuracy)) for place in budget.places]))
            for nodes in _POINTS
        ),
        key=lambda one: one[0] * (len(one[1]) - 1),
    )
    return found[1], found[0] * budget.finer


def _edges(start: float, end: float, pitches: list[tuple[float, float]]) -> list[float]:
    """As few panels as the pitches (pairs of a level and the width allowed there) let be, by one share of them all."""
    levels, widths = zip(*pitches, strict=True)

    def edges(share: float) -> list[float]:
        found = [start]
        while found[-1] < end:
            here = found[-1]
            width = float(np.interp(here, levels, widths))
            found.append(here + share * min(width, float(np.interp(here + width, levels, widths))))
        return found

    count, least, most = len(edges(1.0)), 0.5, 1.0
    for _ in range(30):
        share = (least + most) / 2
        least, most = (least, share) if len(edges(share)) == count else (share, most)
    return [*edges(most)[:-1], end]


def gauss_legendre(count: int, dtype: jnp.dtype) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights on [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return ((nodes + 1) / 2).astype(dtype), (weights / 2).astype(dtype)


def weighted_sum(
    weights: np.ndarray, points: tuple[np.ndarray, ...], rate: Callable[..., jax.Array], like: jax.Array, compact: bool = True
) -> jax.Array:
    """Σ weights·rate(*points), in a fixed order, shape of `like`, which `rate` gives for one point of each: in a loop, or written out.

    In a loop, of one-dimensional rows, every version of the compiler makes vector code; of slices of larger arrays some do not.
    """
    if not compact:
        rows = (weight * rate(*point) for weight, *point in zip(weights, *points, strict=True))
        written: jax.Array = functools.reduce(jnp.add, rows)
        return written
    held, places = jnp.asarray(weights), tuple(jnp.asarray(row) for row in points)

    def add(index: jax.Array, total: jax.Array) -> jax.Array:
        return total + held[index] * rate(*(row[index] for row in places))

    total: jax.Array = lax.fori_loop(0, len(weights), add, jnp.zeros_like(like))
    return total


def first_doubling_scale(
    log_ratio: Callable[[jax.Array, jax.Array], jax.Array], ceiling: jax.Array | None, like: jax.Array, nodes: int
) -> jax.Array:
    """∫₀¹ T(x)/T(0) dx, shape (lanes,): what T(0) is divided by so that the first doubling takes the time given (geometric convention)."""
    points, weights = gauss_legendre(nodes, like.dtype)
    pieces = 4
    shares = np.concatenate([(piece + points) / pieces for piece in range(pieces)])
    weights = np.tile(weights / pieces, pieces)
    if ceiling is None:

        def rate(share: jax.Array) -> jax.Array:
            return exp(log_ratio(share * jnp.ones_like(like), jnp.zeros_like(like)))

        return weighted_sum(weights, (shares,), rate, like)
    end = -log1p(-1 / ceiling)

    def rate_below_ceiling(share: jax.Array) -> jax.Array:
        w = end * share
        return exp(log_ratio(-ceiling * expm1(-w), -w) - w)

    return end * ceiling * weighted_sum(weights, (shares,), rate_below_ceiling, like)
