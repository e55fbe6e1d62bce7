"""A reaction of policy does not remove a pole by being strong: it has to be quick too.

Near a pole the pace before policy rises as 1/(time that is left), so the awareness z moves only by the integral of its logarithm over the
time that is left, divided by the delay, which is finite. Whatever the gain, policy then stands still while the pace runs away: a gain above
1 removes the pole only if z has caught up before.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.kernels.asking import ask
from tests.oracles.growth_law import solve

OPTIONS = {"governance": "reaction"}
LAW = {"initial_doubling_time": 1.0, "returns": 3.0, "recent_doubling_time": 3.0, "pace_threshold": 3.0, "horizon": 120.0}
EXPONENT = 2 / 3
"""1 − 1/r: each doubling of software makes the pace before policy so many doublings higher."""
DOUBLINGS = (5.0, 10.0, 20.0, 24.0, 28.0)
POLES = {(1.2, 3.0): True, (1.2, 1.0): False, (2.0, 10.0): True, (2.0, 3.0): False}
"""(gain, delay in months): whether there is a pole."""
# With a gain of 1, dw/dt = (φ·m/T_ref)·2^w − w/delay for w = log2 pace_u − z, which settles if w·2^(−w), at most 1/(e ln 2), gets so high.
SETTLING = 1 / (math.e * math.log(2))


@pytest.fixture(scope="module")
def ours():
    gains, delays = np.array(list(POLES)).T

    def question(solution, _):
        return solution.dates(DOUBLINGS), solution.levels((12.0, 120.0))[0], solution.paces().highest

    dates, levels, highest = ask("growth_law", OPTIONS, question, **LAW, reaction_gain=gains, reaction_delay=delays)
    return {pair: (dates[:, lane], levels[:, lane], highest[lane]) for lane, pair in enumerate(POLES)}


@pytest.fixture(scope="module")
def oracle():
    return {pair: solve({**LAW, "reaction_gain": pair[0], "reaction_delay": pair[1]}, OPTIONS, DOUBLINGS, (12.0, 120.0)) for pair in POLES}


@pytest.mark.parametrize("pair", POLES)
@pytest.mark.slow
def test_whether_there_is_a_pole(pair, ours, oracle):
    dates, levels, highest = ours[pair]
    expected = oracle[pair]
    assert math.isinf(expected.peak_pace) == POLES[pair]
    np.testing.assert_allclose(dates, expected.dates, rtol=1e-9)
    np.testing.assert_allclose(levels, expected.levels, rtol=1e-9)
    assert highest * LAW["recent_doubling_time"] == pytest.approx(expected.peak_pace, rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("pair", [pair for pair, has_pole in POLES.items() if has_pole])
def test_policy_stands_still_at_the_pole(pair, oracle):
    """The last doublings follow one another as without any policy, each 2^(−φ) times as long: P no longer moves."""
    _, _, *late = oracle[pair].dates
    assert (late[2] - late[1]) / (late[1] - late[0]) == pytest.approx(2 ** (-4 * EXPONENT), rel=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("pair", [pair for pair, has_pole in POLES.items() if not has_pole])
def test_without_a_pole_the_pace_falls_from_its_peak(pair, oracle):
    first, last = oracle[pair].levels
    assert (last - first) / 108 * LAW["recent_doubling_time"] < oracle[pair].peak_pace / 5


@pytest.mark.parametrize(("share", "has_pole"), [(0.97, False), (1.03, True)])
@pytest.mark.slow
def test_a_gain_of_one_settles_below_a_delay(share, has_pole):
    delay = share * SETTLING / (EXPONENT * LAW["pace_threshold"] / LAW["recent_doubling_time"])
    given = {**LAW, "reaction_gain": 1.0, "reaction_delay": delay}
    expected = solve(given, OPTIONS, (20.0,), (120.0,))
    date, level = ask("growth_law", OPTIONS, lambda s, _: (s.dates((20.0,))[0, 0], s.levels((120.0,))[0][0, 0]), **given)
    assert math.isinf(expected.levels[0]) == math.isinf(level) == has_pole
    assert date == pytest.approx(expected.dates[0], rel=1e-8)
