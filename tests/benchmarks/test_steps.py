"""The steps of the tile program that are timed: each does what the whole does as far as it goes; figures are judged as asked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.bare import Tiles, devices
from benchmarks.steps import _Drawn, _parameters, _Unaudited, cases, figures, nanoseconds
from benchmarks.timing import spread
from kernels.outcomes import Outcomes
from kernels.program import Keep
from kernels.sampling import seed_key


@pytest.mark.slow
def test_draws_without_statistics_and_the_program_without_its_audit_are_those_of_the_whole():
    on, case = devices()[:1], cases()[0]
    study = replace(case.study, outcomes=Outcomes(windows=case.study.outcomes.windows))
    whole, part = Tiles(study, 1, on), Tiles(study, 1, on, Keep(histograms=False), _Unaudited)
    (expected,), (found,) = whole.run(), part.run()
    assert int(expected["audited"].sum()) == 256
    assert int(found["audited"].sum()) == 0
    assert np.array_equal(found["true"], expected["true"])
    drawn = _Drawn(study, study.design.block, on)
    assert drawn.lanes == study.design.block
    # (sub-blocks, flags, draws).
    (outcomes,) = drawn.run()
    assert np.array_equal(np.asarray(outcomes).sum((0, 2)), np.asarray(expected["true"]).sum((0, 1, 3)))


@pytest.mark.slow
def test_the_bare_kernel_is_given_the_draws_of_the_program():
    study = cases()[0].study
    given = _parameters(study, 512)
    expected = study.design.parameters(seed_key(1), np.arange(512, dtype=np.uint32), study.dtype)
    assert np.allclose(given, np.stack([expected[name] for name, _ in study.design.distributions]), rtol=1e-6)


def test_figures_are_judged_as_they_are_asked():
    demo, limit, _ = cases()
    on = devices()[:1]

    def found(whole, bare):
        return {"whole": spread([whole]), "bare": spread([bare]), "an outcome": spread([3e-9])}

    assert [row["reached"] for row in figures(demo, found(1.14, 0.89), on)] == [True, False]
    assert [row["reached"] for row in figures(demo, found(1.16, 0.91), on)] == [False, True]
    rows = list(figures(limit, found(4.0, 0.91), on))
    assert [row["reached"] for row in rows] == [None, True]
    assert rows[0]["measured"] == "3.0 (3.0 to 3.0) ns"


def test_seconds_on_all_cores_are_nanoseconds_on_one():
    assert nanoseconds(spread([1e-9, 2e-9, 4e-9]), 2) == "4.0 (2.0 to 8.0)"
