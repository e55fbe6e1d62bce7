"""Gaussian copula: correlated parameters keep their own distributions and gain the rank correlation that is asked for.

z' = L z, with L the Cholesky factor of the matrix of latent correlations; latent = 2 sin(pi rank / 6) gives Spearman's rank correlation
(K. Pearson, 1907; R. L. Iman and W. J. Conover, Commun. Statist. B 11, 311, 1982, for its use in simulation).
A relative error of 1e-6 in a far tail probability asks for |z| to 1e-7 absolutely, more than float32 holds: sums are kept as pairs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from kernels.sampling.tails import Tail, exp_pair, leading_half, normal_magnitude, polynomial, scaled_pair

Factor = tuple[tuple[float, ...], ...]

# Phi(-m) exp(m^2/2) for 0 <= m <= 13.3: a minimax rational of our own, 5e-9 relative.
_NUMERATOR = (0.500000002, 0.435685534, 0.181306124, 0.039983942, 0.00402015074)
_DENOMINATOR = (1.0, 1.66925599, 1.19448169, 0.464378639, 0.100232261, 0.0100768803)
_FARTHEST = 12.9


def latent_from_rank(rank: float) -> float:
    """The correlation of the latent normals that gives this Spearman rank correlation. Raises ValueError unless -1 <= rank <= 1."""
    if not -1.0 <= rank <= 1.0:
        raise ValueError(f"rank: {rank!r} is not a correlation; give a number from -1 to 1")
    return 2.0 * math.sin(math.pi * rank / 6.0)


def cholesky(names: Sequence[str], pairs: Sequence[tuple[str, str, float]]) -> Factor:
    """The lower Cholesky factor of the latent correlation matrix of `names`, in that order; pairs not given are uncorrelated.

    Raises ValueError for an unknown name, a pair given twice, or a matrix that is not positive definite (with its smallest eigenvalue).
    """
    matrix = np.eye(len(names))
    places = {name: place for place, name in enumerate(names)}
    for first, second, latent in pairs:
        label = f"correlation {first}:{second}"
        for name in (first, second):
            if name not in places:
                raise ValueError(f"{label}: {name!r} is not among the parameters drawn; use {', '.join(names)}")
        i, j = places[first], places[second]
        if i == j or matrix[i, j] != 0.0:
            raise ValueError(f"{label}: the pair is given twice or with itself; give each pair of different parameters once")
        if not -1.0 < latent < 1.0:
            raise ValueError(f"{label}: latent correlation {latent!r} is not between -1 and 1; use a smaller one")
        matrix[i, j] = matrix[j, i] = latent
    smallest = float(np.linalg.eigvalsh(matrix)[0]) if len(names) else 1.0
    if smallest < 1e-9:
        given = ", ".join(f"{first}:{second} = {latent:g}" for first, second, latent in pairs)
        problem = f"no variables can have the latent correlations {given} (smallest eigenvalue {smallest:.3g})"
        raise ValueError(f"correlation: {problem}; bring them nearer to 0")
    return tuple(tuple(float(value) for value in row) for row in np.linalg.cholesky(matrix))


def _sum(first: tuple[jax.Array, jax.Array], second: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
    """The sum of two pairs as a pair (D. E. Knuth's exact sum of the leading parts)."""
    total = first[0] + second[0]
    other = total - first[0]
    lost = (first[0] - (total - other)) + (second[0] - other)
    return total, lost + (first[1] + second[1])


def _tail_area(high: jax.Array, low: jax.Array) -> jax.Array:
    """Phi(-(high + low)) for high + low >= 0."""
    if high.dtype != jnp.float32:
        return jnp.asarray(0.5, high.dtype) * jax.scipy.special.erfc((high + low) * jnp.asarray(math.sqrt(0.5), high.dtype))
    half = np.float32(0.5)
    leading = leading_half(high)
    exact = half * leading * leading
    rest = ((high - leading) + low) * (half * (high + leading))
    total = exact + rest
    result: jax.Array = exp_pair(-total, -((exact - total) + rest)) * (polynomial(_NUMERATOR, high) / polynomial(_DENOMINATOR, high))
    return result


def correlate(tails: Sequence[Tail], factor: Factor) -> list[Tail]:
    """Tails with the correlations of `factor` from independent ones, in the same order; each has the uniform distribution still."""
    scores = []
    for tail in tails:
        high, low = normal_magnitude(tail.probability)
        scores.append((jnp.where(tail.upper, high, -high), jnp.where(tail.upper, low, -low)))
    correlated = []
    for row in factor:
        terms = [scaled_pair(weight, *score) for weight, score in zip(row, scores, strict=True) if weight != 0.0]
        total = terms[0]
        for term in terms[1:]:
            total = _sum(total, term)
        upper = total[0] + total[1] > jnp.zeros_like(total[0])
        sign = jnp.where(upper, jnp.ones_like(total[0]), -jnp.ones_like(total[0]))
        magnitude = jnp.minimum(sign * total[0], jnp.asarray(_FARTHEST, total[0].dtype))
        area = _tail_area(magnitude, sign * total[1])
        correlated.append(Tail(jnp.minimum(area, jnp.asarray(0.5, area.dtype)), upper))
    return correlated
