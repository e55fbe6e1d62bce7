"""Research input: the mean of labour and compute against its definition in mpmath, through ρ = 0 and to both extremes, and its forms."""

from __future__ import annotations

import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from mpmath import mp, mpf

from kernels.law.research_input import log_ces, log_research_input, substitution_of

TOLERANCES = [("float64", 1e-13), ("float32", 2e-6)]
SUBSTITUTIONS = (0.0, 1e-300, 1e-12, -1e-12, 1e-6, -1e-6, -0.2, 0.5, 0.999, -1.0, -20.0, -1000.0)
LOGS = ((0.0, 0.0), (1e-3, 0.0), (0.7, -0.4), (-2.0, 3.0), (40.0, 1.0), (1.0, 40.0), (700.0, 0.0), (0.0, 700.0), (-650.0, -3.0))


def _exact(share: Any, substitution: Any, first: Any, second: Any, rest: Any = None) -> Any:
    share, substitution, first, second = (mpf(float(value)) for value in (share, substitution, first, second))
    rest = 1 - share if rest is None else mpf(float(rest))
    with mp.workdps(60):
        if abs(substitution) < mpf(10) ** -25:
            return share * first + rest * second
        return second + mp.log1p(share * mp.expm1(substitution * (first - second)) - (1 - share - rest)) / substitution


def _rounded(dtype: Any, *values: Any) -> Any:
    return tuple(jnp.asarray(column, dtype) for column in zip(*values, strict=True))


@pytest.mark.parametrize(("dtype", "tolerance"), TOLERANCES)
@pytest.mark.parametrize("share", [0.5, 0.03, 0.97])
def test_ces_against_its_definition(dtype: Any, tolerance: Any, share: Any) -> None:
    cases = [(share, rho, *logs) for rho, logs in itertools.product(SUBSTITUTIONS, LOGS)]
    columns = _rounded(dtype, *cases)
    ours = np.asarray(jax.jit(log_ces)(*columns), float)
    exact = np.array([float(_exact(*row)) for row in zip(*map(np.asarray, columns), strict=True)])
    # ln I of inputs that nearly cancel is as good as the larger of them, of which it is a difference.
    np.testing.assert_allclose(ours, exact, rtol=tolerance, atol=tolerance * 0.1)
    scale = np.abs(np.asarray(columns[2:], float)).max(axis=0)
    assert np.all(np.abs(ours - exact) <= 2 * tolerance * np.maximum(scale, 1e-3))


@pytest.mark.parametrize(("dtype", "tolerance"), TOLERANCES)
def test_a_share_that_is_nearly_all_or_nothing(dtype: Any, tolerance: Any) -> None:
    """Where the larger input has the smaller share by many orders of magnitude, as AI labour has before the last tasks are automated."""
    cases = [
        (1 - rest, rho, first, second, rest)
        for rest, rho, first, second in itertools.product(
            (1e-3, 1e-7, 1e-20), (-2.16, -0.5, 0.3), (0.0, 3.0, 9.0, 60.0), (0.0, 2.0, 20.0, 50.0)
        )
    ]
    columns = _rounded(dtype, *cases)
    ours = np.asarray(jax.jit(log_ces)(*columns), float)
    exact = []
    for row in zip(*map(np.asarray, columns), strict=True):
        _share, rho, first, second, rest = (mpf(float(value)) for value in row)
        # The share is what the rest leaves.
        exact.append(float(mp.log((1 - rest) * mp.exp(rho * first) + rest * mp.exp(rho * second)) / rho))
    np.testing.assert_allclose(ours, exact, rtol=10 * tolerance, atol=10 * tolerance)


def test_leontief_and_cobb_douglas_are_limits() -> None:
    first, second = jnp.asarray([3.0, -1.0]), jnp.asarray([1.0, 5.0])
    scarcer = np.asarray(log_ces(jnp.asarray(0.4), jnp.asarray(-1e6), first, second))
    np.testing.assert_allclose(scarcer, [1.0, -1.0], rtol=2e-6)
    through = [log_research_input("ces", jnp.asarray(0.4), jnp.asarray(rho), first, second) for rho in (-1e-12, 0.0, 1e-12)]
    mean = log_research_input("cobb_douglas", jnp.asarray(0.4), jnp.asarray(0.0), first, second)
    np.testing.assert_allclose(through, [mean] * 3, rtol=1e-11)
    np.testing.assert_allclose(mean, [0.4 * 3 + 0.6, -0.4 + 3.0], rtol=1e-14)


@pytest.mark.parametrize(
    ("share", "rho", "limit"),
    [(0.5, -1, 2), (0.5, -0.5, 4), (0.5, -0.4, 5.657), (0.5, -0.2, 32), (0.5, -0.15, 101.594), (0.5, -0.1, 1024), (0.3, -0.5, 2.0408)],
)
def test_input_that_compute_holds_back(share: Any, rho: Any, limit: Any) -> None:
    """Labour without end at fixed compute: I = (1 − α)^(1/ρ), the numbers of Forethought (2025)."""
    most = math.exp(float(log_ces(jnp.asarray(share), jnp.asarray(rho, float), jnp.asarray(1e4), jnp.asarray(0.0))))
    assert most == pytest.approx(limit, rel=1e-4)


@pytest.mark.parametrize(("pace", "rho"), [(1.5, -1.7095), (10 / 3, -0.5572), (20.0, -0.0708), (10.0, -0.2046), (3.0, -0.6174)], ids=str)
def test_what_the_interviews_imply(pace: Any, rho: Any) -> None:
    """900 times the labour at fixed compute, α = .5."""
    assert math.exp(float(log_ces(*(jnp.asarray(value) for value in (0.5, rho, math.log(900), 0.0))))) == pytest.approx(pace, rel=2e-3)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.slow
def test_gradients_are_the_shares_of_the_inputs(dtype: Any) -> None:
    """dlnI/dlnℓ = αℓ^ρ/(αℓ^ρ + (1−α)c^ρ), ρ = 0 and equal inputs included."""
    for rho, first, second in itertools.product((0.0, -1e-7, -0.2, 0.6), (0.0, 2.0, 30.0), (0.0, 2.0)):
        ours = jax.grad(log_ces, argnums=2)(*(jnp.asarray(value, dtype) for value in (0.3, rho, first, second)))
        weight = 0.3 * math.exp(rho * first) / (0.3 * math.exp(rho * first) + 0.7 * math.exp(rho * second))
        assert float(ours) == pytest.approx(weight, rel=1e-12 if dtype == "float64" else 1e-5)


def test_elasticities() -> None:
    np.testing.assert_allclose(substitution_of(jnp.asarray([0.25, 0.5, 1.0, 2.0])), [-3.0, -1.0, 0.0, 0.5], rtol=1e-15)
    assert float(substitution_of(jnp.asarray(1 + 1e-9))) == pytest.approx(1e-9, rel=1e-6)


def test_labour_alone_and_refusals() -> None:
    one = jnp.ones(1)
    np.testing.assert_array_equal(log_research_input("labour", one, one, 3 * one, None), [3.0])
    with pytest.raises(ValueError, match="without compute"):
        log_research_input("ces", one, one, one, None)
    with pytest.raises(ValueError, match="not a form"):
        log_research_input("quadratic", one, one, one, one)


def test_slopes_keep_their_digits_where_the_elasticity_is_one() -> None:
    """At ρ = 0, ln I = αℓ + (1 − α)c whatever the shares change by; the rest is given apart, and changes by what is rounded."""

    def log_input(share: Any, rest: Any, labour: Any) -> Any:
        return log_ces(share, jnp.asarray(0.0), labour, jnp.asarray(-1.0), rest=rest)

    at = tuple(jnp.asarray(value) for value in (0.3, 0.7, 5.0))
    along = tuple(jnp.asarray(value) for value in (0.2, -0.2 + 1e-17, 0.5))
    slope = jax.jvp(log_input, at, along)[1]
    assert float(slope) == pytest.approx(0.2 * 6.0 + 0.3 * 0.5, rel=1e-12)
