"""The pace along a random path, where it is more than the path's points: peaks, first passages, regimes and pauses, against the process.

At returns of 1 the pace is that at the start times e^w. The oracle walks w in short exact transitions, and between them counts the share of
bridges that pass a level, so that what it has left of the step is of first order in it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tests.kernels.asking import ask

LANES, MONTHS, FIRST = 16_384, 24.0, 1.5
DEVIATION, CORRELATION = 0.6, 6.0
LAW = {
    "returns": np.ones(LANES),
    "initial_doubling_time": 3 / FIRST,
    "recent_doubling_time": 3.0,
    "noise_sd": DEVIATION,
    "noise_correlation_time": CORRELATION,
    "horizon": MONTHS,
}


def _shares_passed(multiple: float, months: tuple[float, ...], falls: bool = False, walks: int = 20_000) -> list[float]:
    """The share of paths that have been at so many times the recent pace by some months; `falls`: below it."""
    rng, step = np.random.default_rng(5), 0.025
    level = math.log(multiple / FIRST) * (-1 if falls else 1)
    decay = math.exp(-step / CORRELATION)
    spread, variance = DEVIATION * math.sqrt(1 - decay**2), 2 * DEVIATION**2 * step / CORRELATION
    place, below, found = np.zeros(walks), np.ones(walks), []
    for index in range(1, round(max(months) / step) + 1):
        ahead = place * decay + spread * rng.standard_normal(walks)
        rest = np.maximum(level - place, 0) * np.maximum(level - ahead, 0)
        below *= -np.expm1(-2 * rest / variance)
        place = ahead
        if any(abs(index * step - month) < step / 2 for month in months):
            found.append(float(1 - below.mean()))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", pytest.param("float64", marks=pytest.mark.soak)])
def test_paces_are_first_reached_as_often_as_along_the_path_itself(precision: str) -> None:
    # Points of the path: between two the date is early, by a sixth of the way in the mean.
    months = (0.75, 3.0, 12.0, 24.0)
    paces, dates = ask(
        "growth_law",
        {"noise": "pace"},
        lambda solution, parameters: (solution.paces(), solution.first_dates_at_pace((0 * parameters["horizon"] + 2 / 3,))[0]),
        precision,
        **LAW,
    )
    # Four standard errors of both samples together.
    within = 4 * math.sqrt(0.25 / LANES + 0.25 / 20_000)
    passed = _shares_passed(2.0, months)
    np.testing.assert_allclose([np.mean(dates <= month) for month in months], passed, atol=within)
    for multiple in (3.0, 6.0):
        assert np.mean(paces.highest * 3 >= multiple) == pytest.approx(_shares_passed(multiple, (MONTHS,))[0], abs=within), multiple
    assert np.mean(paces.lowest * 3 <= 0.75) == pytest.approx(_shares_passed(0.75, (MONTHS,), falls=True)[0], abs=within)
    # One trajectory's numbers agree with each other.
    np.testing.assert_array_equal(dates < math.inf, paces.highest * 3 >= 2 * (1 - 3e-6))
    assert np.all(dates[dates < math.inf] <= MONTHS)


@pytest.mark.slow
def test_a_pause_begins_wherever_the_path_meets_its_threshold() -> None:
    made = ask(
        "growth_law",
        {"noise": "pace", "governance": "pause"},
        lambda solution, _: solution.levels((12.0, 24.0))[0],
        "float32",
        **LAW,
        pace_threshold=3.0,
        pause_length=100.0,
    )
    (passed,) = _shares_passed(3.0, (12.0,))
    assert np.mean(np.abs(made[1] - made[0]) < 1e-4) == pytest.approx(passed, abs=0.02)


@pytest.mark.slow
def test_a_cap_holds_the_pace_along_the_path_too() -> None:
    law, lanes = {"noise": "pace", "governance": "cap"}, 4096
    highest = ask("growth_law", law, lambda solution, _: solution.paces().highest, pace_cap=2.5, **LAW | {"returns": np.ones(lanes)})
    assert np.all(highest * 3 <= 2.5 * (1 + 1e-9))
    within = 4 * math.sqrt(0.25 / lanes + 0.25 / 20_000)
    assert np.mean(highest * 3 > 2.5 * (1 - 1e-9)) == pytest.approx(_shares_passed(2.5, (MONTHS,))[0], abs=within)


def _drawn(lanes: int) -> dict[str, np.ndarray]:
    """Laws of every strength of noise, some with none or the most."""
    rng = np.random.default_rng(3)

    def between(low: float, high: float) -> np.ndarray:
        ends = np.where(rng.random(lanes) < 0.5, low, high)
        return np.where(rng.random(lanes) < 0.1, ends, np.exp(rng.uniform(math.log(low), math.log(high), lanes)))

    return {
        "initial_doubling_time": between(0.2, 6),
        "returns": between(0.4, 2.5),
        "noise_sd": np.where(rng.random(lanes) < 0.05, 0, between(0.01, 1.5)),
        "noise_correlation_time": between(0.5, 100),
        "horizon": between(6, 24),
        "breakthrough_rate": between(0.01, 0.8),
        "breakthrough_size": between(0.1, 2.0),
        "pace_threshold": between(0.4, 8),
        "pause_length": between(0.5, 6),
        "pace_cap": between(0.4, 8),
        "reaction_gain": between(0.3, 2),
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    "governance", ["pause", pytest.param("cap", marks=pytest.mark.soak), pytest.param("reaction", marks=pytest.mark.soak)]
)
def test_the_numbers_of_a_trajectory_agree_with_each_other_and_between_precisions(governance: str) -> None:
    multiples, given = (0.5, 1.0, 1.01, 2.0, 6.0), _drawn(512)

    def question(solution: Any, parameters: Any) -> Any:
        wanted = tuple(0 * parameters["horizon"] + multiple / 3 for multiple in multiples)
        return solution.paces(), solution.first_dates_at_pace(wanted), solution.level_at_horizon(), solution.failed

    options = {"noise": "both", "governance": governance}
    narrow, wide = (ask("growth_law", options, question, precision, **given) for precision in ("float32", "float64"))
    for paces, dates, _, failed in (narrow, wide):
        assert not np.any(failed)
        rounding = 1e-6 * given["horizon"]
        with np.errstate(invalid="ignore"):
            assert not np.any(dates[:-1] > dates[1:] + rounding)
        reached = dates < math.inf
        for multiple, date, found in zip(multiples, dates, reached, strict=True):
            clear = np.abs(paces.highest * 3 / multiple - 1) > 1e-5
            np.testing.assert_array_equal(found[clear], (paces.highest * 3 > multiple)[clear])
            assert np.all(date[found & clear] <= (paces.date_of_highest + rounding)[found & clear])
        assert np.all(paces.lowest <= paces.at_horizon * (1 + 1e-5))
    for one, other in zip((narrow[0].highest, narrow[1], narrow[2]), (wide[0].highest, wide[1], wide[2]), strict=True):
        with np.errstate(invalid="ignore"):
            apart = ~((one == other) | (np.abs(one - other) <= 2e-3 * (1e-2 + np.abs(other))))
        # A path may all but touch a level.
        assert np.mean(apart) < 0.01


@pytest.mark.slow
def test_software_stands_still_from_the_first_date_at_the_threshold_of_a_pause() -> None:
    given = _drawn(512)

    def question(solution: Any, parameters: Any) -> Any:
        begun = solution.first_dates_at_pace((parameters["pace_threshold"] / 3,))[0]
        length = parameters["pause_length"]
        return begun, solution.levels((begun + 0.01 * length, begun + 0.99 * length))[0], solution.paces().at_start

    begun, (early, late), at_start = ask("growth_law", {"noise": "pace", "governance": "pause"}, question, "float32", **given)
    # Not those in which it is met at once: they have the threshold's pace only after the pause.
    paused = (begun + given["pause_length"] < given["horizon"]) & (3 * at_start < given["pace_threshold"])
    assert np.sum(paused) > 50
    np.testing.assert_allclose(early[paused], late[paused], rtol=1e-6)


@pytest.mark.slow
def test_a_pause_that_no_path_comes_near_never_begins() -> None:
    # A pace that rises only so far: 3.8 times the recent one.
    law = {"initial_doubling_time": 1.0, "returns": 3.0, "labour_share": 0.5, "substitution_parameter": -1.0, "recent_doubling_time": 3.0}
    given = law | {"pace_threshold": 20.0, "pause_length": 100.0, "horizon": 60.0}
    question = lambda solution, _: (solution.levels((24.0, 60.0))[0], solution.paces())  # noqa: E731
    (plain, still) = ask("growth_law", {"research_input": "ces", "governance": "pause"}, question, **given)
    options = {"research_input": "ces", "governance": "pause", "noise": "pace"}
    made, paces = ask("growth_law", options, question, **given, noise_sd=np.full(64, 1e-6), noise_correlation_time=96.0)
    np.testing.assert_allclose(made, np.broadcast_to(plain, made.shape), rtol=1e-5)
    np.testing.assert_allclose(paces.highest, still.highest[0], rtol=1e-5)
    np.testing.assert_allclose(paces.date_of_highest, still.date_of_highest[0], rtol=1e-3)
