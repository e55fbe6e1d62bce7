"""Gradients against closed forms, and against central differences of the outcomes themselves."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from kernels import models
from kernels.gradients import evaluate_with_gradients
from kernels.outcomes import Outcomes, evaluate
from tests.compiling import cheaply
from tests.kernels.asking import lanes_of


def _evaluated(name: Any, options: Any, outcomes: Any, lanes: Any, follows: Any = None, precision: Any = "float64") -> Any:
    """Values of the outcomes, and of their gradients if they ask for some, as NumPy arrays."""
    model = models.get(name)
    options = model.resolve_options(options)
    # A little wider than the lanes, so that lanes moved aside are solved alike.
    bounds = {key: (float(np.min(value - abs(value) * 0.01)), float(np.max(value + abs(value) * 0.01))) for key, value in lanes.items()}
    budget = replace(model.budget(options, bounds, 1e-12 if precision == "float64" else 1e-4), furthest=outcomes.furthest)

    def values(parameters: Any) -> Any:
        return evaluate_with_gradients(
            outcomes, model, options, parameters, {}, follows or {}, lambda given: model.solve(given, options, budget)
        ).values

    found = cheaply(values)({key: jnp.asarray(value, precision) for key, value in lanes.items()})
    return {key: np.asarray(value) for key, value in found.items()}


def _differences(name: Any, options: Any, outcomes: Any, lanes: Any, parameters: Any, step: Any) -> Any:
    """d outcome/d ln parameter by differences of fourth order, each (parameters, lanes); NaN where one of the four is not reached."""
    shifts = np.array([-2, -1, 1, 2])
    moved = {key: np.tile(value, (len(parameters), 4, 1)) for key, value in lanes.items()}
    for index, parameter in enumerate(parameters):
        moved[parameter][index] *= np.exp(step * shifts)[:, None]
    found = _evaluated(name, options, replace(outcomes, gradients=()), {key: value.ravel() for key, value in moved.items()})
    slopes = {}
    for key, value in found.items():
        rows = value.reshape(len(parameters), 4, -1).astype(float)
        rows = np.where(np.isfinite(rows).all(1, keepdims=True), rows, np.nan)
        slopes[key] = (8 * (rows[:, 2] - rows[:, 1]) - (rows[:, 3] - rows[:, 0])) / (12 * step)
    return slopes


def _compare(name: Any, options: Any, outcomes: Any, parameters: Any, step: Any = 1e-3, tolerance: Any = 1e-6, **given: Any) -> None:
    lanes = lanes_of(name, options, given)
    found = _evaluated(name, options, replace(outcomes, gradients=parameters), lanes)
    expected = _differences(name, options, outcomes, lanes, parameters, step)
    model = models.get(name)
    for label in outcomes.differentiable(model, model.resolve_options(options)):
        value = found[label.name]
        compared = 0
        for parameter, slope in zip(parameters, expected[label.name], strict=True):
            ours = found[f"d_{label.name}_d_ln_{parameter}"]
            np.testing.assert_array_equal(ours[~np.isfinite(value)], np.inf)
            reached = np.isfinite(value) & np.isfinite(slope)
            ours, slope = ours[reached], slope[reached]
            allowed = tolerance * np.maximum(np.abs(slope), np.abs(value[reached])) + 1e-12
            np.testing.assert_array_less(np.abs(ours - slope), allowed, f"{label.name} {parameter}")
            compared += len(ours)
        assert compared > 0, label.name


ASKED = Outcomes(times=(6.0, 11.0), doublings=(0.5, 5.0, 12.3), levels_oom=(3.0,))
RETURNS = {
    "returns": np.array([1.3, 0.7, 2.5]),
    "initial_doubling_time": np.array([1.0, 2.0, 3.0]),
    "parallel_exponent": 0.6,
    "distance_to_limits": 30.0,
    "horizon": 60.0,
}


@pytest.mark.slow
def test_dates_of_constant_returns_have_their_closed_form() -> None:
    """With c = λ(1 − 1/r) ln 2, t(x) = T0 (1 − e^(−cx))/c: proportional to T0; and dc/d ln r = λ ln 2/r."""
    returns, first, level = np.array([0.5, 1.3, 3.0]), 2.0, 7.0
    lanes = lanes_of("returns_law", {}, {"returns": returns, "initial_doubling_time": first, "horizon": 1e4})
    asked = Outcomes(doublings=(level, 999.0), gradients=("initial_doubling_time", "returns", "recent_doubling_time"))
    found = _evaluated("returns_law", {}, asked, lanes)
    speed = math.log(2) * (1 - 1 / returns)
    date = first * (1 - np.exp(-speed * level)) / speed
    slope = first * (level * np.exp(-speed * level) / speed - (1 - np.exp(-speed * level)) / speed**2) * math.log(2) / returns
    np.testing.assert_allclose(found["d_date_of_doubling_7_d_ln_initial_doubling_time"], date, rtol=1e-13)
    np.testing.assert_allclose(found["d_date_of_doubling_7_d_ln_returns"], slope, rtol=1e-12)
    np.testing.assert_array_equal(found["d_date_of_doubling_7_d_ln_recent_doubling_time"], 0)
    # A blow-up at T0/(φ ln 2), φ = 1 − 1/r; where there is none the date is not reached, nor is its gradient.
    blow_up = np.where(returns > 1, first / speed, np.inf)
    np.testing.assert_allclose(found["d_date_of_doubling_999_d_ln_initial_doubling_time"], blow_up, rtol=1e-12)
    np.testing.assert_allclose(
        found["d_date_of_doubling_999_d_ln_returns"], np.where(returns > 1, -first / speed**2 * math.log(2) / returns, np.inf), rtol=1e-12
    )


@pytest.mark.parametrize(
    "ceiling",
    [
        pytest.param("constant", marks=pytest.mark.soak),
        *(pytest.param(ceiling, marks=mark) for ceiling, mark in (("linear", pytest.mark.slow), ("log_distance", pytest.mark.soak))),
    ],
)
@pytest.mark.slow
def test_gradients_of_the_returns_law(ceiling: Any) -> None:
    outcomes = replace(ASKED, peak=True, warning=((1.2, 5.0),), years_of_progress=(6.0,))
    parameters = ("initial_doubling_time", "returns", "parallel_exponent", "distance_to_limits", "recent_doubling_time")
    _compare("returns_law", {"ceiling": ceiling}, outcomes, parameters, **RETURNS)


@pytest.mark.slow
@pytest.mark.parametrize("asked", [{}, {"times": (6.0, 11.0)}, {"doublings": (0.5, 5.0, 12.3)}, {"levels_oom": (3.0,)}])
def test_dates_of_the_highest_pace_are_proportional_to_the_first_doubling_time(asked: Any) -> None:
    """Whatever else is asked. The search meets the root itself, where every copy of a value has another sign."""
    stretched = np.repeat(np.exp([-0.002, -0.001, 0, 0.001]), 3)
    given = {name: np.tile(value, 4) if np.ndim(value) else value for name, value in RETURNS.items()}
    given["initial_doubling_time"] = given["initial_doubling_time"] * stretched
    lanes = lanes_of("returns_law", {"ceiling": "linear"}, given)
    found = _evaluated("returns_law", {"ceiling": "linear"}, Outcomes(peak=True, **asked), lanes)["date_of_peak_pace"]
    dates = (found / stretched).reshape(4, 3)
    np.testing.assert_allclose(dates, np.broadcast_to(dates[2], dates.shape), rtol=1e-12)


@pytest.mark.soak
def test_gradients_of_a_level_ceiling_with_the_geometric_convention() -> None:
    asked = Outcomes(doublings=(5.0,))
    _compare("returns_law", {"ceiling": "level", "convention": "geometric"}, asked, ("returns", "distance_to_limits"), **RETURNS)


@pytest.mark.slow
def test_gradients_of_the_toy_model() -> None:
    parameters = ("papers_for_first_doubling", "paper_growth_factor", "initial_agis")
    asked = Outcomes(times=(6.1,), doublings=(0.5, 2.0, 3.3))
    _compare("toy_model", {}, asked, parameters, step=2e-5, paper_growth_factor=np.array([3.1, 1.7, 2.2]), papers_for_first_doubling=2.03)


PUBLISHED = {
    "initial_speedup": np.array([8.0, 16.0, 5.0, 6.0]),
    "initial_returns_to_software_rnd": np.array([1.3, 0.7, 2.5, 1.6]),
    "distance_to_effective_limits": np.array([11.07, 9.03, 7.13, 5.21]),
    "parallel_labour_exponent": np.array([0.3, 0.5, 0.8, 0.6]),
    "software_share_of_progress": np.array([0.4, 0.5, 0.6, 0.45]),
    "gradual_boost_start": np.array([0.2, 1.01, 2.2, 8.0]),
    "gradual_boost_max": np.array([32.0, 40.0, 60.0, 2.0]),
    "gradual_boost_duration": np.array([60.0, 20.0, 9.0, 15.0]),
    "horizon": 36.5,
}


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, marks=pytest.mark.soak),
        {"retraining": "paper"},
        {"boost": "code", "retraining": "code"},
        pytest.param({"boost": "paper_linear"}, marks=pytest.mark.soak),
        {"initial_doubling_convention": "single", "boost": "code"},
    ],
)
@pytest.mark.slow
def test_gradients_of_the_published_recursion(options: Any) -> None:
    outcomes = replace(ASKED, times=(6.0, 9.0), years_of_progress=(6.0,), peak=True, warning=((12.0, 30.0),))
    _compare("davidson_houlden_2025", options, outcomes, tuple(list(PUBLISHED)[: 8 if "boost" in options else 5]), step=2e-5, **PUBLISHED)


@pytest.mark.slow
@pytest.mark.parametrize("options", [pytest.param({}, marks=pytest.mark.soak), {"boost": "code"}])
def test_gradients_of_the_continuous_limit(options: Any) -> None:
    outcomes = Outcomes(times=(6.0,), doublings=(5.0, 12.3), years_of_progress=(6.0,))
    parameters = ("initial_returns_to_software_rnd", "software_share_of_progress", *(("gradual_boost_max",) if options else ()))
    _compare("davidson_houlden_2025", {"time": "continuous", **options}, outcomes, parameters, **PUBLISHED)


LAW = {
    "returns": np.array([1.3, 0.7, 2.5]),
    "initial_doubling_time": np.array([1.0, 2.0, 1.5]),
    "parallel_exponent": 0.6,
    "distance_to_limits": np.array([30.0, 41.0, 60.0]),
    "horizon": 36.0,
    "pace_threshold": np.array([4.0, 2.5, 6.0]),
    "pause_length": 3.0,
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "parameters"),
    [
        ({"research_input": "ces"}, ("returns", "substitution_parameter", "labour_share")),
        pytest.param(
            {"research_input": "labour", "governance": "pause", "ceiling": "linear"},
            ("returns", "pace_threshold", "pause_length"),
            marks=pytest.mark.soak,
        ),
        pytest.param(
            {"research_input": "labour", "governance": "reaction"}, ("returns", "reaction_gain", "reaction_delay"), marks=pytest.mark.soak
        ),
        pytest.param(
            {"research_input": "labour", "training": "lag"},
            ("returns", "first_training_time", "training_time_ratio"),
            marks=pytest.mark.soak,
        ),
        ({"research_input": "labour", "training": "generations", "ceiling": "linear"}, ("returns", "first_training_time")),
        pytest.param(
            {"research_input": "labour", "hardware": "loop", "ceiling": "linear"},
            ("hardware_doubling_time", "hardware_delay"),
            marks=pytest.mark.soak,
        ),
    ],
)
def test_gradients_of_the_growth_law(options: Any, parameters: Any) -> None:
    # Where a training run ends the pace has a kink or a jump, and short of a blow-up the level bends: no difference may straddle those.
    step = 2e-5 if "training" in options else 1e-4
    _compare("growth_law", options, Outcomes(times=(6.0, 11.0), doublings=(0.5, 5.0)), parameters, step, **LAW)


@pytest.mark.slow
def test_a_parameter_that_follows_another_moves_with_it() -> None:
    lanes = lanes_of("davidson_houlden_2025", {"boost": "code"}, {"initial_speedup": 8.3})
    asked = Outcomes(doublings=(12.0,), gradients=("initial_speedup", "gradual_boost_max"))
    alone = _evaluated("davidson_houlden_2025", {"boost": "code"}, asked, lanes)
    together = _evaluated("davidson_houlden_2025", {"boost": "code"}, asked, lanes, {"gradual_boost_max": "initial_speedup"})
    name = "d_date_of_doubling_12_d_ln_"
    assert alone[f"{name}initial_speedup"][0] == 0
    assert together[f"{name}initial_speedup"][0] == alone[f"{name}gradual_boost_max"][0] != 0


@pytest.mark.slow
def test_gradients_change_no_value_and_are_named_in_order() -> None:
    model = models.get("returns_law")
    options = model.resolve_options({"ceiling": "linear"})
    outcomes = replace(ASKED, regime=10.0, peak=True, gradients=("returns", "initial_doubling_time"))
    lanes = lanes_of("returns_law", {}, RETURNS)
    found, plain = (
        _evaluated("returns_law", options, asked, lanes, precision="float32") for asked in (outcomes, replace(outcomes, gradients=()))
    )
    names = [label.name for label in outcomes.labels(model, options)]
    assert names[-2:] == ["d_date_of_peak_pace_d_ln_returns", "d_date_of_peak_pace_d_ln_initial_doubling_time"]
    assert set(names) == found.keys()
    for name, value in plain.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5)
    exact = _evaluated("returns_law", options, outcomes, lanes)
    for label in outcomes.labels(model, options):
        if label.is_gradient:
            assert found[label.name].dtype == np.float32
            value = exact[label.name.split("_d_ln_")[0].removeprefix("d_")]
            scale = np.maximum(np.abs(exact[label.name]), np.abs(value))
            reached = np.isfinite(value)
            if "peak" not in label.name:
                ours, theirs = found[label.name][reached], exact[label.name][reached]
                np.testing.assert_array_less(np.abs(ours - theirs), 1e-5 * scale[reached] + 1e-6)


def test_counts_flags_and_diagnostics_have_no_gradients() -> None:
    model = models.get("davidson_houlden_2025")
    options = model.resolve_options({})
    outcomes = Outcomes(doublings=(8.0,), regime=10.0, most_doublings_in=(12.0,), diagnostics=True, gradients=("initial_speedup",))
    gradients = [label.name for label in outcomes.labels(model, options) if label.is_gradient]
    assert gradients == ["d_date_of_doubling_8_d_ln_initial_speedup"]


@pytest.mark.slow
def test_without_gradients_it_is_plain_evaluation() -> None:
    model = models.get("toy_model")
    lanes = {key: jnp.asarray(value) for key, value in lanes_of("toy_model", {}, {}).items()}
    budget = model.budget({}, {key: (float(value[0]), float(value[0])) for key, value in lanes.items()}, 1e-9)
    outcomes = Outcomes(doublings=(2.0,))
    ours = evaluate_with_gradients(outcomes, model, {}, lanes, {}, {}, lambda given: model.solve(given, {}, budget))
    assert ours.values == evaluate(outcomes, model, {}, lanes, {}, model.solve(lanes, {}, budget)).values
