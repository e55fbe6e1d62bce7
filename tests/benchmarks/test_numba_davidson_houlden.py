"""The numba peer makes the same decisions as the scalar oracle, in both precisions, and one thread the same as two."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.peers import numpy_blocked
from tests.oracles.davidson_houlden import WINDOWS, draw_priors, run

peer = pytest.importorskip("benchmarks.peers.numba_davidson_houlden", exc_type=ModuleNotFoundError)


def _oracle(priors):
    runs = [run(*(float(value) for value in lane)) for lane in zip(*priors, strict=True)]
    return np.array([[trajectory.succeeds(*window) for trajectory in runs] for window in WINDOWS])


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_flags_equal_the_oracle(dtype):
    priors = draw_priors(2500, 41)
    flags = peer.windows(*priors, dtype=dtype)
    assert flags.shape == (4, 2500)
    assert np.count_nonzero(flags != _oracle(priors)) <= (0 if dtype == np.float64 else 1)


@pytest.mark.slow
def test_lanes_far_outside_the_priors():
    random = np.random.default_rng(42)
    speedup, returns = 10.0 ** random.uniform(-1.0, 2.0, 1000), 10.0 ** random.uniform(-0.5, 1.0, 1000)
    priors = speedup, returns, random.uniform(9.0, 16.0, 1000), random.uniform(0.1, 0.7, 1000)
    assert np.array_equal(peer.windows(*priors, dtype=np.float64), _oracle(priors))


@pytest.mark.slow
@pytest.mark.parametrize("shares", [1, 2, 3])
def test_shares_do_not_matter(monkeypatch, shares):
    priors = draw_priors(20_001, 43)
    monkeypatch.setattr(peer, "cores", lambda: shares)
    assert np.array_equal(peer.windows(*priors, dtype=np.float64), numpy_blocked.windows(*priors, dtype=np.float64))


@pytest.mark.slow
def test_no_lanes_give_no_flags():
    none = np.empty(0)
    assert peer.windows(none, none, none, none).shape == (4, 0)
