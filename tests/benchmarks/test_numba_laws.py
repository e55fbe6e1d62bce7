"""The numba peer of the growth laws answers as SciPy's DOP853 at 1e-13 does, law by law, and however many share the work."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.laws import LAWS
from benchmarks.peers.scipy_laws import reference
from benchmarks.suites.laws import worst_error

peer = pytest.importorskip("benchmarks.peers.numba_laws", exc_type=ModuleNotFoundError)


@pytest.mark.slow
@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
@pytest.mark.parametrize("solver", ["Tsit5", "DOP853"])
@pytest.mark.parametrize(("precision", "tolerance", "expected"), [("float32", 1e-6, 2e-4), ("float64", 1e-11, 1e-9)])
def test_answers(law, solver, precision, tolerance, expected):
    drawn = law.draws(6).astype(precision)
    found = peer.NumbaLaw(law, drawn, solver, tolerance).run()
    assert found.dtype == precision
    assert worst_error(found, reference(law, drawn)) < expected


@pytest.mark.slow
def test_a_tighter_tolerance_gives_a_smaller_error():
    law = LAWS[0]
    drawn = law.draws(16)
    truth = reference(law, drawn)
    errors = [worst_error(peer.NumbaLaw(law, drawn, "Tsit5", tolerance).run(), truth) for tolerance in (1e-4, 1e-7, 1e-10)]
    assert errors[0] > 10 * errors[1] > 100 * errors[2] > 0


@pytest.mark.slow
def test_shares_do_not_matter(monkeypatch):
    law = LAWS[0]
    drawn = law.draws(101)
    found = []
    for shares in (1, 2, 3):
        monkeypatch.setattr(peer, "cores", lambda shares=shares: shares)
        found.append(peer.NumbaLaw(law, drawn, "Tsit5", 1e-9).run())
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


@pytest.mark.slow
def test_what_is_beyond_the_horizon_is_never_reached():
    law = replace(LAWS[0], fixed={"horizon": 12.0})
    found = peer.NumbaLaw(law, law.draws(64), "Tsit5", 1e-6).run()
    assert np.isinf(found[-1]).any()
    assert found[np.isfinite(found)].max() <= 12.0
