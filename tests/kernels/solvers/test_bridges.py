"""Brownian bridges between points of a random path, against their probabilities in SciPy."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_ndtr
from scipy.stats import norm

from kernels.solvers.bridges import first_passage, highest


def test_the_highest_passes_a_level_as_often_as_the_reflection_principle_says() -> None:
    shares = np.linspace(0.001, 0.999, 999)
    start, end, variance = 0.2, -0.1, 0.3
    found = np.asarray(highest(*(jnp.asarray(value) for value in (start, end, variance)), jnp.asarray(-np.log(shares))))
    # With E = −ln u, u is the probability of going higher still.
    np.testing.assert_allclose(np.exp(-2 * (found - start) * (found - end) / variance), shares, rtol=1e-10)
    assert found.min() >= start


@pytest.mark.parametrize(("start", "end", "expected"), [(1.0, 2.0, 2.0), (3.0, -np.inf, 3.0), (0.0, np.inf, np.inf)])
def test_without_variance_or_with_an_end_at_infinity_the_higher_end_is_the_highest(start: float, end: float, expected: float) -> None:
    assert highest(jnp.asarray(start), jnp.asarray(end), jnp.asarray(0.0), jnp.asarray(1.0)) == pytest.approx(expected)


@pytest.mark.parametrize(("dtype", "within"), [(jnp.float32, 1e-4), (jnp.float64, 1e-6)])
@pytest.mark.parametrize(("below", "beyond", "variance"), [(0.3, 0.2, 0.05), (0.01, 0.5, 0.1), (1.0, 0.0, 0.3), (0.5, 2.0, 0.8)])
def test_the_first_passage_is_distributed_as_an_inverse_gaussian(
    below: float, beyond: float, variance: float, dtype: Any, within: float
) -> None:
    uniform = np.linspace(0.001, 0.999, 999)
    found = jax.jit(first_passage)(*(jnp.asarray(value, dtype) for value in (below, beyond, variance, uniform)))
    share = np.asarray(found).astype(float)
    assert np.all(np.diff(share) > 0)
    spread = np.sqrt(variance * share * (1 - share))
    ahead, behind = beyond * share, below * (1 - share)
    reflected = np.exp(2 * below * beyond / variance + log_ndtr(-(ahead + behind) / spread))
    np.testing.assert_allclose(norm.cdf((ahead - behind) / spread) + reflected, uniform, atol=within)


def test_what_is_straight_is_passed_where_the_line_is() -> None:
    share = first_passage(jnp.asarray(1.0), jnp.asarray(3.0), jnp.asarray(0.0), jnp.asarray(0.3))
    assert share == pytest.approx(0.25, abs=1e-5)
