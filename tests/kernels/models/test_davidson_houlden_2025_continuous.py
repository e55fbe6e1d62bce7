"""Davidson & Houlden's continuous limit, its every option against integrals by mpmath, and the recursion's way to it."""

from __future__ import annotations

import itertools
import math
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from mpmath import mp

from tests.kernels.asking import ask
from tests.oracles.davidson_houlden import run
from tests.oracles.davidson_houlden_continuous import Continuous

NAME = "davidson_houlden_2025"
PARAMETERS = ("initial_speedup", "initial_returns_to_software_rnd", "distance_to_effective_limits", "parallel_labour_exponent")
DRAWS = ((8.0, 1.2, 11.0, 0.3), (20.0, 2.7, 10.0005, 0.55), (3.0, 0.6, 7.3, 0.2))
TIMES = np.linspace(0.0, 48.0, 401)
COMBINATIONS = tuple(itertools.product(("none", "paper", "code"), ("none", "code", "paper_linear"), (False, True)))


def _oracle(draw: Any, retraining: Any, boost: Any, constant: Any) -> Any:
    first = 3 / draw[0] if boost == "none" else 3 / 1.1
    options: dict[str, Any] = {"retraining": retraining, "boost": boost, "constant_returns": constant}
    return Continuous(first, draw[1], draw[2], draw[3], boost_start=0.1, boost_max=draw[0], **options)


@pytest.mark.parametrize(
    ("retraining", "boost", "constant"),
    # As many as have every pair of options.
    [pytest.param(*row, marks=[pytest.mark.soak] * ((place // 6 + place // 2 + place) % 2)) for place, row in enumerate(COMBINATIONS)],
)
@pytest.mark.slow
def test_dates_and_levels(retraining: Any, boost: Any, constant: Any) -> None:
    options = {"time": "continuous", "retraining": retraining, "boost": boost, "constant_returns": constant}
    # Far from the limit, where dates are integrated directly, beyond it, and within a thousandth of the way to the limit.
    levels, times = (0.4, 24.0, 58.36, 80.0), (0.5, 20.0)
    values = dict(zip(PARAMETERS, np.array(DRAWS).T, strict=True))
    dates, made, pace = ask(NAME, options, lambda s, p: (s.dates(levels), *s.levels(times)), horizon=300.0, **values)
    mp.dps = 18
    # One draw for each combination, in turn; all of them are solved.
    lane = COMBINATIONS.index((retraining, boost, constant)) % len(DRAWS)
    for draw in DRAWS[lane : lane + 1]:
        limit = _oracle(draw, retraining, boost, constant)
        for level, date in zip(levels, dates[:, lane], strict=True):
            exact = float(limit.time(level)) if level < limit.ceiling else math.inf
            assert date == pytest.approx(exact if exact <= 300 else math.inf, rel=1e-9)
        for time, level, speed in zip(times, made[:, lane], pace[:, lane], strict=True):
            if level >= (1 - 1e-9) * float(limit.ceiling):
                # Arrived: the limit was reached before.
                assert float(limit.time((1 - 1e-9) * float(limit.ceiling))) <= time * (1 + 1e-6)
                continue
            assert float(limit.base_clock(level) / limit.clock(time)) == pytest.approx(1, rel=1e-9)
            factor = (1 + float(limit.speedup(time))) / 1.1 if boost != "none" else 1.0
            expected = factor / (limit.initial_doubling_time * 2 ** float(limit.log2_ratio(level)))
            assert speed == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("retraining", ["none", "paper", "code"])
@pytest.mark.slow
def test_the_highest_pace_is_where_returns_pass_one(retraining: Any) -> None:
    values = dict(zip(PARAMETERS, np.array(DRAWS).T, strict=True))
    paces, _dates = ask(
        NAME, {"time": "continuous", "retraining": retraining}, lambda s, p: (s.paces(), s.dates((0.0,))), horizon=300.0, **values
    )
    mp.dps = 18
    for lane, draw in enumerate(DRAWS):
        limit = _oracle(draw, retraining, "none", False)
        where = max(limit.ceiling * (1 - 1 / draw[1]), 0)
        highest = 1 / (limit.initial_doubling_time * 2 ** float(limit.log2_ratio(where)))
        assert paces.highest[lane] == pytest.approx(highest, rel=1e-9)
        if retraining == "none" and draw[1] > 1:
            assert paces.highest[lane] / paces.at_start[lane] == pytest.approx(float(limit.peak()[1]), rel=1e-9)
        assert paces.date_of_highest[lane] == pytest.approx(float(limit.time(where)), rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("boost", [pytest.param("code", marks=pytest.mark.soak), "paper_linear"])
@pytest.mark.slow
def test_the_highest_pace_of_a_boost(boost: Any) -> None:
    highest, _made, paces = ask(
        NAME,
        {"time": "continuous", "boost": boost},
        lambda s, p: (s.paces(), *s.levels(tuple(TIMES.tolist()))),
        **dict(zip(PARAMETERS, DRAWS[0], strict=True)),
    )
    assert highest.highest[0] >= paces.max() * (1 - 1e-12)
    assert highest.highest[0] == pytest.approx(paces.max(), rel=1e-4)
    assert highest.lowest[0] == pytest.approx(paces.min(), rel=1e-9)
    assert highest.date_of_highest[0] == pytest.approx(TIMES[paces.argmax()], abs=0.1)


def test_small_steps_of_the_recursion_tend_to_it() -> None:
    values = dict(zip(PARAMETERS, DRAWS[0], strict=True))
    options = {"initial_doubling_convention": "single", "time": "continuous"}
    (exact,) = ask(NAME, options, lambda s, p: s.dates((24.0,))[0], horizon=300.0, **values)
    errors = []
    for steps in (32, 64):
        fine = run(*DRAWS[0], initial_doubling_convention="single", step_factor=2.0 ** (1 / steps), horizon=300.0)
        errors.append(fine.times[24 * steps] / exact - 1)
    assert abs(errors[1]) < 1e-3
    assert errors[0] / errors[1] == pytest.approx(2, abs=0.05)


@pytest.mark.slow
def test_windows_against_a_search_over_fine_starts() -> None:
    values = dict(zip(PARAMETERS, np.array(DRAWS).T, strict=True))
    fine = np.arange(0.0, 88.0, 0.05)
    for retraining in ("none", "paper", "code"):
        options = {"time": "continuous", "retraining": retraining}
        dates, shortest = ask(
            NAME,
            options,
            lambda s, p: (
                s.date_at(jnp.broadcast_to(jnp.asarray(fine)[:, None], (len(fine), len(DRAWS)))),
                s.shortest_durations((5.0, 24.0)),
            ),
            **values,
        )
        for row, steps in zip(shortest, (100, 480), strict=True):
            ends = np.where(np.isfinite(dates[steps:]), dates[steps:], np.inf)
            brute = (ends - dates[: len(ends)].clip(max=1e9)).min(axis=0)
            inside = np.isfinite(brute)
            assert inside.any()
            np.testing.assert_array_equal(np.isfinite(row), inside)
            # The window that ends at the horizon begins between two of the fine starts.
            assert np.all(row[inside] <= brute[inside] * (1 + 1e-9))
            np.testing.assert_allclose(row[inside], brute[inside], rtol=2e-3)
