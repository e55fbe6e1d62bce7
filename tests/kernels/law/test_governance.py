"""Governance: thresholds that are met, a cap that binds, and a reaction against their equations in mpmath."""

from __future__ import annotations

import itertools
import math
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from mpmath import mp, mpf

from kernels.law.governance import awareness_rate, is_met, log_capped, log_reaction


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_threshold_is_met_from_a_millionth_below_it(dtype: Any) -> None:
    for threshold in (0.6, 5.0, 1000.0):
        paces = jnp.asarray([threshold * factor for factor in (0.5, 1 - 2e-6, 1 - 2e-7, 1.0, 1 + 1e-3)], jnp.float64)
        met = is_met(jnp.log(paces).astype(dtype), jnp.asarray(threshold, dtype))
        # ln 1000 is a multiple of 5e-7 in float32, too coarse to tell what lies between.
        expected = [False, False, True, True, True]
        assert [bool(value) for value in met][:: 1 if dtype == "float64" else 4] == expected[:: 1 if dtype == "float64" else 4]
        assert bool(met[3])


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-15), ("float32", 2e-7)])
def test_a_cap(dtype: Any, tolerance: Any) -> None:
    log_pace, cap = jnp.asarray([-1.0, 3.0, 700.0], dtype), jnp.asarray(5.0, dtype)
    np.testing.assert_array_equal(log_capped(log_pace, cap, jnp.zeros(3, bool)), log_pace)
    np.testing.assert_allclose(log_capped(log_pace, cap, jnp.ones(3, bool)), math.log(5), rtol=tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-13), ("float32", 2e-6)])
def test_a_reaction(dtype: Any, tolerance: Any) -> None:
    for awareness, threshold, gain in itertools.product((-3.0, 2.5, 60.0, 900.0), (0.6, 1.0, 13.0), (0.0, 0.5, 2.0)):
        numbers = [jnp.asarray(value, dtype) for value in (awareness, threshold, gain)]
        z, m, g = (mpf(float(value)) for value in numbers)
        exact = float(-g * (z * mp.log(2) - mp.log(m)))
        assert float(log_reaction(*numbers, jnp.asarray(True))) == pytest.approx(exact, rel=10 * tolerance, abs=tolerance)
        assert float(log_reaction(*numbers, jnp.asarray(False))) == 0


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-14), ("float32", 1e-6)])
def test_awareness_follows_the_pace(dtype: Any, tolerance: Any) -> None:
    log_pace, awareness, delay = (jnp.asarray(value, dtype) for value in (math.log(2) * 7, 3.0, 2.0))
    assert float(awareness_rate(log_pace, awareness, delay)) == pytest.approx(2.0, rel=tolerance)
    assert float(awareness_rate(log_pace, jnp.asarray(7.0, dtype), delay)) == pytest.approx(0.0, abs=tolerance)
