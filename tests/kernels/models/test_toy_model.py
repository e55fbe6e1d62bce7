"""The toy model (law.md S1): the numbers that its authors print, and the blow-up."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import pytest

from tests.kernels.asking import ask

NAME = "toy_model"


def _date(level: int, solution: Any, parameters: Any) -> Any:
    return solution.dates((float(level),))[0]


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize(("growth", "months"), [(3.0, (2, 3, 4.5)), (1.5, (2, 1.5, 1.125)), (2.0, (2, 2, 2))])
def test_months_of_the_first_doublings(growth: Any, months: Any, precision: Any) -> None:
    dates = ask(NAME, {}, lambda s, p: s.dates((1.0, 2.0, 3.0)), precision, paper_growth_factor=growth)[:, 0]
    np.testing.assert_allclose(np.diff(dates, prepend=0), months, rtol=1e-12 if precision == "float64" else 1e-6)


def test_returns_are_the_inverse_logarithm_of_the_growth_factor() -> None:
    # One doubling of AGIs is one doubling of software; papers double every log2(m) doublings less.
    for growth, returns in ((3.0, 0.630930), (1.5, 1.709511), (2.0, 1.0)):
        first, second = ask(NAME, {}, lambda s, p: s.durations[:2, 0], paper_growth_factor=growth)
        papers = math.log2(second * 2 / first)
        assert 1 / papers == pytest.approx(returns, abs=1e-6)


def test_blow_up_at_eight_months() -> None:
    levels, last, dates, paces = ask(
        NAME,
        {},
        lambda s, p: (s.levels((7.999, 8.001))[0], s.level_at_horizon(), s.dates((30.0, 1000.0)), s.paces()),
        paper_growth_factor=1.5,
    )
    assert levels[0, 0] > 20
    assert np.isinf(levels[1, 0])
    assert np.isinf(last[0])
    assert np.isinf(paces.highest[0])
    assert dates[0, 0] == pytest.approx(8 * (1 - 0.75**30), rel=1e-12)
    assert dates[1, 0] == pytest.approx(8.0, rel=1e-9)


@pytest.mark.slow
def test_dates_against_the_geometric_sum() -> None:
    random = np.random.default_rng(3)
    growth, first, agis, pace = (
        random.uniform(1.2, 4, 50),
        random.uniform(0.5, 9, 50),
        random.uniform(0.5, 5, 50),
        random.uniform(0.5, 3, 50),
    )
    given = {
        "paper_growth_factor": growth,
        "papers_for_first_doubling": first,
        "initial_agis": agis,
        "papers_per_agi_month": pace,
        "horizon": 120.0,
    }
    for level in (1, 5, 12):
        exact = sum(first / (agis * pace) * (growth / 2) ** k for k in range(level))
        expected = np.where(exact <= 120, exact, np.inf)
        np.testing.assert_allclose(ask(NAME, {}, partial(_date, level), **given), expected, rtol=1e-12)
        single = ask(NAME, {}, partial(_date, level), "float32", **given)
        np.testing.assert_allclose(single, expected, rtol=4e-6)


def test_levels_between_doublings_are_linear_in_time() -> None:
    levels, pace = ask(NAME, {}, lambda s, p: s.levels((0.0, 1.0, 2.0, 3.5, 5.0)), paper_growth_factor=3.0)
    np.testing.assert_allclose(levels[:, 0], [0, 0.5, 1, 1.5, 2], atol=1e-12)
    np.testing.assert_allclose(pace[[1, 3], 0], [1 / 2, 1 / 3], rtol=1e-12)


def test_paces_and_windows() -> None:
    paces, shortest = ask(
        NAME, {}, lambda s, p: (s.paces(), s.shortest_durations((1.0, 1.5, 400.0))), paper_growth_factor=3.0, horizon=60.0
    )
    assert paces.highest[0] == pytest.approx(0.5)
    assert paces.date_of_highest[0] == 0
    # 2·(1.5^n − 1)/0.5 months for n doublings: the seventh begins at 41.6 months, the eighth at 64.3.
    assert paces.lowest[0] == pytest.approx(1 / (2 * 1.5**6 * 1.5), rel=1e-9) or paces.lowest[0] == pytest.approx(
        1 / (2 * 1.5**6), rel=1e-9
    )
    np.testing.assert_allclose(shortest[:2, 0], [2, 3.5], rtol=1e-12)
    assert np.isinf(shortest[2, 0])
