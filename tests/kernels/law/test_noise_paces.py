"""The pace along a random path, where it is more than the path's points: peaks, first passages, regimes and pauses, against the process.

At returns of 1 the pace is that at the start times e^w. The oracle walks w in short exact transitions, and between them counts the share of
bridges that pass a level, so that what it has left of the step is of first order in it.
"""

from __future__ import annotations

import math

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
    months = (0.5, 3.0, 12.0, 24.0)
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
    highest = ask("growth_law", {"noise": "pace", "governance": "cap"}, lambda solution, _: solution.paces().highest, pace_cap=2.5, **LAW)
    assert np.all(highest * 3 <= 2.5 * (1 + 1e-9))
    assert np.mean(highest * 3 > 2.5 * (1 - 1e-9)) == pytest.approx(_shares_passed(2.5, (MONTHS,))[0], abs=0.02)
