"""Distributions whose quantile function is found on the host and tabulated: beta, mixtures and truncations.

Beta: the regularised incomplete beta function by its continued fraction, DLMF 8.17.22, evaluated by Lentz's method (W. H. Press et al.,
"Numerical Recipes", section 6.4). Mixture: the monotone inverse of the weighted sum of the components' distribution functions.
Truncation: u is mapped into [F(low), F(high)] from whichever end keeps its digits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import jax
import numpy as np

from kernels.sampling.quantiles import Constant, Distribution, Floats, normalised, require, require_finite
from kernels.sampling.tabulated import look_up
from kernels.sampling.tails import Tail

_SIGN = np.int64(-(2**63))


def _ordered(values: Floats) -> np.ndarray:
    """float64 as int64 in the same order, neighbours differing by one."""
    words = (np.asarray(values, np.float64) + 0.0).view(np.int64)
    return np.where(words >= 0, words, _SIGN - words)


def _unordered(words: np.ndarray) -> Floats:
    return np.where(words >= 0, words, _SIGN - words).view(np.float64)


def bisect(reached: Callable[[Floats], np.ndarray], low: Floats, high: Floats) -> Floats:
    """The least float64 in [low, high] at which the monotone predicate holds; it must hold at `high`."""
    lower, upper = _ordered(low), _ordered(high)
    for _ in range(64):
        middle = (lower >> 1) + (upper >> 1) + (lower & upper & 1)
        holds = reached(_unordered(middle))
        upper = np.where(holds, middle, upper)
        lower = np.where(holds, lower, np.minimum(middle + 1, upper))
        if np.array_equal(lower, upper):
            break
    return _unordered(upper)


def _beta_fraction(a: float, b: float, x: Floats) -> Floats:
    """The continued fraction of I_x(a, b), for x below (a + 1) / (a + b + 2)."""
    tiny = 1e-300
    d = 1.0 - (a + b) * x / (a + 1.0)
    d = 1.0 / np.where(np.abs(d) < tiny, tiny, d)
    c, total = np.ones_like(x), d
    for m in range(1, 20_000):
        for numerator in (m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)), -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))):
            d = 1.0 + numerator * d
            d = 1.0 / np.where(np.abs(d) < tiny, tiny, d)
            c = 1.0 + numerator / c
            c = np.where(np.abs(c) < tiny, tiny, c)
            total = total * (d * c)
        if np.all(np.abs(d * c - 1.0) < 2e-16 * 4):
            break
    return total


def incomplete_beta(a: float, b: float, x: Floats, complement: Floats) -> Floats:
    """I_x(a, b) of float64 `x` in [0, 1] and its complement 1 - x, which is given because it may be smaller than x can tell."""
    with np.errstate(divide="ignore", under="ignore"):
        scale = np.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * np.log(x) + b * np.log(complement))
    direct = x < (a + 1.0) / (a + b + 2.0)
    result = np.empty_like(x)
    result[direct] = scale[direct] * _beta_fraction(a, b, x[direct]) / a
    result[~direct] = 1.0 - scale[~direct] * _beta_fraction(b, a, complement[~direct]) / b
    return result


@dataclass(frozen=True)
class Beta(Distribution):
    """The beta distribution stretched to [low, high]."""

    a: float
    b: float
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        require_finite(a=self.a, b=self.b, low=self.low, high=self.high)
        require(self.a > 0.0, "a", self.a, "give a positive shape")
        require(self.b > 0.0, "b", self.b, "give a positive shape")
        require(self.low < self.high, "low, high", (self.low, self.high), "give low below high")

    @property
    def support(self) -> tuple[float, float]:
        return self.low, self.high

    @property
    def absolute_error(self) -> float:
        return 4e-16 * max(abs(self.low), abs(self.high)) if self.low != 0.0 else 0.0

    def _shares(self, values: Floats) -> tuple[Floats, Floats]:
        width = self.high - self.low
        return np.clip((values - self.low) / width, 0.0, 1.0), np.clip((self.high - values) / width, 0.0, 1.0)

    def below(self, values: Floats) -> Floats:
        return incomplete_beta(self.a, self.b, *self._shares(values))

    def above(self, values: Floats) -> Floats:
        share, complement = self._shares(values)
        return incomplete_beta(self.b, self.a, complement, share)

    def inverse(self, probability: Floats, upper: bool) -> Floats:
        first, second = (self.b, self.a) if upper else (self.a, self.b)
        share = bisect(lambda x: incomplete_beta(first, second, x, 1.0 - x) >= probability, np.zeros_like(probability), np.ones_like(probability))
        width = (self.high - self.low) * share
        return self.high - width if upper else self.low + width

    def from_tail(self, tail: Tail) -> jax.Array:
        return look_up(self, tail)


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
        return np.sum([share * area for share, area in zip(normalised(self.weights, len(areas)), areas, strict=True)], axis=0)

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
        """P(X < low or at the values below it) and P(X > high) from both sides: ([below low, below high], [above low, above high], mass)."""
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
        return np.clip(values, *self.support)

    def from_tail(self, tail: Tail) -> jax.Array:
        return jax.numpy.full_like(tail.probability, self.median) if isinstance(self.distribution, Constant) else look_up(self, tail)
