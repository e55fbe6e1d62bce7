"""The NumPy peer makes the same decisions as the scalar oracle, in both precisions."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.peers.numpy_davidson_houlden import WINDOWS as PEER_WINDOWS
from benchmarks.peers.numpy_davidson_houlden import windows
from tests.oracles.davidson_houlden import WINDOWS, draw_priors, run, window_doublings


def _oracle(priors):
    runs = [run(*(float(value) for value in lane)) for lane in zip(*priors, strict=True)]
    return np.array([[trajectory.succeeds(*window) for trajectory in runs] for window in WINDOWS])


def test_the_windows_are_the_published_ones():
    assert [(months, window_doublings(months, speedup)) for months, speedup in WINDOWS] == list(PEER_WINDOWS)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_flags_equal_the_oracle(dtype):
    priors = draw_priors(2500, 11)
    flags = windows(*priors, dtype=dtype)
    assert flags.shape == (4, 2500)
    assert np.count_nonzero(flags != _oracle(priors)) <= (0 if dtype == np.float64 else 1)


def test_flags_do_not_depend_on_the_other_lanes_of_a_block():
    speedup, returns, distance, exponent = draw_priors(20_000, 12)
    together = windows(speedup, returns, distance, exponent, np.float64)
    parts = [slice(start, start + 777) for start in range(0, 20_000, 777)]
    apart = [windows(speedup[part], returns[part], distance[part], exponent[part], np.float64) for part in parts]
    assert np.array_equal(together, np.concatenate(apart, axis=1))


def test_no_lanes_give_no_flags():
    none = np.empty(0)
    assert windows(none, none, none, none).shape == (4, 0)


def test_lanes_far_outside_the_priors_alone_and_together():
    # Wide enough for explosions after month 48, windows whose last step ends after it, and ceilings just short of 80 doublings.
    random = np.random.default_rng(14)
    speedup, returns = 10.0 ** random.uniform(-1.0, 2.0, 1000), 10.0 ** random.uniform(-0.5, 1.0, 1000)
    distance, exponent = random.uniform(9.0, 16.0, 1000), random.uniform(0.1, 0.7, 1000)
    expected = _oracle((speedup, returns, distance, exponent))
    together = windows(speedup, returns, distance, exponent, np.float64)
    lanes = [slice(lane, lane + 1) for lane in range(1000)]
    apart = [windows(speedup[lane], returns[lane], distance[lane], exponent[lane], np.float64) for lane in lanes]
    assert np.array_equal(together, expected)
    assert np.array_equal(np.concatenate(apart, axis=1), expected)


def test_the_last_step_of_a_window_may_end_after_the_horizon():
    speedup = np.linspace(0.2, 1.0, 2000)
    returns, distance, exponent = (np.full(2000, value) for value in (6.0, 16.0, 0.3))
    runs = [run(float(value), 6.0, 16.0, 0.3) for value in speedup]
    expected = _oracle((speedup, returns, distance, exponent))
    within = [any(end - start < 12.0 and end < 48.0 for start, end in zip(made.times, made.times[24:], strict=False)) for made in runs]
    assert np.any(expected[0] != within)
    assert np.array_equal(windows(speedup, returns, distance, exponent, np.float64), expected)
