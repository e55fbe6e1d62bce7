"""Returns to software R&D: each form against its equation in mpmath, near and far from the ceiling, and their refusals."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from mpmath import mp, mpf

from kernels.law.returns import log_returns


def _exact(form: Any, beta: Any, limit: Any, x: Any) -> Any:
    beta, limit, x = mpf(beta), mpf(limit), mpf(x)
    if form == "constant":
        return -beta * x * mp.log(2)
    if form == "linear":
        return beta * limit * mp.log(2) * mp.log(1 - x / limit)
    if form == "log_distance":
        return (1 + beta * limit * mp.log(2)) * mp.log(1 - x / limit)
    return beta * (1 - 2**-limit) * mp.log((2 ** (limit - x) - 1) / (2**limit - 1))


@pytest.mark.slow
@pytest.mark.parametrize("form", ["constant", "linear", "log_distance", "level"])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-13), ("float32", 1e-6)])
def test_forms_against_their_equations(form: Any, dtype: Any, tolerance: Any) -> None:
    for beta, limit in ((0.4, 3.0), (1.0, 88.0), (2.5, 1000.0), (0.7, 0.2)):
        for share in (1e-6, 0.1, 0.5, 0.9, 0.998046875):
            x = float(jnp.asarray(share * limit, dtype))
            numbers = [
                jnp.asarray([value], dtype) for value in (beta, limit, x, float(mp.log(1 - mpf(x) / mpf(float(jnp.asarray(limit, dtype))))))
            ]
            ours = float(log_returns(form, *numbers)[0])
            exact = float(_exact(form, float(numbers[0][0]), float(numbers[1][0]), x))
            assert ours == pytest.approx(exact, rel=8 * tolerance, abs=8 * tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_levels_stay_finite_and_differentiable_to_the_very_ceiling(dtype: Any) -> None:
    left = jnp.asarray([-1.0, -50.0, -200.0, -5000.0], dtype)
    values = np.asarray(log_returns("level", jnp.asarray(0.5, dtype), jnp.asarray(20.0, dtype), -20 * jnp.expm1(left), left))
    assert np.all(np.isfinite(values))
    # (2^d − 1) → d ln 2: with β(1 − 2^−X) = 1/2 of a unit, half of what the log distance changes by.
    np.testing.assert_allclose(np.diff(values)[1:], np.diff(np.asarray(left))[1:] / 2, rtol=1e-5)


def test_a_form_with_a_ceiling_needs_one_and_unknown_forms_are_refused() -> None:
    one = jnp.ones(1)
    with pytest.raises(ValueError, match="ceiling"):
        log_returns("linear", one, None, one, one)
    with pytest.raises(ValueError, match="not a form"):
        log_returns("quadratic", one, one, one, one)
