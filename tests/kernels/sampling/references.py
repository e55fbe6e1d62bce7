"""What the sampling tests share: 32-bit words that reach into both tails, and SciPy's quantiles at them without loss of digits."""

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kernels.sampling import Distribution, nearer_tail


def words(count: int = 20_000, seed: int = 0) -> np.ndarray:
    """Sorted uint32 words: the extremes, the middle, and words spread evenly over u and over its logarithm in both tails."""
    generator = np.random.default_rng(seed)
    ends = np.concatenate([np.arange(256), 2**31 - 1 - np.arange(128)])
    tails = np.floor(2.0 ** generator.uniform(0.0, 31.0, count)).astype(np.int64)
    lower = np.concatenate([ends, tails, generator.integers(0, 2**31, count)])
    return np.unique(np.concatenate([lower, 2**32 - 1 - lower])).astype(np.uint32)


def reference(distribution: Any, bits: np.ndarray) -> np.ndarray:
    """The quantiles of a frozen SciPy distribution at u = (bits + 1/2) / 2^32, from the nearer end."""
    whole = bits.astype(np.float64)
    return np.where(bits < 2**31, distribution.ppf((whole + 0.5) / 2**32), distribution.isf((2.0**32 - 1.0 - whole + 0.5) / 2**32))


@cache
def program(distribution: Distribution, dtype: Any) -> Any:
    """The jitted quantile function, kept so that it is compiled once."""
    return jax.jit(lambda bits: distribution.quantile(nearer_tail(bits, dtype)))


def quantiles(distribution: Distribution, bits: np.ndarray, dtype: Any) -> np.ndarray:
    """Our quantiles as float64, from a jitted program of `dtype`."""
    values = program(distribution, dtype)(jnp.asarray(bits))
    assert values.dtype == dtype
    return np.asarray(values, np.float64)


def relative_error(distribution: Distribution, expected: np.ndarray, bits: np.ndarray, dtype: Any, scale: float = 0.0) -> float:
    """The worst error relative to the value, or to `scale` where that is larger."""
    return float(np.max(np.abs(quantiles(distribution, bits, dtype) - expected) / np.maximum(np.abs(expected), scale)))
