"""Quantile functions without a closed form as tables of polynomials: built once on the host, looked up by the draw's own 32 bits.

Each tail's position p 2^32 in (0, 2^31) is cut into dyadic cells, halved until one polynomial holds the quantile to the tolerance in each
(relative to the value, so that both tails keep their digits) or the cell is one integer wide, which pins a jump to its exact place. The
polynomial interpolates at Chebyshev points (L. N. Trefethen, "Approximation theory and approximation practice", 2013, chs. 2 and 8). A cell
is found from the octave of the position and a binary search among that octave's cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from kernels.sampling.distribution import Distribution, Floats
from kernels.sampling.tails import Tail, position

_OCTAVES = 32
# Degree of the cells' polynomials and the error asked of them.
_SINGLE, _DOUBLE = (3, 6e-8), (9, 2e-12)


@dataclass(frozen=True, eq=False)
class Table:
    """Cells in ascending order of key = position + 2^31 if in the upper tail."""

    edges: np.ndarray
    """The key at which each cell begins, uint32 of shape (cells,)."""
    widths: Floats
    """Whole numbers that each cell spans, shape (cells,)."""
    coefficients: Floats
    """Of powers of t in [-1, 1] across the cell, shape (degree + 1, cells)."""
    octaves: np.ndarray
    """The first cell of each octave, lower tail before upper, int32 of shape (64,)."""
    steps: int
    """Halvings that find a cell within any octave."""


def _fit(
    distribution: Distribution, upper: bool, starts: Floats, widths: Floats, degree: int, tolerance: float
) -> tuple[Floats, np.ndarray]:
    """Polynomials for cells (coefficients, shape (degree + 1, cells)) and which of them are good enough."""
    nodes = np.cos(np.pi * (np.arange(degree + 1) + 0.5) / (degree + 1))
    checks = np.append(np.cos(np.pi * np.arange(degree + 2) / (degree + 1)) * 0.999, 0.0)
    places = np.concatenate([nodes, checks])
    positions = starts[:, None] + (places + 1.0) / 2.0 * widths[:, None]
    values = distribution.inverse((positions * 2.0**-32).ravel(), upper).reshape(positions.shape)
    coefficients = np.linalg.solve(np.vander(nodes, increasing=True), values[:, : degree + 1].T)
    error = np.abs(np.vander(places, degree + 1, increasing=True) @ coefficients - values.T)
    size = np.abs(values.T)
    # Rounding in the host's values: of the value, and of the probability where the quantile is steep (a gap between two components).
    steepness = (values.max(axis=1) - values.min(axis=1)) / widths
    rounding = 4.0 * distribution.absolute_error + 2e-15 * (starts + widths) * steepness
    good = np.all(error <= np.maximum(tolerance * size, rounding), axis=0)
    # A cell across which the value changes much would lose digits when the terms of the polynomial are added.
    good &= np.abs(coefficients).sum(axis=0) <= 3.0 * size.min(axis=0) + rounding / tolerance
    single = widths == 1.0
    jump = single & ~good
    coefficients[:, jump] = 0.0
    coefficients[0, jump] = values[jump, -1]
    return coefficients, good | single


@lru_cache(maxsize=256)
def table(distribution: Distribution, double: bool) -> Table:
    """The table of a distribution for float32 or float64."""
    degree, tolerance = _DOUBLE if double else _SINGLE
    edges, widths, columns = [], [], []
    for upper in (False, True):
        starts = np.array([0.0, *(2.0**octave for octave in range(_OCTAVES - 1))])
        spans = np.maximum(starts, 1.0)
        while starts.size:
            fitted, good = _fit(distribution, upper, starts, spans, degree, tolerance)
            edges.append(starts[good] + upper * 2.0**31)
            widths.append(spans[good])
            columns.append(fitted[:, good])
            halves = spans[~good] / 2.0
            starts, spans = np.concatenate([starts[~good], starts[~good] + halves]), np.tile(halves, 2)
    order = np.argsort(np.concatenate(edges))
    keys = np.concatenate(edges)[order].astype(np.uint32)
    starts = np.array([0, *(2**octave for octave in range(_OCTAVES - 1))])
    firsts = np.concatenate([starts, starts + 2**31]).astype(np.uint32)
    octaves = np.searchsorted(keys, firsts).astype(np.int32)
    longest = int(np.diff(np.append(octaves, keys.size)).max())
    return Table(keys, np.concatenate(widths)[order], np.concatenate(columns, axis=1)[:, order], octaves, (longest - 1).bit_length())


def look_up(distribution: Distribution, tail: Tail) -> jax.Array:
    """The quantile of `distribution` at `tail` from its table, of the type and shape of `tail.probability`."""
    dtype = tail.probability.dtype
    found = table(distribution, dtype == jnp.float64)
    whole, fraction = position(tail)
    key = jnp.where(tail.upper, whole | jnp.uint32(1 << 31), whole)
    octave = jnp.int32(_OCTAVES) - lax.clz(whole).astype(jnp.int32) + jnp.where(tail.upper, jnp.int32(_OCTAVES), jnp.int32(0))
    last = jnp.int32(found.edges.size - 1)
    edges = jnp.asarray(found.edges)
    cell = jnp.asarray(found.octaves)[octave]
    for step in reversed(range(found.steps)):
        later = jnp.minimum(cell + jnp.int32(1 << step), last)
        cell = jnp.where(edges[later] <= key, later, cell)
    offset = (key - edges[cell]).astype(jnp.int32).astype(dtype) + fraction
    t = offset * jnp.asarray(2.0 / found.widths, dtype)[cell] - jnp.asarray(1.0, dtype)
    total = jnp.asarray(found.coefficients[-1], dtype)[cell]
    for row in found.coefficients[-2::-1]:
        total = total * t + jnp.asarray(row, dtype)[cell]
    return total
