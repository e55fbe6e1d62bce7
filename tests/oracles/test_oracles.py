"""The oracles themselves: every published and reference number of Davidson & Houlden (2025), and the limit of small steps."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mpmath import mp

from tests.oracles.davidson_houlden import WINDOWS, draw_priors, run, speedup_calculator, success_fractions, window_doublings
from tests.oracles.davidson_houlden_continuous import Continuous

with (Path(__file__).parents[1] / "published" / "davidson_houlden_2025.csv").open(encoding="utf-8") as file:
    ROWS = {row["name"]: row for row in csv.DictReader(file)}
DRAWS = 1_000_000
FAST = (8.0, 2.4, 11.0, 0.3)
CASES: dict[str, Callable[[], Any]] = {
    "time_of_24th_doubling_months_base": lambda: run().times[24],
    "knots_recorded_base": lambda: len(run().times),
    "last_knot_time_months_base": lambda: run().times[-1],
    **{f"years_of_progress_at_{month}_months_base": partial(run().years_of_progress, month) for month in (12, 24, 36, 48)},
    "time_of_24th_doubling_retraining_code": lambda: run(retraining="code").times[24],
    "time_of_24th_doubling_retraining_code_r2.4": lambda: run(*FAST, retraining="code").times[24],
    "time_of_24th_doubling_boost_code": lambda: run(boost="code").times[24],
    "f_at_last_knot_boost_code": lambda: run(boost="code").speedups[-1],
    "time_of_80th_doubling_constant_r": lambda: run(constant_returns=True).times[80],
    "success_flags": lambda: "|".join("yes" if run(*FAST).succeeds(*window) else "no" for window in WINDOWS),
    "single_run_years_at_12_months": lambda: run(initial_doubling_convention="single").years_of_progress(12),
    "single_run_years_at_72_months": lambda: run(initial_doubling_convention="single").years_of_progress(72),
    "single_run_boost_years_at_12_months": lambda: run(initial_doubling_convention="single", boost="code").years_of_progress(12),
    "single_run_boost_years_at_48_months": lambda: run(initial_doubling_convention="single", boost="code").years_of_progress(48),
    "single_run_retraining_years_at_72_months": lambda: run(initial_doubling_convention="single", retraining="paper").years_of_progress(72),
    "continuous_time_at_24_doublings": lambda: Continuous(3 / 8, 1.2, 11, 0.3).time(24),
    "continuous_retraining_log2_T_ratio_at_24_doublings": lambda: Continuous(1, 2.4, 11, 0.3, retraining="paper").log2_ratio(24),
    "peak_pace_ratio": lambda: Continuous(1, 2.4, 11, 0.3).peak()[1],
    "speedup_calculator_ratio": lambda: speedup_calculator()[2],
    "P_r0_above_1": lambda: np.mean(draw_priors(DRAWS, seed=7)[1] > 1.0),
}
PROBABILITIES = {
    "P_base": ("none", "none"),
    "P_base_published": ("none", "none"),
    "P_retraining_paper": ("paper", "none"),
    "P_boost_paper_linear": ("none", "paper_linear"),
}
WINDOW_NAMES = ("3y_in_12m", '"3y"_in_4m', "10y_in_12m", "10y_in_4m")


@cache
def _fractions(retraining, boost):
    return success_fractions(DRAWS, 20250804, retraining, boost)


def _agrees(value, row):
    if row["tolerance"] == "exact":
        return str(value) == row["value"]
    kind, _, tolerance = row["tolerance"].partition(" ")
    expected = float(row["value"])
    scale = {"rel": abs(expected), "abs": 1.0}[kind]
    return abs(float(value) - expected) <= float(tolerance) * scale


def test_every_published_number_is_checked():
    probabilities = {f"{name}_{window}" for name in PROBABILITIES for window in WINDOW_NAMES}
    assert ROWS.keys() == CASES.keys() | probabilities


@pytest.mark.parametrize("name", CASES)
def test_reference_numbers(name):
    value = CASES[name]()
    assert _agrees(value, ROWS[name]), value


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.soak] * (number > 0)) for number, name in enumerate(PROBABILITIES)])
def test_probabilities(name):
    fractions = _fractions(*PROBABILITIES[name])
    assert [window for window, value in zip(WINDOW_NAMES, fractions, strict=True) if not _agrees(value, ROWS[f"{name}_{window}"])] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("retraining", "boost", "expected"),
    [
        pytest.param("code", "none", (0.576, 0.420, 0.193, 0.151), marks=pytest.mark.soak),
        ("none", "code", (0.591, 0.480, 0.324, 0.245)),
    ],
)
def test_probabilities_in_the_forms_of_the_code(retraining, boost, expected):
    assert _fractions(retraining, boost) == pytest.approx(expected, abs=2.5e-3)


def test_numbers_that_only_the_model_page_gives():
    assert len(run(initial_doubling_convention="single").times) == 57
    assert len(run(initial_doubling_convention="single", boost="code").times) == 421
    retrained = run(initial_doubling_convention="single", retraining="paper")
    assert retrained.years_of_progress(12) == pytest.approx(4.616651999, abs=1e-8)
    assert speedup_calculator()[:2] == pytest.approx((1.175, 3.85), rel=1e-12)
    assert Continuous(1, 2.4, 11, 0.3).peak()[0] == pytest.approx(51.3333, abs=1e-4)


def test_window_doublings_are_truncated_left_to_right():
    assert [window_doublings(*window) for window in WINDOWS] == [24, 26, 80, 80]
    assert window_doublings(4, 30, 0.4) == 99


def test_a_window_must_be_strictly_shorter():
    steady = run(3.0, 1.0, 30.0, 0.3, constant_returns=True)
    assert steady.times[12] == 12.0
    assert not steady.succeeds(12.0, 1.5)
    assert steady.succeeds(math.nextafter(12.0, 13.0), 1.5)


@pytest.mark.parametrize(("retraining", "boost"), [("none", "none"), ("paper", "none"), ("code", "none"), ("none", "code")])
def test_the_vectorised_oracle_makes_the_decisions_of_the_scalar_one(retraining, boost):
    draws = 300
    priors = draw_priors(draws, 3, boost != "none")
    runs = [run(*(float(value) for value in lane), retraining=retraining, boost=boost) for lane in zip(*priors, strict=True)]
    expected = [sum(trajectory.succeeds(*window) for trajectory in runs) / draws for window in WINDOWS]
    assert success_fractions(draws, 3, retraining, boost, block=128) == expected


@pytest.mark.slow
@pytest.mark.parametrize("retraining", ["none", "paper", "code"])
@pytest.mark.parametrize("boost", ["none", "code", "paper_linear"])
@pytest.mark.parametrize("constant_returns", [False, True])
def test_small_steps_converge_to_the_continuous_limit_at_first_order(retraining, boost, constant_returns):
    first = 8.0 if boost == "none" else 1.0
    options = {"retraining": retraining, "boost": boost, "constant_returns": constant_returns}
    limit = Continuous(3 / (1 + first), 1.2, 11, 0.3, boost_start=1.0, boost_max=32.0, **options)
    # 24 doublings cross r = 1 (at 14.7), where the paper's retraining has its kink.
    exact = float(limit.time(24))
    errors = []
    for steps in (64, 128):
        trajectory = run(initial_doubling_convention="single", step_factor=2.0 ** (1 / steps), horizon=1e9, **options)
        errors.append(trajectory.times[24 * steps] - exact)
    assert abs(errors[1]) < 2e-3 * exact
    assert errors[0] / errors[1] == pytest.approx(2.0, abs=0.03)


def test_quadrature_agrees_with_the_hypergeometric_form():
    limit = Continuous(3 / 8, 2.4, 11, 0.3)
    for doublings in (1, 30, 80, 87.9):
        assert abs(limit.base_clock(doublings) / limit.base_clock_closed_form(doublings) - 1) < 1e-18


def test_the_closed_form_of_the_doubling_time_is_the_integral_of_the_exponent():
    def exponent(u, retraining, p=0.6, r0=2.4, ceiling=88):
        y = p * (1 / (r0 * (1 - u / ceiling)) - 1)
        return {"none": y, "paper": y / (1 + abs(y)), "code": y / abs(1 + y)}[retraining]

    for retraining in ("none", "paper", "code"):
        for doublings in (20, 80):
            kink = mp.mpf(88) * (1 - 1 / mp.mpf(2.4))
            breaks = [0, *([kink] if kink < doublings else []), doublings]
            direct = mp.quad(lambda u, retraining=retraining: exponent(u, retraining, mp.mpf(0.6), mp.mpf(2.4)), breaks)
            assert abs(Continuous(1, 2.4, 11, 0.6, retraining=retraining).log2_ratio(doublings) - direct) < 1e-18


@pytest.mark.parametrize("boost", ["none", "code", "paper_linear"])
@pytest.mark.slow
def test_years_of_progress_invert_the_time(boost):
    limit = Continuous(3 / 2, 1.2, 11, 0.3, boost=boost, boost_start=1.0, boost_max=32.0)
    for years in (0.5, 6.0):
        assert float(limit.years_of_progress(limit.time(8 * years))) == pytest.approx(years, rel=1e-12)
