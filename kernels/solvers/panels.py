"""Gauss–Legendre panels: how many a law needs, how wide they may be far from every ceiling, and sums over their points.

Source of the error bound: the Gauss–Legendre remainder for e^(cz) on [0, 1], c^(2n) (n!)^4 / ((2n + 1) (2n)!^3).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable

import jax
import jax.numpy as jnp
import numpy as np

from kernels.solvers.budget import Budget
from kernels.solvers.solution import MOST_DOUBLINGS

CHANGE = 8.0
"""ln of the factor by which the integrand may change over a panel."""

_PITCHES = 24
"""Places at which the width of panels far from every ceiling is known."""


def panels_for(
    tolerance: float, steepest: Callable[[float], float], nearest_ceiling: float, deepest: float, regular: bool = False
) -> Budget:
    """Panels and nodes for a relative error within `tolerance`.

    `steepest(share)` bounds |d ln T/dx| over all trajectories up to that share of the way to the ceiling (of MOST_DOUBLINGS without one);
    `nearest_ceiling` is the least number of doublings to it; `deepest` bounds ln of how much shorter T becomes on the way;
    `regular` says that they are regular at it.
    """
    # Far from every ceiling: short of the nearest, or while one beyond what is followed is far off.
    whole, share = (nearest_ceiling, 0.9) if nearest_ceiling < MOST_DOUBLINGS else (MOST_DOUBLINGS, 0.1)

    def pitch(way: float) -> float:
        # Half of what is left to the ceiling keeps that singularity out of the way.
        left = 16.0 if nearest_ceiling == math.inf else (1 - way) * nearest_ceiling / 2
        return min(CHANGE / max(steepest(way), 1e-3), 16.0, left)

    ways = [share * place / _PITCHES for place in range(_PITCHES + 1)]
    pitches = tuple((way * whole, pitch(way)) for way in ways)
    direct = share * whole
    # Measured, with some to spare: once T is too small to matter panels widen by a factor each, down a valley and up again.
    valley = 0.0 if nearest_ceiling == math.inf else math.log2(1 + deepest / CHANGE)
    if tolerance > 1e-8:
        return Budget(math.ceil(5 + 1.6 * valley) + (6 if regular else 0), 8, direct, pitches)
    # Of an exponential over such a panel 12 nodes leave 4e-17; the others are for what is not one.
    nodes = 12 if tolerance > 1e-10 else 16
    return Budget(math.ceil(7 + 2.4 * valley) + (4 if regular else 0), nodes, direct, pitches)


def direct_edges(start: float, end: float, budget: Budget) -> list[float]:
    """Where panels far from every ceiling begin and end, in doublings: as few as the budget's pitches allow, by one share of them all."""
    levels, pitches = zip(*budget.pitches, strict=True)

    def edges(share: float) -> list[float]:
        found = [start]
        while found[-1] < end:
            here = found[-1]
            width = float(np.interp(here, levels, pitches))
            found.append(here + share * min(width, float(np.interp(here + width, levels, pitches))))
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


def weighted_sum(weights: np.ndarray, rows: Iterable[jax.Array]) -> jax.Array:
    """Σ weights·rows, in a fixed order."""
    total: jax.Array = functools.reduce(jnp.add, (weight * row for weight, row in zip(weights, rows, strict=True)))
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
        return weighted_sum(weights, (jnp.exp(log_ratio(share * jnp.ones_like(like), jnp.zeros_like(like))) for share in shares))
    end = -jnp.log1p(-1 / ceiling)
    places = (end * share for share in shares)
    return end * ceiling * weighted_sum(weights, (jnp.exp(log_ratio(-ceiling * jnp.expm1(-w), -w) - w) for w in places))
