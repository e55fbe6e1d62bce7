"""The beta distribution, tabulated from the regularised incomplete beta function.

I_x(a, b) by its continued fraction, DLMF 8.17.22, evaluated by Lentz's method (W. H. Press et al., "Numerical Recipes", section 6.4).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import jax
import numpy as np

from kernels.sampling.distribution import Distribution, Floats, bisect, require, require_finite
from kernels.sampling.tabulated import look_up
from kernels.sampling.tails import Tail


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
        share = bisect(
            lambda x: incomplete_beta(first, second, x, 1.0 - x) >= probability, np.zeros_like(probability), np.ones_like(probability)
        )
        width = (self.high - self.low) * share
        return self.high - width if upper else self.low + width

    def from_tail(self, tail: Tail) -> jax.Array:
        return look_up(self, tail)
