"""What a distribution is: a quantile function on the device, and its distribution function and inverse on the host.

Every quantile is non-decreasing in u up to rounding and stays within its support. In float32 the error is at most 1e-6 of the value (of the
larger of value and spread where a sum cancels: a normal near zero, a shift towards zero); in float64 it is near machine precision.
The host-side functions take and give float64 and are exact in both tails, for tables, truncation and bounds.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from kernels.sampling.tails import Tail

Floats = np.ndarray


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
    require(
        len(weights) == count > 0, "weights", tuple(weights), f"give one weight for each of the {count} values or components, at least one"
    )
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
