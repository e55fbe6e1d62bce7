"""Dates close to a blow-up: the known solution is that of the law, and the peers that step in time find it."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from mpmath import mp

from benchmarks import blow_up
from benchmarks.bare import Bare
from benchmarks.peers.c_library import compiler
from benchmarks.peers.scipy_in_time import ScipyInTime
from benchmarks.peers.scipy_laws import ScipyLaw
from benchmarks.peers.simd_laws import SimdLaw
from benchmarks.suites.laws import worst_error

DRAWN = blow_up.LAW.draws(2048)
TRUTH = blow_up.dates(DRAWN)


def test_the_known_dates_are_integrals_of_the_law():
    for lane in range(3):
        returns, first, exponent = map(float, DRAWN[:, lane])
        for row, level in enumerate(blow_up.LAW.levels):
            # 1/T = I^λ R/T0 with I = 2^x and R = 2^(−βx), β = λ/r.
            date = mp.quad(lambda x, r=returns, p=exponent, first=first: first * 2 ** (p / r * x - p * x), [0, level])
            assert TRUTH[row, lane] == pytest.approx(float(date), rel=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("law", [blow_up.LAW, blow_up.IN_THE_CLOCK], ids=["quadrature", "clock"])
@pytest.mark.parametrize(("precision", "expected"), [("float32", 2e-5), ("float64", 1e-9)])
def test_the_kernels(law, precision, expected):
    drawn = DRAWN.astype(precision)
    found = Bare(law.study(precision), drawn, jax.devices()[:1]).outcomes()
    assert worst_error(found, blow_up.dates(drawn)) < expected


@pytest.mark.slow
def test_steps_are_those_of_the_solver():
    drawn = DRAWN[:, :64]
    steps = blow_up.clock_steps(blow_up.IN_THE_CLOCK.study("float64"), drawn)
    assert steps.shape == (64,)
    assert np.all((steps >= 4) & (steps < 100))
    assert blow_up.points(blow_up.LAW.study("float64")) > blow_up.points(blow_up.LAW.study("float32")) >= 4


@pytest.mark.slow
@pytest.mark.skipif(compiler() is None, reason="no C compiler")
@pytest.mark.parametrize(("precision", "expected"), [("float32", 2e-5), ("float64", 1e-9)])
def test_c_by_hand(precision, expected):
    peer = SimdLaw(blow_up.LAW, DRAWN, precision, blow_up.LAW.study(precision).work, 2)
    found = peer.answers()
    assert found.dtype == precision
    assert found.shape == (len(blow_up.LAW.levels), peer.lanes)
    assert worst_error(found, blow_up.dates(DRAWN.astype(precision))) < expected


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "tolerance", "expected"), [("float32", 1e-5, 5e-5), ("float64", 1e-10, 2e-9)])
def test_numba(precision, tolerance, expected):
    law = pytest.importorskip("benchmarks.peers.numba_laws", exc_type=ModuleNotFoundError).NumbaLaw
    found = law(blow_up.LAW, DRAWN[:, :64].astype(precision), "Tsit5", tolerance).run()
    assert worst_error(found, blow_up.dates(DRAWN.astype(precision))) < expected


@pytest.mark.parametrize("peer", [ScipyInTime, ScipyLaw])
def test_scipy(peer):
    solver = peer(blow_up.LAW, DRAWN[:, :8], "DOP853", 1e-11)
    assert worst_error(solver.run(), TRUTH) < 1e-9
    assert 5 < solver.steps() < 500


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "tolerance", "expected"), [("float32", 1e-6, 5e-3), ("float64", 1e-10, 2e-9)])
def test_diffrax(precision, tolerance, expected):
    in_time = pytest.importorskip("benchmarks.peers.diffrax_in_time", exc_type=ModuleNotFoundError).DiffraxInTime
    drawn = DRAWN.astype(precision)
    peer = in_time(blow_up.LAW, drawn, jax.devices()[:1], "Tsit5", tolerance, 256)
    found = peer.answers()
    assert found.dtype == precision
    assert worst_error(found, blow_up.dates(drawn)) < expected
    # More than 20 doublings take over software: steps shrink towards the blow-up.
    assert 20 < peer.steps() < 500
