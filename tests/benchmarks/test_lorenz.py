"""Whoever solves Lorenz's equations at a fixed step makes the same errors, and the reference agrees with another method."""

from __future__ import annotations

import sys

import jax
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from benchmarks import lorenz
from benchmarks.bare import Batches
from benchmarks.peers import numpy_lorenz
from benchmarks.peers.c_library import compiler
from benchmarks.peers.simd_lorenz import SimdLorenz

RHO = lorenz.draws(256)


def _kernel(rho):
    return Batches(lorenz.by_kernel, rho[None], jax.devices()[:1], 128).answers()


def _diffrax(rho):
    peer = pytest.importorskip("benchmarks.peers.diffrax_lorenz", exc_type=ModuleNotFoundError)
    return Batches(peer.solved, rho[None], jax.devices()[:1], 128).answers()


def _numba(rho):
    return pytest.importorskip("benchmarks.peers.numba_lorenz", exc_type=ModuleNotFoundError).solved(rho)


def _by_hand(rho):
    if compiler() is None:
        pytest.skip("no C compiler")
    return SimdLorenz(rho, 2).run()


def test_a_library_by_hand_leaves_small_numbers_to_the_rest_of_the_process():
    _by_hand(RHO[:256].astype(np.float64))
    smallest = np.array([sys.float_info.min])
    assert (smallest / 4 * 4 == smallest).all()


def test_the_reference():
    truth = lorenz.reference(RHO[:3])
    for lane, rho in enumerate(RHO[:3]):
        found = solve_ivp(
            lambda _, at, rho=rho: lorenz.slope(tuple(at), rho), (0.0, 1.0), (1.0, 0.0, 0.0), method="LSODA", rtol=1e-12, atol=1e-12
        )
        np.testing.assert_allclose(truth[:, lane], found.y[:, -1], rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("solved", [_kernel, _diffrax, _numba, _by_hand, numpy_lorenz.solved], ids=lambda solved: solved.__name__)
@pytest.mark.parametrize(("precision", "expected"), [("float32", 2e-5), ("float64", 5e-12)])
def test_errors(solved, precision, expected):
    rho = RHO.astype(precision)
    states = np.asarray(solved(rho))
    assert states.dtype == precision
    # The last lanes, too: those of another thread or block.
    checked = np.array([0, 1, 127, 128, 254, 255])
    error = lorenz.worst_error(states[:, checked], lorenz.reference(rho[checked]))
    assert error < expected
    # What is computed in float32 is no better than that.
    assert error > (1e-8 if precision == "float32" else 1e-16)


def test_errors_are_relative_to_the_state():
    truth = np.array([[3.0], [0.0], [4.0]])
    assert lorenz.worst_error(np.array([[3.0], [0.005], [4.0]]), truth) == pytest.approx(1e-3)
    assert lorenz.worst_error(np.array([[np.nan], [0.0], [4.0]]), truth) == 1.0
