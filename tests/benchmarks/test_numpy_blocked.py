"""The plain NumPy peer makes the same decisions as the scalar oracle, and processes the same as one."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.peers import numpy_blocked, numpy_davidson_houlden
from benchmarks.peers.processes import Processes
from tests.oracles.davidson_houlden import WINDOWS, draw_priors, run


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_flags_equal_the_oracle(dtype):
    priors = draw_priors(2500, 21)
    runs = [run(*(float(value) for value in lane)) for lane in zip(*priors, strict=True)]
    expected = np.array([[trajectory.succeeds(*window) for trajectory in runs] for window in WINDOWS])
    flags = numpy_blocked.windows(*priors, dtype=dtype)
    assert np.count_nonzero(flags != expected) <= (0 if dtype == np.float64 else 1)


def test_knots_are_the_oracles():
    priors = draw_priors(300, 22)
    times = numpy_blocked.knots(*priors)
    for lane in range(300):
        expected = run(*(float(prior[lane]) for prior in priors)).times
        found = times[np.isfinite(times[:, lane]), lane]
        np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_blocks_do_not_matter():
    # More lanes than a block holds, and not a whole number of blocks.
    priors = draw_priors(20_001, 23)
    assert np.array_equal(numpy_blocked.windows(*priors, dtype=np.float64), numpy_davidson_houlden.windows(*priors, dtype=np.float64))


@pytest.mark.slow
@pytest.mark.parametrize("peer", [numpy_blocked, numpy_davidson_houlden], ids=lambda peer: peer.__name__.rsplit(".", 1)[1])
def test_two_processes_give_the_same_flags(peer):
    priors = np.array(draw_priors(30_001, 13))
    with Processes(peer.windows, priors, 4, np.float64, 2) as processes:
        assert np.array_equal(processes(), peer.windows(*priors, dtype=np.float64))
        assert np.array_equal(processes(), peer.windows(*priors, dtype=np.float64))
