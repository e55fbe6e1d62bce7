"""Policy whose threshold is met at the start to the last digit, or touched later on: it acts where the pace is above it, nowhere else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from tests.kernels.asking import ask

HORIZON = 60.0
# Of the pace at the start, 3: at it, and so close on either side that rounding decides.
THRESHOLDS = [3.0 * (1 + away) for away in (0, 5e-7, -5e-7, 1e-15, -1e-15)]
RETURNS = [0.5, 0.9, 1.0]
PRECISIONS = ("float32", pytest.param("float64", marks=pytest.mark.soak))


def _levels(governance: str, precision: str, **given: Any) -> Any:
    options = {"governance": governance}
    return ask("growth_law", options, lambda solution, _: (solution.levels((12.0, HORIZON))[0], solution.failed), precision, **given)


def _untouched(returns: float, month: float) -> float:
    """Doublings of labour alone without policy, T0 = 1 and λ = 1: dx/dt = 2^(x(1 − 1/r)), by SciPy."""
    return float(solve_ivp(lambda _, x: 2 ** (x * (1 - 1 / returns)), (0, month), [0.0], rtol=1e-11, atol=1e-12).y[0, -1])


@pytest.mark.slow
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("governance", ["cap", "reaction"])
def test_a_pace_that_only_falls_from_the_threshold_is_left_alone(governance: str, precision: str) -> None:
    threshold = "pace_cap" if governance == "cap" else "pace_threshold"
    returns, thresholds = (row.ravel() for row in np.meshgrid(RETURNS, THRESHOLDS))
    levels, failed = _levels(governance, precision, returns=returns, horizon=HORIZON, **{threshold: thresholds})
    assert not failed.any()
    expected = [[_untouched(r, month) for r in returns] for month in (12.0, HORIZON)]
    np.testing.assert_allclose(levels, expected, rtol=2e-4 if precision == "float32" else 1e-6)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_pace_that_rises_from_the_threshold_is_capped(precision: str) -> None:
    levels, failed = _levels("cap", precision, returns=[1.2] * len(THRESHOLDS), horizon=HORIZON, pace_cap=THRESHOLDS)
    assert not failed.any()
    # One doubling a month is three times the recent pace.
    np.testing.assert_allclose(levels, np.broadcast_to([[12.0], [HORIZON]], levels.shape), rtol=2e-5 if precision == "float32" else 1e-6)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_reaction_that_begins_at_the_threshold_acts_as_one_that_begins_just_above(precision: str) -> None:
    thresholds = [*THRESHOLDS, 3.0 * (1 - 1e-5)]
    levels, failed = _levels("reaction", precision, returns=[1.2] * len(thresholds), horizon=HORIZON, pace_threshold=thresholds)
    assert not failed.any()
    np.testing.assert_allclose(levels[:, :-1], np.broadcast_to(levels[:, -1:], levels[:, :-1].shape), rtol=2e-4)
    assert levels[-1].max() < 250


def test_a_pace_that_comes_to_the_cap_and_stays_there_goes_on() -> None:
    # Labour of past runs falls behind, and catches up as runs shorten: the pace comes back to the cap and keeps to it.
    options = {"governance": "cap", "training": "lag"}
    given = {"returns": 1.0, "pace_cap": 3.0, "horizon": 120.0}
    at_cap, failed = ask("growth_law", options, lambda solution, _: (solution.levels((30.0, 120.0))[0], solution.failed), **given)
    assert not failed.any()
    assert at_cap[1, 0] - at_cap[0, 0] == pytest.approx(90, abs=1e-6)
