"""Continuous distributions whose quantile function has a closed form, worked from the nearer tail.

Uniform and log-uniform are measured from the nearer end; products inside an exponential are kept as pairs, or float32 would lose six digits
of large exponents. See `tails.py` for the normal quantile.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from kernels.sampling.distribution import Distribution, Floats, require, require_finite
from kernels.sampling.tails import Tail, exp_pair, normal_magnitude, normal_magnitude_double, scaled_pair

_erfc = np.vectorize(math.erfc, otypes=[np.float64])


@dataclass(frozen=True)
class Uniform(Distribution):
    """Equal density between low and high."""

    low: float
    high: float

    def __post_init__(self) -> None:
        require_finite(low=self.low, high=self.high)
        require(self.low < self.high, "low, high", (self.low, self.high), "give low below high")

    @property
    def support(self) -> tuple[float, float]:
        return self.low, self.high

    @property
    def absolute_error(self) -> float:
        return 2e-16 * max(abs(self.low), abs(self.high)) if self.low != 0.0 else 0.0

    def below(self, values: Floats) -> Floats:
        return np.clip((values - self.low) / (self.high - self.low), 0.0, 1.0)

    def above(self, values: Floats) -> Floats:
        return np.clip((self.high - values) / (self.high - self.low), 0.0, 1.0)

    def inverse(self, probability: Floats, upper: bool) -> Floats:
        width = (self.high - self.low) * probability
        return self.high - width if upper else self.low + width

    def from_tail(self, tail: Tail) -> jax.Array:
        dtype = tail.probability.dtype.type
        width = dtype(self.high - self.low) * tail.probability
        return jnp.where(tail.upper, dtype(self.high) - width, dtype(self.low) + width)


@dataclass(frozen=True)
class LogUniform(Distribution):
    """Equal density of the logarithm between low and high, both positive."""

    low: float
    high: float

    def __post_init__(self) -> None:
        require_finite(low=self.low, high=self.high)
        require(0.0 < self.low < self.high, "low, high", (self.low, self.high), "give 0 < low < high")

    @property
    def support(self) -> tuple[float, float]:
        return self.low, self.high

    @property
    def _range(self) -> float:
        return math.log(self.high) - math.log(self.low)

    def below(self, values: Floats) -> Floats:
        result: Floats = np.log(np.clip(values, self.low, self.high) / self.low) / self._range
        return result

    def above(self, values: Floats) -> Floats:
        result: Floats = np.log(self.high / np.clip(values, self.low, self.high)) / self._range
        return result

    def inverse(self, probability: Floats, upper: bool) -> Floats:
        return self.high * np.exp(-self._range * probability) if upper else self.low * np.exp(self._range * probability)

    def from_tail(self, tail: Tail) -> jax.Array:
        dtype = tail.probability.dtype.type
        high, low = scaled_pair(self._range, tail.probability, jnp.zeros_like(tail.probability))
        return jnp.where(tail.upper, dtype(self.high), dtype(self.low)) * exp_pair(
            jnp.where(tail.upper, -high, high), jnp.where(tail.upper, -low, low)
        )


def _normal_below(scores: Floats) -> Floats:
    result: Floats = 0.5 * _erfc(-scores / math.sqrt(2.0))
    return result


def _normal_scores(probability: Floats, upper: bool) -> Floats:
    nearer = np.minimum(probability, 1.0 - probability)
    result: Floats = np.where((probability <= 0.5) != upper, -1.0, 1.0) * normal_magnitude_double(nearer, np)
    return result


@dataclass(frozen=True)
class Normal(Distribution):
    """The normal distribution."""

    mean: float
    sd: float

    def __post_init__(self) -> None:
        require_finite(mean=self.mean, sd=self.sd)
        require(self.sd > 0.0, "sd", self.sd, "give a positive standard deviation")

    @property
    def support(self) -> tuple[float, float]:
        return -math.inf, math.inf

    @property
    def median(self) -> float:
        return self.mean

    @property
    def absolute_error(self) -> float:
        return 1e-15 * max(abs(self.mean), self.sd)

    def below(self, values: Floats) -> Floats:
        return _normal_below((values - self.mean) / self.sd)

    def above(self, values: Floats) -> Floats:
        return _normal_below((self.mean - values) / self.sd)

    def inverse(self, probability: Floats, upper: bool) -> Floats:
        return self.mean + self.sd * _normal_scores(probability, upper)

    def from_tail(self, tail: Tail) -> jax.Array:
        dtype = tail.probability.dtype.type
        high, low = normal_magnitude(tail.probability)
        distance = dtype(self.sd) * (high + low)
        result: jax.Array = dtype(self.mean) + jnp.where(tail.upper, distance, -distance)
        return result


@dataclass(frozen=True)
class LogNormal(Distribution):
    """exp of a normal variable; natural logarithms. In float32 the error is 1e-6 up to sd_of_log = 4, and 2.5e-7 times that sd beyond."""

    mean_of_log: float
    sd_of_log: float

    def __post_init__(self) -> None:
        require_finite(mean_of_log=self.mean_of_log, sd_of_log=self.sd_of_log)
        require(self.sd_of_log > 0.0, "sd_of_log", self.sd_of_log, "give a positive standard deviation")

    @property
    def support(self) -> tuple[float, float]:
        return 0.0, math.inf

    @property
    def median(self) -> float:
        return math.exp(self.mean_of_log)

    def _log(self, values: Floats) -> Floats:
        with np.errstate(divide="ignore"):
            result: Floats = (np.log(np.maximum(values, 0.0)) - self.mean_of_log) / self.sd_of_log
            return result

    def below(self, values: Floats) -> Floats:
        return _normal_below(self._log(values))

    def above(self, values: Floats) -> Floats:
        return _normal_below(-self._log(values))

    def inverse(self, probability: Floats, upper: bool) -> Floats:
        return np.exp(self.mean_of_log + self.sd_of_log * _normal_scores(probability, upper))

    def from_tail(self, tail: Tail) -> jax.Array:
        high, low = scaled_pair(self.sd_of_log, *normal_magnitude(tail.probability))
        ratio = exp_pair(jnp.where(tail.upper, high, -high), jnp.where(tail.upper, low, -low))
        result: jax.Array = tail.probability.dtype.type(self.median) * ratio
        return result


@dataclass(frozen=True)
class Triangular(Distribution):
    """Density rising linearly from low to mode and falling linearly to high."""

    low: float
    mode: float
    high: float

    def __post_init__(self) -> None:
        require_finite(low=self.low, mode=self.mode, high=self.high)
        require(self.low < self.high, "low, high", (self.low, self.high), "give low below high")
        require(self.low <= self.mode <= self.high, "mode", self.mode, f"keep it within [{self.low}, {self.high}]")

    @property
    def support(self) -> tuple[float, float]:
        return self.low, self.high

    @property
    def absolute_error(self) -> float:
        return 4e-16 * max(abs(self.low), abs(self.high)) if self.low != 0.0 else 0.0

    @property
    def _areas(self) -> tuple[float, float]:
        """(high - low)(mode - low) and (high - low)(high - mode)."""
        return (self.high - self.low) * (self.mode - self.low), (self.high - self.low) * (self.high - self.mode)

    def _one_side(self, values: Floats, upper: bool) -> Floats:
        left, right = self._areas
        inside = np.clip(values, self.low, self.high)
        rising = (inside - self.low) ** 2 / (left or 1.0)
        falling = (self.high - inside) ** 2 / (right or 1.0)
        left_of_mode, right_of_mode = (1.0 - rising, falling) if upper else (rising, 1.0 - falling)
        result: Floats = np.where(inside < self.mode, left_of_mode, right_of_mode)
        return result

    def below(self, values: Floats) -> Floats:
        return self._one_side(values, False)

    def above(self, values: Floats) -> Floats:
        return self._one_side(values, True)

    def inverse(self, probability: Floats, upper: bool) -> Floats:
        left, right = self._areas
        from_low, from_high = (1.0 - probability, probability) if upper else (probability, 1.0 - probability)
        rising = from_high * (self.high - self.low) >= self.high - self.mode
        return np.where(rising, self.low + np.sqrt(left * from_low), self.high - np.sqrt(right * from_high))

    def from_tail(self, tail: Tail) -> jax.Array:
        dtype = tail.probability.dtype.type
        left, right = self._areas
        farther = dtype(1.0) - tail.probability
        from_low = jnp.where(tail.upper, farther, tail.probability)
        from_high = jnp.where(tail.upper, tail.probability, farther)
        # The side of the mode is decided where u has its digits: near the end that the mode is near.
        share_below, share_above = left / (self.high - self.low) ** 2, right / (self.high - self.low) ** 2
        rising = from_low <= dtype(share_below) if share_below <= 0.5 else from_high >= dtype(share_above)
        distance = jnp.sqrt(jnp.where(rising, dtype(left) * from_low, dtype(right) * from_high))
        return jnp.where(rising, dtype(self.low) + distance, dtype(self.high) - distance)
