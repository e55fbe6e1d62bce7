"""The references of the kernels suite equal the oracles: mpmath for the continuous limit, scalar loops for the recursion."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
from mpmath import mp, mpf

from benchmarks import references
from tests.oracles.davidson_houlden import draw_priors, run
from tests.oracles.davidson_houlden_continuous import Continuous

PRIORS = np.array(draw_priors(400, 31))


def test_recursion_dates():
    found = references.recursion_dates(PRIORS, (8, 24))
    for lane, priors in enumerate(PRIORS.T):
        times = [*run(*map(float, priors)).times, *[math.inf] * 24]
        for row, doublings in enumerate((8, 24)):
            expected = times[doublings] if times[doublings] <= 48 else math.inf
            assert found[row, lane] == pytest.approx(expected, rel=1e-12)


def test_recursion_durations_against_a_search_on_a_fine_grid():
    found = references.recursion_durations(PRIORS[:, :100], (24,))[0]
    for lane, priors in enumerate(PRIORS.T[:100]):
        trajectory = run(*map(float, priors))
        end = min(trajectory.doublings[-1], float(np.interp(48.0, trajectory.times, trajectory.doublings)))
        if end < 24:
            assert found[lane] == math.inf
            continue
        # Every knot, and a fine grid, as starts.
        starts = np.union1d(np.linspace(0.0, end - 24, 2001), np.arange(0, math.floor(end - 24) + 1))
        lengths = np.interp(starts + 24, trajectory.doublings, trajectory.times) - np.interp(starts, trajectory.doublings, trajectory.times)
        assert found[lane] == pytest.approx(lengths.min(), rel=1e-9)


@pytest.mark.slow
def test_continuous_dates():
    found = references.continuous_dates(PRIORS[:, :40], (8, 24))
    for lane, (speedup, *others) in enumerate(PRIORS.T[:40]):
        law = Continuous(3 / speedup, *others)
        for row, doublings in enumerate((8, 24)):
            date = float(law.time(doublings))
            assert found[row, lane] == pytest.approx(date if date <= 48 else math.inf, rel=1e-12)


def _slower(law, doublings, start):
    """How much slower a stretch of so many doublings is at its end than at its start, in logarithms."""
    return law.log2_ratio(start + doublings) - law.log2_ratio(start)


@pytest.mark.slow
@pytest.mark.parametrize("doublings", [24, 80])
def test_continuous_durations(doublings):
    lanes = 12 if doublings == 24 else 30
    found = references.continuous_durations(PRIORS[:, :lanes], (doublings,))[0]
    assert np.isfinite(found).any()
    for lane in np.flatnonzero(np.isfinite(found)):
        speedup, *others = PRIORS[:, lane]
        law = Continuous(3 / speedup, *others)
        begin = 0.0
        if law.log2_ratio(doublings) < 0:
            ends = (mpf(0), law.ceiling - doublings - mpf(10) ** -20)
            begin = mp.findroot(partial(_slower, law, doublings), ends, solver="anderson", tol=1e-30)
        if law.time(begin + doublings) < 48:
            expected = float(law.time(begin + doublings) - law.time(begin))
            assert found[lane] == pytest.approx(expected, rel=1e-10)
        else:
            # As late as the horizon allows: it is longer than the fastest stretch, and no longer than the one from the start.
            assert float(law.time(begin + doublings) - law.time(begin)) <= found[lane] <= float(law.time(doublings)) * (1 + 1e-12)
