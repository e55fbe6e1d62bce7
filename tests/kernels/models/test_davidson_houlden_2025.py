"""Davidson & Houlden's recursion: the published numbers, and its every option against the authors' steps written one at a time."""

from __future__ import annotations

import csv
import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kernels import models
from kernels.models import ModelError
from kernels.outcomes import Window
from tests.kernels.asking import ask, lanes_of
from tests.oracles.davidson_houlden import WINDOWS, draw_priors, run, window_doublings

NAME = "davidson_houlden_2025"
FAST = {"initial_returns_to_software_rnd": 2.4}
SINGLE: dict[str, Any] = {"initial_doubling_convention": "single"}
PARAMETERS = ("initial_speedup", "initial_returns_to_software_rnd", "distance_to_effective_limits", "parallel_labour_exponent")
COMBINATIONS = tuple(itertools.product(("multi", "single"), ("none", "paper", "code"), ("none", "code", "paper_linear"), (False, True)))

with (Path(__file__).parents[2] / "published" / "davidson_houlden_2025.csv").open(encoding="utf-8") as file:
    ROWS = {row["name"]: row for row in csv.DictReader(file)}


def _date(level: Any) -> Any:
    return lambda solution, parameters: solution.dates((float(level),))[0, 0]


def _years(month: Any) -> Any:
    return lambda solution, parameters: solution.levels((float(month),))[0][0, 0] / 8


def _diagnostic(name: Any, options: Any) -> Any:
    return lambda solution, parameters: models.get(NAME).diagnostics(parameters, options, solution)[name][0]


def _successes(solution: Any, parameters: Any) -> Any:
    months = np.array([[window[0]] for window in WINDOWS])
    return (solution.shortest_knot_durations(tuple(window_doublings(*window) for window in WINDOWS)) < months)[:, 0]


def _ratio(level: Any) -> Any:
    def question(solution: Any, parameters: Any) -> Any:
        w = solution._coordinate(np.full(1, level, solution.horizon.dtype))
        return ((solution.log_time(w) - solution.log_time(0 * w)) / math.log(2))[0]

    return question


CONTINUOUS = {"time": "continuous"}
BOOSTED = models.get(NAME).resolve_options({"boost": "code"})
CASES: dict[str, tuple[dict[str, Any], dict[str, Any], Any]] = {
    "time_of_24th_doubling_months_base": ({}, {}, _date(24)),
    "knots_recorded_base": ({}, {}, _diagnostic("knots_recorded", {"boost": "none"})),
    "last_knot_time_months_base": ({}, {}, _diagnostic("time_of_last_knot", {"boost": "none"})),
    **{f"years_of_progress_at_{month}_months_base": ({}, {}, _years(month)) for month in (12, 24, 36, 48)},
    "time_of_24th_doubling_retraining_code": ({"retraining": "code"}, {}, _date(24)),
    "time_of_24th_doubling_retraining_code_r2.4": ({"retraining": "code"}, FAST, _date(24)),
    "time_of_24th_doubling_boost_code": ({"boost": "code"}, {}, _date(24)),
    "f_at_last_knot_boost_code": ({"boost": "code"}, {}, _diagnostic("speedup_at_last_knot", BOOSTED)),
    "time_of_80th_doubling_constant_r": ({"constant_returns": True}, {}, _date(80)),
    "success_flags": ({}, FAST, _successes),
    "single_run_years_at_12_months": (SINGLE, {}, _years(12)),
    "single_run_years_at_72_months": (SINGLE, {}, _years(72)),
    "single_run_boost_years_at_12_months": (SINGLE | {"boost": "code"}, {}, _years(12)),
    "single_run_boost_years_at_48_months": (SINGLE | {"boost": "code"}, {}, _years(48)),
    "single_run_retraining_years_at_72_months": (SINGLE | {"retraining": "paper"}, {}, _years(72)),
    "continuous_time_at_24_doublings": (CONTINUOUS, {}, _date(24)),
    "continuous_retraining_log2_T_ratio_at_24_doublings": (CONTINUOUS | {"retraining": "paper"}, FAST, _ratio(24.0)),
    "peak_pace_ratio": (CONTINUOUS, FAST, lambda solution, parameters: (solution.paces().highest / solution.paces().at_start)[0]),
}
NOT_A_TRAJECTORY = {"speedup_calculator_ratio", "P_r0_above_1"}


def test_every_published_number_of_one_trajectory_is_checked() -> None:
    assert {name for name in ROWS if not name.startswith("P_")} - NOT_A_TRAJECTORY == CASES.keys()


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("name", CASES)
def test_published_number(name: Any, precision: Any) -> None:
    options, given, question = CASES[name]
    row, value = ROWS[name], ask(NAME, options, question, precision, **given)
    if name == "success_flags":
        assert "|".join("yes" if flag else "no" for flag in value) == row["value"]
    elif row["tolerance"] == "exact":
        assert value == float(row["value"])
    else:
        kind, _, tolerance = row["tolerance"].partition(" ")
        expected = float(row["value"])
        allowed = max(float(tolerance), 2e-6 if precision == "float32" else 0.0) * (abs(expected) if kind == "rel" else 1.0)
        if kind == "abs" and precision == "float32":
            allowed = 2e-6 * abs(expected)
        assert abs(float(value) - expected) <= allowed


def _draws(count: Any, seed: Any, boost: Any) -> Any:
    """Priors of the paper with shares, horizons and reference paces that are not its defaults."""
    random = np.random.default_rng(seed)
    values = dict(zip(PARAMETERS, draw_priors(count, seed, boost), strict=True))
    values["software_share_of_progress"] = random.choice([0.4, 0.5, 0.8, 0.37], count)
    values["recent_software_doubling_time"] = random.uniform(2, 4, count)
    values["horizon"] = random.uniform(6, 96, count)
    if boost:
        values["gradual_boost_start"] = random.uniform(0.05, 3, count)
        values["gradual_boost_max"] = random.uniform(0.5, 40, count)
        values["gradual_boost_duration"] = random.uniform(5, 80, count)
    return values


def _oracle(values: Any, convention: Any, retraining: Any, boost: Any, constant: Any) -> Any:
    options: dict[str, Any] = {
        "initial_doubling_convention": convention,
        "retraining": retraining,
        "boost": boost,
        "constant_returns": constant,
    }
    lanes = zip(*values.values(), strict=True)
    trajectories = [run(**options, **dict(zip(values, map(float, lane), strict=True))) for lane in lanes]
    for trajectory, horizon in zip(trajectories, values["horizon"], strict=True):
        # A last step that is cut at the horizon may miss it by a unit in the last place; the authors' loop then takes one more.
        if convention == "single" and len(trajectory.times) > 1 and horizon - trajectory.times[-2] < 1e-12:
            for knots in (trajectory.times, trajectory.doublings, trajectory.returns, trajectory.speedups):
                knots.pop()
    return trajectories


TIMES = (0.0, 3.0, 12.0, 24.0, 36.0, 48.0, 90.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("convention", "retraining", "boost", "constant"),
    # Every option in the quick ones; every combination in all.
    [pytest.param(*row, marks=() if index % 5 == 0 else pytest.mark.slow) for index, row in enumerate(COMBINATIONS)],
)
def test_every_option_makes_the_authors_steps(convention: Any, retraining: Any, boost: Any, constant: Any) -> None:
    count = 60 if convention == "single" and boost != "none" else 200
    values = _draws(count, 5, boost != "none")
    options: dict[str, Any] = {
        "initial_doubling_convention": convention,
        "retraining": retraining,
        "boost": boost,
        "constant_returns": constant,
    }
    trajectories = _oracle(values, convention, retraining, boost, constant)
    share = values["software_share_of_progress"]
    width = math.log2(1.1) if convention == "single" and boost != "none" else 1.0

    def question(solution: Any, parameters: Any) -> Any:
        year: Any = models.get(NAME).doublings_per_year_of_progress(parameters)
        amounts: tuple[Any, ...] = tuple(Window("w", months, speedup=speedup, rule="published").amount(year) for months, speedup in WINDOWS)
        windows = solution.shortest_knot_durations(tuple(amount.astype(int) for amount in amounts))
        return (
            solution.times,
            solution.last,
            solution.levels(TIMES)[0],
            windows,
            models.get(NAME).diagnostics(parameters, options, solution),
        )

    times, last, levels, windows, diagnostics = ask(NAME, options, question, **values)
    amounts = [np.array([math.ceil(window_doublings(*window, s) / width - 1e-9) for s in share]) for window in WINDOWS]
    for lane, trajectory in enumerate(trajectories):
        expected = np.array(trajectory.times)
        # The authors' times grow beyond all bounds near the limits; ours stop at a number of months that stands for never.
        bounded = expected < 1e8
        assert last[lane] == len(expected) - 1
        np.testing.assert_allclose(times[: len(expected), lane][bounded], expected[bounded], rtol=1e-10)
        assert np.all(times[: len(expected), lane][~bounded] > 1e8)
        progress = [trajectory.years_of_progress(month, share[lane]) * 4 / share[lane] for month in TIMES]
        np.testing.assert_allclose(levels[:, lane], progress, rtol=1e-9, atol=1e-12)
        for row, amount in zip(windows, amounts, strict=True):
            lengths = expected[amount[lane] :] - expected[: max(len(expected) - amount[lane], 0)]
            if len(lengths) and lengths.min() < 1e8:
                assert row[lane] == pytest.approx(lengths.min(), rel=1e-10, abs=1e-11)
            else:
                assert row[lane] > 1e8
    ends = np.array([trajectory.times[-1] for trajectory in trajectories])
    np.testing.assert_array_equal(diagnostics["knots_recorded"], [len(trajectory.times) for trajectory in trajectories])
    np.testing.assert_allclose(np.minimum(diagnostics["time_of_last_knot"], 1e8), np.minimum(ends, 1e8), rtol=1e-10)
    if boost != "none":
        np.testing.assert_allclose(
            diagnostics["speedup_at_last_knot"], [trajectory.speedups[-1] for trajectory in trajectories], rtol=1e-10
        )
    else:
        assert "speedup_at_last_knot" not in diagnostics


def test_a_window_of_a_share_of_two_fifths_is_truncated_to_99_doublings() -> None:
    assert int(Window("w", 4, speedup=30, rule="published").amount(4 / 0.4)) == 99
    assert [int(Window("w", *window[:1], speedup=window[1]).amount(8.0)) for window in WINDOWS] == [24, 26, 80, 80]


def test_the_ceiling_of_a_limit_that_is_no_whole_number_is_overshot_by_the_multi_run_page_only() -> None:
    given = {"initial_returns_to_software_rnd": 3.0, "distance_to_effective_limits": 1.03}

    def question(solution: Any, parameters: Any) -> Any:
        return solution.last_level, solution.last, solution.dates((8.0, 8.24, 9.0))

    level, last, dates = ask(NAME, {}, question, **given)
    assert (level[0], last[0]) == (9.0, 9)
    trajectory = run(initial_returns_to_software_rnd=3.0, distance_to_effective_limits=1.03)
    np.testing.assert_allclose(dates[[0, 2], 0], trajectory.times[8:10], rtol=1e-12)
    level, last, dates = ask(NAME, SINGLE, question, **given)
    assert level[0] == pytest.approx(8.24, rel=1e-12)
    assert np.isinf(dates[2, 0])
    assert dates[1, 0] == pytest.approx(run(initial_returns_to_software_rnd=3.0, distance_to_effective_limits=1.03, **SINGLE).times[-1])


def test_a_last_step_without_end_lies_beyond_every_horizon() -> None:
    # X = 8.001: after eight doublings r is 1/8001 of its start, and the next step takes 2^(p·8001/r0) months.
    given = {"distance_to_effective_limits": 8.001 / 8, "parallel_labour_exponent": 0.6, "horizon": 1e6}
    for precision in ("float32", "float64"):
        times, dates, level = ask(NAME, {}, lambda s, p: (s.times, s.dates((8.0, 9.0)), s.levels((1e5,))[0]), precision, **given)
        assert np.all(np.isfinite(times))
        assert np.isfinite(dates[0, 0])
        assert np.isinf(dates[1, 0])
        assert level[0, 0] == pytest.approx(8.0, abs=1e-3)


@pytest.mark.parametrize(
    ("retraining", "boost", "time"),
    [
        ("none", "none", "recursion"),
        ("paper", "code", "recursion"),
        pytest.param("code", "none", "recursion", marks=pytest.mark.soak),
        pytest.param("none", "paper_linear", "recursion", marks=pytest.mark.soak),
        pytest.param("none", "none", "continuous", marks=pytest.mark.soak),
        ("paper", "code", "continuous"),
        pytest.param("code", "none", "continuous", marks=pytest.mark.soak),
        pytest.param("none", "paper_linear", "continuous", marks=pytest.mark.soak),
    ],
)
@pytest.mark.slow
def test_float32_keeps_the_digits_that_are_promised(retraining: Any, boost: Any, time: Any) -> None:
    values = dict(zip(PARAMETERS, draw_priors(4096, 11, boost != "none"), strict=True))
    values = {name: value.astype(np.float32).astype(float) for name, value in values.items()}
    options = {"retraining": retraining, "boost": boost, "time": time}
    levels = (1.0, 3.0, 4.0, 7.0, 8.0, 15.0, 16.0, 23.0, 24.0, 39.0, 40.0, 59.0, 60.0, 79.0, 80.0)
    dates = {precision: ask(NAME, options, lambda s, p: s.dates(levels), precision, **values) for precision in ("float32", "float64")}
    single, double = dates["float32"].astype(float), dates["float64"]
    both = np.isfinite(single) & np.isfinite(double)
    # A date may fall on the other side of the horizon only if it is that close to it.
    reached = np.where(np.isfinite(single), single, double)
    assert np.all(np.abs(reached - 48)[np.isfinite(single) != np.isfinite(double)] <= 2e-5 * 48)
    # T by the doubling that ends at each second level.
    double, single, both = double[2::2], single[2::2], both[2::2]
    steps = np.where(both, double, 1.0) - np.where(both, dates["float64"][1::2], 0.0)
    steps = np.maximum(steps, 1e-12)
    first = 3 / values["initial_speedup"] if boost == "none" else 3 / 1.1
    errors = np.abs(single[both] / double[both] - 1)
    allowed = 2e-6 * (1 + np.abs(np.log2(steps / first))[both] / 8)
    assert both.mean() > 0.2
    assert np.mean(errors <= allowed) >= 0.999
    assert errors.max() <= 2e-5


def test_options_and_parameters_outside_the_domain_are_refused() -> None:
    model = models.get(NAME)
    options = model.resolve_options({"retraining": "code"})
    bounds = {name: (float(value.min()), float(value.max())) for name, value in lanes_of(NAME, {}, {}).items()}
    with pytest.raises(ModelError, match="parallel_labour_exponent"):
        model.check(options, bounds | {"parallel_labour_exponent": (0.5, 1.0)})
    with pytest.raises(ModelError, match="distance_to_effective_limits"):
        model.check(model.resolve_options({}), bounds | {"distance_to_effective_limits": (6.0, 1e5)})
    with pytest.raises(ModelError, match="software_share_of_progress"):
        model.check(options, bounds | {"software_share_of_progress": (0.5, 1.5)})
    with pytest.raises(ModelError, match="boost"):
        model.resolve_options({"boost": "linear"})
    with pytest.raises(ModelError, match="constant_returns"):
        model.resolve_options({"constant_returns": "yes"})


@pytest.mark.parametrize("name", ["gradual_boost_start", "gradual_boost_max", "gradual_boost_duration"])
def test_a_boost_that_is_given_and_not_used_is_refused(name: Any) -> None:
    model = models.get(NAME)
    with pytest.raises(ModelError) as fault:
        model.check_given(model.resolve_options({}), {name: (1.0, 5.0)})
    assert (fault.value.key, fault.value.fix) == (name, 'remove it, or use boost = "code" or "paper_linear"')
    model.check_given(model.resolve_options({"boost": "code"}), {name: (1.0, 5.0)})
