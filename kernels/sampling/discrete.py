"""Distributions on finitely many values: a constant, and a discrete distribution whose probabilities are integers over 2^32."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np

from kernels.sampling.distribution import Distribution, Floats, normalised, require, require_finite
from kernels.sampling.tails import Tail, position


@dataclass(frozen=True)
class Constant(Distribution):
    """One value."""

    value: float

    def __post_init__(self) -> None:
        require_finite(value=self.value)

    @property
    def support(self) -> tuple[float, float]:
        return self.value, self.value

    def below(self, values: Floats) -> Floats:
        return (values >= self.value).astype(np.float64)

    def above(self, values: Floats) -> Floats:
        return (values < self.value).astype(np.float64)

    def inverse(self, probability: Floats, upper: bool) -> Floats:
        return np.full_like(probability, self.value)

    def from_tail(self, tail: Tail) -> jax.Array:
        return jnp.full_like(tail.probability, self.value)


@dataclass(frozen=True)
class Discrete(Distribution):
    """Finitely many values. Probabilities are held to 2^-32: thresholds are integers that the draw's bits are compared with."""

    values: tuple[float, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", tuple(self.values))
        object.__setattr__(self, "weights", tuple(self.weights))
        for value in self.values:
            require_finite(values=value)
        require(len(set(self.values)) == len(self.values), "values", self.values, "give each value once")
        normalised(self.weights, len(self.values))

    @property
    def support(self) -> tuple[float, float]:
        return min(self.values), max(self.values)

    def _steps(self) -> tuple[list[float], list[Fraction]]:
        """The values in order, and the exact probability of being at or below each."""
        pairs = sorted(zip(self.values, map(Fraction, self.weights), strict=True))
        total = sum((weight for _, weight in pairs), Fraction(0))
        shares, running = [], Fraction(0)
        for _, weight in pairs:
            running += weight
            shares.append(running / total)
        return [value for value, _ in pairs], shares

    def below(self, values: Floats) -> Floats:
        steps, shares = self._steps()
        return np.array([0.0, *map(float, shares)])[np.searchsorted(steps, values, side="right")]

    def above(self, values: Floats) -> Floats:
        steps, shares = self._steps()
        return np.array([1.0, *(float(1 - share) for share in shares)])[np.searchsorted(steps, values, side="right")]

    def inverse(self, probability: Floats, upper: bool) -> Floats:
        steps, shares = self._steps()
        if upper:
            index = len(steps) - 1 - np.searchsorted([float(1 - share) for share in reversed(shares[:-1])], probability, side="right")
        else:
            index = np.searchsorted([float(share) for share in shares[:-1]], probability, side="left")
        return np.array(steps)[index]

    def from_tail(self, tail: Tail) -> jax.Array:
        whole, _ = position(tail)
        bits = jnp.where(tail.upper, ~whole, whole)
        steps, shares = self._steps()
        # A value begins at the first whole number whose u = (bits + 1/2) / 2^32 lies above the shares before it.
        last_below = np.array([max(round(share * 2**32), 1) - 1 for share in shares[:-1]], dtype=np.uint32)
        if len(steps) > 32:
            return jnp.asarray(steps, tail.probability.dtype)[
                jnp.searchsorted(jnp.asarray(last_below), bits, side="left", method="scan_unrolled")
            ]
        values = jnp.full_like(tail.probability, steps[0])
        for threshold, value in zip(last_below, steps[1:], strict=True):
            values = jnp.where(bits > threshold, tail.probability.dtype.type(value), values)
        return values
