"""Distributions as quantile functions with a closed form: u in, value out, worked from the nearer tail.

Every quantile is non-decreasing in u up to rounding and stays within its support. In float32 the error is at most 1e-6 of the value (of the
larger of value and spread where a sum cancels: a normal near zero, a shift towards zero); in float64 it is near machine precision.
The host-side functions take and give float64 and are exact in both tails, for tables, truncation and bounds.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np

from kernels.sampling.tails import Tail, exp_pair, normal_magnitude, normal_magnitude_double, position, scaled_pair

Floats = np.ndarray
_erfc = np.vectorize(math.erfc, otypes=[np.float64])


def require(condition: bool, quantity: str, value: object, fix: str) -> None:
    """Raise ValueError that names the quantity, its value and the fix."""
    if not condition:
        raise ValueError(f"{quantity}: {value!r} cannot be used; {fix}")


def require_finite(**quantities: float) -> None:
    """Raise ValueError unless every quantity is a finite number."""
    for quantity, value in quantities.items():
        number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
        require(number and math.isfinite(value), quantity, value, "give a finite number")


def normalised(weights: Sequence[float], count: int) -> tuple[float, ...]:
    """Weights as probabilities. Raises ValueError unless there are `count` of them, all positive."""
    require(len(weights) == count > 0, "weights", tuple(weights), f"give one weight for each of the {count} values or components, at least one")
    for weight in weights:
        require_finite(weights=weight)
        require(weight > 0, "weights", weight, "give positive weights")
    total = math.fsum(weights)
    return tuple(weight / total for weight in weights)


class Distribution(ABC):
    """A one-dimensional distribution: hashable, so that it can be static in a jitted program."""

    @property
    @abstractmethod
    def support(self) -> tuple[float, float]:
        """The lowest and highest value."""

    @abstractmethod
    def below(self, values: Floats) -> Floats:
        """P(X <= value), float64, exact where it is small."""

    @abstractmethod
    def above(self, values: Floats) -> Floats:
        """P(X > value), float64, exact where it is small."""

    @abstractmethod
    def inverse(self, probability: Floats, upper: bool) -> Floats:
        """The values at `probability` in (0, 1) from the lower or the upper end, float64."""

    @abstractmethod
    def from_tail(self, tail: Tail) -> jax.Array:
        """The values at `tail`, before they are held within the support and on their side of the median."""

    @property
    def absolute_error(self) -> float:
        """Rounding error of `inverse` that is not relative to the value."""
        return 0.0

    @property
    def median(self) -> float:
        return self.host_quantile(0.5)

    def cdf(self, value: float) -> float:
        """P(X <= value)."""
        return float(self.below(np.array([value], np.float64))[0])

    def host_quantile(self, probability: float, upper: bool = False) -> float:
        """The value at a probability in (0, 1), measured from the lower end, or from the upper. Raises ValueError outside."""
        require(0.0 < probability < 1.0, "probability", probability, "give a number between 0 and 1")
        return float(self.inverse(np.array([probability], np.float64), upper)[0])

    def quantile(self, tail: Tail) -> jax.Array:
        """The values at `tail`, of the type and shape of `tail.probability`."""
        dtype = tail.probability.dtype
        low, high, median = (jnp.asarray(value, dtype) for value in (*self.support, self.median))
        values = self.from_tail(tail)
        return jnp.where(tail.upper, jnp.clip(values, median, high), jnp.clip(values, low, median))


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
        return np.log(np.clip(values, self.low, self.high) / self.low) / self._range

    def above(self, values: Floats) -> Floats:
        return np.log(self.high / np.clip(values, self.low, self.high)) / self._range

    def inverse(self, probability: Floats, upper: bool) -> Floats:
        return self.high * np.exp(-self._range * probability) if upper else self.low * np.exp(self._range * probability)

    def from_tail(self, tail: Tail) -> jax.Array:
        dtype = tail.probability.dtype.type
        high, low = scaled_pair(self._range, tail.probability, jnp.zeros_like(tail.probability))
        return jnp.where(tail.upper, dtype(self.high), dtype(self.low)) * exp_pair(jnp.where(tail.upper, -high, high), jnp.where(tail.upper, -low, low))


def _normal_below(scores: Floats) -> Floats:
    return 0.5 * _erfc(-scores / math.sqrt(2.0))


def _normal_scores(probability: Floats, upper: bool) -> Floats:
    nearer = np.minimum(probability, 1.0 - probability)
    return np.where((probability <= 0.5) != upper, -1.0, 1.0) * normal_magnitude_double(nearer, np)


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
        return dtype(self.mean) + jnp.where(tail.upper, distance, -distance)


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
            return (np.log(np.maximum(values, 0.0)) - self.mean_of_log) / self.sd_of_log

    def below(self, values: Floats) -> Floats:
        return _normal_below(self._log(values))

    def above(self, values: Floats) -> Floats:
        return _normal_below(-self._log(values))

    def inverse(self, probability: Floats, upper: bool) -> Floats:
        return np.exp(self.mean_of_log + self.sd_of_log * _normal_scores(probability, upper))

    def from_tail(self, tail: Tail) -> jax.Array:
        high, low = scaled_pair(self.sd_of_log, *normal_magnitude(tail.probability))
        ratio = exp_pair(jnp.where(tail.upper, high, -high), jnp.where(tail.upper, low, -low))
        return tail.probability.dtype.type(self.median) * ratio


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
        if upper:
            return np.where(inside < self.mode, 1.0 - rising, falling)
        return np.where(inside < self.mode, rising, 1.0 - falling)

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
            return jnp.asarray(steps, tail.probability.dtype)[jnp.searchsorted(jnp.asarray(last_below), bits, side="left", method="scan_unrolled")]
        values = jnp.full_like(tail.probability, steps[0])
        for threshold, value in zip(last_below, steps[1:], strict=True):
            values = jnp.where(bits > threshold, tail.probability.dtype.type(value), values)
        return values


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
        return self.distribution.quantile(tail) + tail.probability.dtype.type(self.by)
