"""Training time: where the runs end against their sum in mpmath, whatever their ratio, and the damped exponent."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from mpmath import mp, mpf

from kernels.law.training import damped, end_of_run, length_of_run


def _end(first: Any, ratio: Any, runs: Any) -> Any:
    first, ratio = mpf(float(first)), mpf(float(ratio))
    with mp.workdps(60):
        return first * (runs if ratio == 1 else (1 - ratio**runs) / (1 - ratio))


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 2e-13), ("float32", 3e-6)])
@pytest.mark.parametrize("ratio", [1.0, 0.5, 0.9, 1.05, 1 + 1e-3, 1 - 1e-6, 1 + 1e-9, 1 - 1e-13, 1e-3])
def test_ends_of_runs(dtype: Any, tolerance: Any, ratio: Any) -> None:
    first, ratio = jnp.asarray(2.0, dtype), jnp.asarray(ratio, dtype)
    for runs in (0, 1, 2, 7, 100):
        ours = end_of_run(first, ratio, jnp.asarray(runs, dtype))
        assert float(ours) == pytest.approx(float(_end(first, ratio, runs)), rel=tolerance)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_each_run_ends_a_length_after_the_last(dtype: Any) -> None:
    for ratio in (0.75, 1.0, 1.04):
        runs = jnp.arange(20, dtype=dtype)
        first, ratio = jnp.asarray(1.5, dtype), jnp.asarray(ratio, dtype)
        ends, lengths = end_of_run(first, ratio, runs), length_of_run(first, ratio, runs)
        np.testing.assert_allclose(np.diff(ends), lengths[:-1], rtol=1e-12 if dtype == "float64" else 3e-4)


@pytest.mark.parametrize(("ratio", "total"), [(0.9, 20.0), (0.75, 8.0)])
def test_what_all_runs_take(ratio: Any, total: Any) -> None:
    """First/(1 − k): 2 months grow to 20 at k = .9 and to 8 at k = .75 (ED fns 42–43)."""
    assert float(end_of_run(jnp.asarray(2.0), jnp.asarray(ratio), jnp.asarray(400.0))) == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-15), ("float32", 2e-7)])
def test_the_damped_exponent(dtype: Any, tolerance: Any) -> None:
    exponents = jnp.asarray([0.0, 1e-20, -1e-20, 0.25, -0.25, 1.0, -3.0, 1e15, -1e15], dtype)
    ours = damped(exponents)
    exact = [float(mpf(float(e)) / (1 + abs(mpf(float(e))))) for e in exponents]
    np.testing.assert_allclose(ours, exact, rtol=2 * tolerance)
    assert np.all(np.abs(ours) <= 1)
