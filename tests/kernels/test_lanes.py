"""How many trajectories are solved at once: as many as fit, and a power of two."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.laws import LAWS
from kernels.alike import StepCount
from kernels.lanes import CPU_LANES, solved_alike, sub_block
from kernels.platform import made_for
from kernels.study import AUDIT_STRIDE, Study


def stepped(most: int, weights: tuple[float, ...] = ()) -> Study:
    """A study whose steps were counted."""
    return replace(LAWS[3].study("float32"), counted=StepCount(most, weights))


@made_for("cpu")
def test_the_more_rows_a_trajectory_has_the_fewer_are_solved_at_once():
    lanes = [sub_block(stepped(steps)) for steps in (16, 32, 64, 10_000)]
    assert lanes == [1024, 512, 256, AUDIT_STRIDE]
    assert max(lanes) <= CPU_LANES


@made_for("cpu")
def test_rows_of_a_quadrature_stay_in_the_first_cache():
    assert [sub_block(LAWS[0].study(precision)) for precision in ("float32", "float64")] == [1024, 512]


@pytest.mark.parametrize("platform", ["cpu", "gpu"])
def test_each_gradient_is_as_many_rows_again(platform):
    study = stepped(16 if platform == "cpu" else 4096)
    along = replace(study, outcomes=replace(study.outcomes, gradients=("returns", "parallel_exponent", "reaction_gain")))
    with made_for(platform):
        assert sub_block(study) == 4 * sub_block(along)


def test_only_a_processor_solves_like_with_like():
    study = stepped(64, (1.0,))
    with made_for("cpu"):
        assert solved_alike(study) == 256
        assert solved_alike(stepped(64)) == 0
    with made_for("gpu"):
        assert solved_alike(study) == 0
