"""A boost's clock and its inverse, rising, falling and flat, and a law seen through it."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad

from kernels.models.gradual_boost import GradualBoost

RAMPS = (
    (0.1, 8.0, 60.0),
    (1.0, 32.0, 60.0),
    (4.0, 0.5, 20.0),
    (2.0, 2.0, 30.0),
    (2.0, 2.00001, 30.0),
    (30.0, 0.01, 5.0),
    (1e-3, 500.0, 200.0),
)


def _boost(linear: Any, dtype: Any = jnp.float64) -> Any:
    start, end, duration = (jnp.asarray(column, dtype) for column in np.array(RAMPS).T)
    return GradualBoost(start, end, duration, linear)


@pytest.mark.slow
@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-6)])
def test_the_calendar_inverts_the_clock(linear: Any, dtype: Any, tolerance: Any) -> None:
    boost = _boost(linear, dtype)
    for time in (0.0, 1e-3, 0.4, 4.9, 5.0, 17.0, 59.99, 60.0, 61.0, 250.0):
        months = jnp.full(len(RAMPS), time, dtype)
        np.testing.assert_allclose(boost.to_calendar(boost.to_base(months)), months, rtol=3 * tolerance, atol=tolerance)


@pytest.mark.parametrize("linear", [False, True])
def test_the_clock_is_the_integral_of_the_factor(linear: Any) -> None:
    boost = _boost(linear)
    for time in (0.3, 7.0, 45.0, 130.0):
        clock = np.asarray(boost.to_base(jnp.full(len(RAMPS), time)))
        for lane, (start, end, duration) in enumerate(RAMPS):

            def factor(t: Any, start: Any = start, end: Any = end, duration: Any = duration) -> Any:
                share = min(t / duration, 1)
                speedup = start + (end - start) * share if linear else start * (end / start) ** share
                return (1 + speedup) / (1 + start)

            exact = quad(factor, 0, time, points=[duration] if duration < time else None, epsabs=0, epsrel=1e-12, limit=200)[0]
            assert clock[lane] == pytest.approx(exact, rel=1e-9)
            assert float(boost.factor(jnp.full(len(RAMPS), time))[lane]) == pytest.approx(factor(time), rel=1e-9)
