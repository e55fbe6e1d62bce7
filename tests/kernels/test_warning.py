"""Warning times and the dates of multiples of the recent pace, against closed forms, SciPy and searches in plain Python."""

from __future__ import annotations

import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq

from kernels import models
from kernels.outcomes import Outcomes, evaluate
from tests.compiling import cheaply
from tests.kernels.asking import ask, lanes_of


def _dates(name: Any, options: Any, multiples: Any, precision: Any = "float64", **given: Any) -> Any:
    """Months at which the pace first is so many doublings a month, (multiples, lanes)."""
    question = lambda s, p: s.first_dates_at_pace(tuple(jnp.full_like(s.horizon, multiple) for multiple in multiples))  # noqa: E731
    return ask(name, options, question, precision, **given)


@pytest.mark.parametrize(("precision", "tolerance"), [("float64", 1e-8), ("float32", 1e-5)])
@pytest.mark.slow
def test_dates_of_paces_of_constant_returns(precision: Any, tolerance: Any) -> None:
    """The pace is e^(ct)-like in x: 1/T = e^(cx)/T0, so t = T0 (1 − 1/(m T0))/c; below the start it is met at once, and a fizzle never."""
    returns = np.array([1.1, 2.0, 5.0, 0.8])
    dates = _dates("returns_law", {}, (0.3, 1.0, 5.0, 1e9), precision, returns=returns, initial_doubling_time=2.0, horizon=60.0)
    speed = math.log(2) * (1 - 1 / returns[:3])
    np.testing.assert_array_equal(dates[0], 0)
    for row, pace in zip(dates[1:], (1.0, 5.0, 1e9), strict=True):
        np.testing.assert_allclose(row[:3], 2 * (1 - 1 / (2 * pace)) / speed, rtol=tolerance)
        assert row[3] == math.inf


@pytest.mark.slow
def test_dates_of_paces_below_a_ceiling_agree_with_scipy() -> None:
    ceiling, multiples = 30.0, (0.5, 3.0, 40.0)
    for returns in (1.3, 2.5, 4.0):
        steepness = ceiling * math.log(2) / returns

        def log_pace(x: Any, steepness: Any = steepness) -> Any:
            return math.log(2) * x + steepness * math.log1p(-x / ceiling) - math.log(3)

        given = {"returns": returns, "initial_doubling_time": 3.0, "distance_to_limits": ceiling}
        dates = _dates("returns_law", {"ceiling": "linear"}, multiples, **given)[:, 0]
        fastest = ceiling * (1 - 1 / returns)
        for date, pace in zip(dates, multiples, strict=True):
            if log_pace(fastest) < math.log(pace):
                assert date == math.inf
                continue
            level = brentq(lambda x: log_pace(x) - math.log(pace), 0, fastest, xtol=1e-14)  # noqa: B023
            assert date == pytest.approx(quad(lambda x: math.exp(-log_pace(x)), 0, level, epsrel=1e-13, limit=200)[0], rel=1e-7)


def test_dates_of_paces_of_the_recursion_are_knots() -> None:
    given = {"initial_returns_to_software_rnd": np.array([1.3, 0.7, 2.5]), "initial_speedup": np.array([8.0, 20.0, 4.0])}
    times, used = ask("davidson_houlden_2025", {}, lambda s, p: (s.times, s.used), **given)
    multiples = (2.0, 4.0, 9.0, 1e6)
    dates = _dates("davidson_houlden_2025", {}, multiples, **given)
    for row, pace in zip(dates, multiples, strict=True):
        for lane, knots in enumerate(times.T):
            met = [start for start, end in itertools.pairwise(knots[: used + 1]) if 1 / (end - start) >= pace and start < 48]
            assert row[lane] == (met[0] if met else math.inf)


def test_a_step_that_the_horizon_cuts_short_is_not_a_fast_one() -> None:
    options, given = {"initial_doubling_convention": "single"}, {"initial_returns_to_software_rnd": 0.5}
    knot = float(ask("davidson_houlden_2025", options, lambda s, p: s.times[9, 0], **given))
    for question in (lambda s, p: s.paces().highest, lambda s, p: 1 / s.uncut[0]):
        assert ask("davidson_houlden_2025", options, question, horizon=knot + 1e-3, **given)[0] == pytest.approx(3.0)
    assert _dates("davidson_houlden_2025", options, (30.0,), horizon=knot + 1e-3, **given)[0, 0] == math.inf


@pytest.mark.slow
@pytest.mark.parametrize("boost", [pytest.param("code", marks=pytest.mark.soak), "paper_linear"])
def test_dates_of_paces_under_a_boost_agree_with_a_dense_search(boost: Any) -> None:
    given = {
        "initial_returns_to_software_rnd": np.array([1.3, 0.7, 2.5, 1.6]),
        "gradual_boost_start": np.array([0.2, 1.0, 2.2, 8.0]),
        "gradual_boost_max": np.array([32.0, 40.0, 60.0, 2.0]),
        "gradual_boost_duration": np.array([60.0, 20.0, 9.0, 15.0]),
        "horizon": 36.5,
    }
    options, multiples = {"time": "continuous", "boost": boost}, (0.5, 1.0, 3.0, 10.0)
    dates = _dates("davidson_houlden_2025", options, multiples, **given)
    grid = np.linspace(0, 36.5, 20001)
    paces = ask("davidson_houlden_2025", options, lambda s, p: s._level_at(jnp.asarray(grid)[:, None] + 0 * s.horizon)[1], **given)
    for row, pace in zip(dates, multiples, strict=True):
        for lane in range(4):
            met = grid[paces[:, lane] >= pace]
            assert row[lane] == pytest.approx(met[0], abs=2e-3) if len(met) else row[lane] == math.inf
    assert np.isfinite(dates).any()


@pytest.mark.slow
def test_warning_times_are_differences_of_the_dates_reported() -> None:
    model, options = models.get("returns_law"), models.get("returns_law").resolve_options({"ceiling": "linear"})
    lanes = lanes_of("returns_law", {}, {"returns": np.array([0.7, 1.3, 2.5]), "distance_to_limits": 30.0, "horizon": 60.0})
    outcomes = Outcomes(warning=((2.0, 10.0), (4.0, 10.0)))
    budget = model.budget(options, {key: (float(value.min()), float(value.max())) for key, value in lanes.items()}, 1e-12)

    def answer(parameters: Any) -> Any:
        return evaluate(outcomes, model, options, parameters, {}, model.solve(parameters, options, budget))

    found = jax.tree.map(np.asarray, cheaply(answer)({key: jnp.asarray(value) for key, value in lanes.items()}))
    names = [label.name for label in outcomes.labels(model, options)]
    assert names == ["date_of_pace_2x", "date_of_pace_4x", "date_of_pace_10x", "warning_time_2x_to_10x", "warning_time_4x_to_10x"]
    dates = found.values
    assert dates["date_of_pace_2x"][0] == 0
    assert dates["warning_time_2x_to_10x"][0] == math.inf
    np.testing.assert_array_equal(dates["warning_time_4x_to_10x"][1:], dates["date_of_pace_10x"][1:] - dates["date_of_pace_4x"][1:])
    assert found.scales["warning_time_4x_to_10x"][2] >= dates["date_of_pace_10x"][2]
