"""How many trajectories are solved at once: as many as fit, and a power of two."""

from __future__ import annotations

from dataclasses import replace

import jax
import pytest

from benchmarks.laws import LAWS
from kernels.alike import StepCount
from kernels.lanes import CPU_LANES, solved_alike, sub_block
from kernels.study import AUDIT_STRIDE, Study


def stepped(most: int, weights: tuple[float, ...] = ()) -> Study:
    """A study whose steps were counted."""
    return replace(LAWS[3].study("float32"), counted=StepCount(most, weights))


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="an accelerator")
def test_the_more_rows_a_trajectory_has_the_fewer_are_solved_at_once():
    lanes = [sub_block(stepped(steps)) for steps in (16, 32, 64, 10_000)]
    assert lanes == [1024, 512, 256, AUDIT_STRIDE]
    assert max(lanes) <= CPU_LANES


@pytest.mark.parametrize("platform", ["cpu", "cuda"])
def test_each_gradient_is_as_many_rows_again(monkeypatch, platform):
    monkeypatch.setattr(jax, "default_backend", lambda: platform)
    study = stepped(16 if platform == "cpu" else 4096)
    along = replace(study, outcomes=replace(study.outcomes, gradients=("returns", "parallel_exponent", "reaction_gain")))
    assert sub_block(study) == 4 * sub_block(along)


def test_only_a_processor_solves_like_with_like(monkeypatch):
    study = stepped(64, (1.0,))
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    assert solved_alike(study) == 256
    assert solved_alike(stepped(64)) == 0
    monkeypatch.setattr(jax, "default_backend", lambda: "cuda")
    assert solved_alike(study) == 0
