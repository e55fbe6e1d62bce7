"""Arrival, at a ceiling or at everything: the clock knows as well as an integral whether it is reached, and when."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from mpmath import expm1, linspace, mp, mpf, quad

from tests.kernels.asking import ask

HORIZON = 240.0
TOLERANCE = {"float32": 1e-4, "float64": 1e-8}


def _exact(ceiling: str, returns: float, limit: float) -> float:
    """Months to the ceiling X of a law of labour alone with T0 = 1 and λ = 1, ∫ 2^(−x)/R dx in what is left of it; +inf if it never ends.

    `linear`: R = (1 − x/X)^p, p = X ln 2/r. `level`: R = ((2^(X − x) − 1)/(2^X − 1))^p, p = (1 − 2^−X)/r. It ends if p < 1.
    """
    power = limit * mp.log(2) / returns if ceiling == "linear" else (1 - mpf(2) ** -limit) / returns
    if ceiling == "log_distance" or power >= 1:
        return math.inf

    def months(root: mpf) -> mpf:
        # left = root^(1/(1 − p)), in which what is infinite at the ceiling is not.
        left = root ** (1 / (1 - power))
        remaining = left / limit if ceiling == "linear" else expm1(left * mp.log(2)) / expm1(limit * mp.log(2))
        return 2 ** (left - limit) * (left / remaining) ** power / (1 - power)

    return float(quad(months, linspace(0, mpf(limit) ** (1 - power), 9)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ceiling", "limit", "returns"),
    [("level", 4.0, [0.9, 0.9375, 0.95, 1.0, 1.1, 1.2]), ("linear", 4.0, [2.7, 2.9, 4.0]), ("log_distance", 4.0, [1.0, 50.0, 1000.0])],
)
@pytest.mark.parametrize("precision", ["float32", pytest.param("float64", marks=pytest.mark.soak)])
def test_either_solver_arrives_at_the_same_date_or_not_at_all(ceiling: str, limit: float, returns: Any, precision: str) -> None:
    found = {
        solver: ask(
            "growth_law",
            {"ceiling": ceiling, "solver": solver},
            lambda solution, _: solution.dates((limit,))[0],
            precision,
            returns=returns,
            distance_to_limits=limit,
            horizon=HORIZON,
        )
        for solver in ("quadrature", "clock")
    }
    exact = [_exact(ceiling, each, limit) for each in returns]
    for dates in found.values():
        # Equal where infinite.
        np.testing.assert_allclose(dates, [month if month < HORIZON else math.inf for month in exact], rtol=TOLERANCE[precision])


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_pace_that_rises_by_billions_and_falls_for_want_of_compute_is_no_blow_up(precision: str) -> None:
    # A reaction of no gain is none, but takes the law to the clock.
    asked = {"substitution_parameter": [-0.0086536, -0.012, -0.01], "returns": [2.78199, 3.0, 6.0], "horizon": 48.0}
    levels = [
        ask("growth_law", options, lambda solution, _: solution.levels((3.0, 24.0, 48.0))[0], kind, **asked, **given)
        for options, kind, given in (
            ({"research_input": "ces", "governance": "reaction"}, precision, {"reaction_gain": 0.0}),
            ({"research_input": "ces"}, "float64", {}),
        )
    ]
    assert np.isfinite(levels[1][:, :2]).all()
    np.testing.assert_allclose(*levels, rtol=1e-4 if precision == "float32" else 1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("solver", ["quadrature", "clock"])
def test_a_steady_pace_ends_at_a_thousand_doublings(solver: str) -> None:
    # Ten a month.
    dates, levels = ask(
        "growth_law",
        {"solver": solver},
        lambda solution, _: (solution.dates((999.0, 1001.0))[:, 0], solution.levels((99.99, 100.5))[0][:, 0]),
        returns=1.0,
        initial_doubling_time=0.1,
        horizon=HORIZON,
    )
    np.testing.assert_allclose(dates, [99.9, math.inf], rtol=1e-9)
    np.testing.assert_allclose(levels, [999.9, math.inf], rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("solver", "ceiling"),
    [
        ("quadrature", "linear"),
        ("clock", "level"),
        pytest.param("quadrature", "level", marks=pytest.mark.soak),
        pytest.param("clock", "linear", marks=pytest.mark.soak),
    ],
)
def test_below_a_ceiling_further_than_a_trajectory_is_followed_software_is_infinite_all_the_same(solver: str, ceiling: str) -> None:
    made, dates, peak = ask(
        "growth_law",
        {"ceiling": ceiling, "solver": solver},
        lambda solution, _: (solution.levels((12.0,))[0][0], solution.dates((999.0, 1001.0)), solution.paces().highest),
        returns=[0.8, 2.0],
        distance_to_limits=3000.0,
        horizon=24.0,
    )
    assert made[0] < 1000
    assert peak[0] < math.inf
    assert np.all(dates[:, 0] == math.inf)
    assert made[1] == peak[1] == dates[1, 1] == math.inf
    # Far below the ceiling the law is that without one, which ends at T0/(φ ln 2), φ = 1 − 1/r.
    np.testing.assert_allclose(dates[0, 1], 2 / math.log(2), rtol=0.05 if ceiling == "linear" else 1e-9)
