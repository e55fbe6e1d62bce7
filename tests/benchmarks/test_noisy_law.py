"""The law with noise: its known mean and spread, and contenders that are held to them."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from scipy.integrate import dblquad, quad

from benchmarks import noisy_law
from benchmarks.bare import Batches
from benchmarks.peers import numpy_noise
from benchmarks.peers.c_library import compiler
from benchmarks.peers.simd_noise import SimdNoise

LANES = 1 << 13


def _covariance(s, t):
    tau = noisy_law.CORRELATION_TIME
    return noisy_law.DEVIATION**2 * (np.exp(-abs(t - s) / tau) - np.exp(-(s + t) / tau))


def test_the_known_mean_and_spread():
    end = noisy_law.MONTHS
    mean = quad(lambda t: np.exp(_covariance(t, t) / 2), 0, end, epsabs=1e-10)[0]
    square = 2 * dblquad(lambda s, t: np.exp((_covariance(s, s) + _covariance(t, t)) / 2 + _covariance(s, t)), 0, end, 0, lambda t: t)[0]
    assert noisy_law.moments() == pytest.approx((mean, (square - mean**2) ** 0.5), rel=1e-8)


def test_without_noise_the_months_are_those_that_passed():
    given = noisy_law.given(64, "float64")
    slope = -given[2] * (1 - 1 / given[0]) * np.log(2)
    software = np.log1p(slope * noisy_law.MONTHS / given[1]) / slope
    mean, spread, _ = noisy_law.errors(software, given)
    assert mean == pytest.approx(1 - noisy_law.MONTHS / noisy_law.moments()[0])
    assert spread == pytest.approx(1)


def _kernel(given):
    return Batches(noisy_law.Kernel(given.dtype.name), given, jax.devices()[:1], 256).answers()[0]


def _by_steps(given):
    return Batches(noisy_law.by_steps, given, jax.devices()[:1], 256).answers()[0]


def _by_hand(given):
    if compiler() is None:
        pytest.skip("no C compiler")
    return SimdNoise(given, 2).run()


def _numba(given):
    return pytest.importorskip("benchmarks.peers.numba_noise", exc_type=ModuleNotFoundError).solved(given)


def _diffrax(given):
    peer = pytest.importorskip("benchmarks.peers.diffrax_noise", exc_type=ModuleNotFoundError)
    return Batches(peer.DiffraxNoise("UnsafeBrownianPath"), given, jax.devices()[:1], 256).answers()[0]


def _diffrax_tree(given):
    peer = pytest.importorskip("benchmarks.peers.diffrax_noise", exc_type=ModuleNotFoundError)
    return Batches(peer.DiffraxNoise("VirtualBrownianTree"), given[:, :1024], jax.devices()[:1], 256).answers()[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    "solved", [_kernel, _by_steps, _by_hand, _numba, _diffrax, _diffrax_tree, numpy_noise.solved], ids=lambda one: one.__name__
)
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_mean_and_spread(solved, precision):
    given = noisy_law.given(LANES, precision)
    software = solved(given)
    assert software.dtype == precision
    mean, spread, chance = noisy_law.errors(software, given)
    # The spread is 14 % of the mean, so that chance in the mean is a fifth of that in the spread.
    assert mean < noisy_law.TOLERANCE + chance
    assert spread < noisy_law.TOLERANCE + 4 * chance
    # Every trajectory has a path of its own, and so has each half of them.
    assert len(np.unique(software)) > 0.99 * len(software)


def test_a_wrong_spread_is_found(monkeypatch):
    monkeypatch.setattr(numpy_noise, "KICK", 1.1 * noisy_law.KICK)
    given = noisy_law.given(LANES, "float64")
    _, spread, chance = noisy_law.errors(numpy_noise.solved(given), given)
    assert spread > noisy_law.TOLERANCE + 4 * chance
