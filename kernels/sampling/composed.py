"""Distributions made of others: a shift, a mixture, a truncation.

Mixture: the monotone inverse of the weighted sum of the components' distribution functions. Truncation: u is mapped into
[F(low), F(high)] from whichever end keeps its digits. Both are found on the host and tabulated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import jax
import numpy as np

from kernels.sampling.discrete import Constant
from kernels.sampling.distribution import Distribution, Floats, bisect, normalised, require, require_finite
from kernels.sampling.tabulated import look_up
from kernels.sampling.tails import Tail


@dataclass(frozen=True)
class Shifted(Distribution):
    """Another distribution with a constant added."""

    distribution: Distribution
    by: float

    def __post_init__(self) -> None:
        require_finite(by=self.by)

    @property
    def support(self) -> tuple[float, float]:
        low, high = self.distribution.support
        return low + self.by, high + self.by

    @property
    def absolute_error(self) -> float:
        return self.distribution.absolute_error + 2e-16 * abs(self.by)

    def below(self, values: Floats) -> Floats:
        return self.distribution.below(values - self.by)

    def above(self, values: Floats) -> Floats:
        return self.distribution.above(values - self.by)

    def inverse(self, probability: Floats, upper: bool) -> Floats:
        return self.distribution.inverse(probability, upper) + self.by

    def from_tail(self, tail: Tail) -> jax.Array:
        result: jax.Array = self.distribution.quantile(tail) + tail.probability.dtype.type(self.by)
        return result


@dataclass(frozen=True)
class Mixture(Distribution):
    """One of several distributions (constants and discrete ones among them), chosen by weight."""

    components: tuple[Distribution, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "components", tuple(self.components))
        object.__setattr__(self, "weights", tuple(self.weights))
        normalised(self.weights, len(self.components))

    @property
    def support(self) -> tuple[float, float]:
        ends = [component.support for component in self.components]
        return min(low for low, _ in ends), max(high for _, high in ends)

    @property
    def absolute_error(self) -> float:
        return max(component.absolute_error for component in self.components)

    def _sum(self, areas: list[Floats]) -> Floats:
        result: Floats = np.sum([share * area for share, area in zip(normalised(self.weights, len(areas)), areas, strict=True)], axis=0)
        return result

    def below(self, values: Floats) -> Floats:
        return self._sum([component.below(values) for component in self.components])

    def above(self, values: Floats) -> Floats:
        return self._sum([component.above(values) for component in self.components])

    def inverse(self, probability: Floats, upper: bool) -> Floats:
        ends = [component.inverse(probability, upper) for component in self.components]
        low, high = np.min(ends, axis=0), np.max(ends, axis=0)
        return bisect(lambda x: self.above(x) <= probability if upper else self.below(x) >= probability, low, high)

    def from_tail(self, tail: Tail) -> jax.Array:
        return look_up(self, tail)


@dataclass(frozen=True)
class Truncated(Distribution):
    """Another distribution, given that its value (any shift included) lies within [low, high]; either end may be infinite."""

    distribution: Distribution
    low: float
    high: float

    def __post_init__(self) -> None:
        require(not math.isnan(self.low) and not math.isnan(self.high), "truncate", (self.low, self.high), "give two numbers")
        require(self.low < self.high, "truncate", (self.low, self.high), "give the lower end first")
        fix = f"move it to where {self.distribution} has some probability (at least 1e-30)"
        require(self._areas()[2] >= 1e-30, "truncate", (self.low, self.high), fix)

    def _areas(self) -> tuple[Floats, Floats, float]:
        """P(X < low) and P(X <= high), P(X >= low) and P(X > high), and the mass between."""
        ends = np.array([np.nextafter(self.low, -math.inf), self.high])
        below, above = self.distribution.below(ends), self.distribution.above(ends)
        mass = below[1] - below[0] if below[1] <= 0.5 else above[0] - above[1] if above[0] <= 0.5 else 1.0 - below[0] - above[1]
        return below, above, float(mass)

    @property
    def support(self) -> tuple[float, float]:
        low, high = self.distribution.support
        return max(low, self.low), min(high, self.high)

    @property
    def absolute_error(self) -> float:
        return self.distribution.absolute_error

    def below(self, values: Floats) -> Floats:
        below, above, mass = self._areas()
        inside = np.clip(values, self.low, self.high)
        area = self.distribution.below(inside) - below[0] if below[0] <= 0.5 else above[0] - self.distribution.above(inside)
        return np.where(values < self.low, 0.0, np.clip(area / mass, 0.0, 1.0))

    def above(self, values: Floats) -> Floats:
        below, above, mass = self._areas()
        inside = np.clip(values, self.low, self.high)
        area = self.distribution.above(inside) - above[1] if above[1] <= 0.5 else below[1] - self.distribution.below(inside)
        return np.where(values < self.low, 1.0, np.clip(area / mass, 0.0, 1.0))

    def inverse(self, probability: Floats, upper: bool) -> Floats:
        below, above, mass = self._areas()
        part = mass * probability
        # Both are sums of positive numbers or differences that cannot cancel by more than half when `probability` is at most one half.
        from_low = below[1] - part if upper else below[0] + part
        from_high = above[1] + part if upper else above[0] - part
        lower = from_low <= from_high
        values = np.empty_like(probability)
        values[lower] = self.distribution.inverse(from_low[lower], False)
        values[~lower] = self.distribution.inverse(from_high[~lower], True)
        result: Floats = np.clip(values, *self.support)
        return result

    def from_tail(self, tail: Tail) -> jax.Array:
        return jax.numpy.full_like(tail.probability, self.median) if isinstance(self.distribution, Constant) else look_up(self, tail)
