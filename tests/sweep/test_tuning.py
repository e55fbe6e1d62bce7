"""Self-tuning: no candidate changes a bit, and what was found is kept."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from kernels.alike import StepCount
from kernels.compiler import compiler_options
from kernels.program import TileProgram
from kernels.sampling import seed_key
from sweep.execute import tuning
from sweep.execute.tile import program
from sweep.execute.tuning import candidates, chosen, tuned
from sweep.plan import make_plan
from tests.sweep.studies import plain

cpu = pytest.mark.skipif(jax.default_backend() != "cpu", reason="an accelerator, which is not tuned for")


@cpu
@pytest.mark.slow
def test_no_candidate_and_no_width_of_vectors_changes_a_bit(monkeypatch, without_audit):
    plan = make_plan(plain(**{"sweep.block": 4096, "sweep.draws": 9000, "store.draws": "outcomes"}), 1)
    default = program(plan)
    assert candidates(default) == [256, 128, 512]
    programs = {lanes: program(plan, lanes) for lanes in (*candidates(default)[1:], 4096)}
    options = compiler_options()
    for width in ("128", "512"):
        monkeypatch.setattr("kernels.compiler.compiler_options", lambda width=width: options | {"xla_cpu_prefer_vector_width": width})
        programs[width] = TileProgram(plan.study, plan.policy.shape(), plan.keep())
    (tile, *_) = plan.tiles()
    arguments = (plan.cell_values(tile.box), tile.first_block, tile.blocks, plan.spec.draws, seed_key(plan.spec.seed), jax.devices()[0])
    expected = {name: np.asarray(array) for name, array in default(*arguments).items()}
    assert expected["valid"].sum() == 4096 * tile.blocks
    for name, compiled in programs.items():
        found = {key: np.asarray(array) for key, array in compiled(*arguments).items()}
        assert found.keys() == expected.keys()
        assert [key for key in expected if found[key].tobytes() != expected[key].tobytes()] == [], name


@pytest.fixture
def long(monkeypatch, tmp_path):
    """A study as if it took long, its plan and its program, and a cache of its own. Programs are neither compiled nor run."""
    monkeypatch.setattr(tuning, "_LEAST_ESTIMATED_SECONDS", 0.0)
    monkeypatch.setattr(tuning, "_LEAST_SECONDS", 0.0)
    monkeypatch.setattr(tuning, "_SHARE", float("inf"))
    monkeypatch.setattr(tuning, "use_compilation_cache", lambda: tmp_path)
    monkeypatch.setattr(TileProgram, "compile", lambda self, device: None)
    monkeypatch.setattr(TileProgram, "__call__", lambda self, *arguments: {})
    plan = make_plan(plain(**{"sweep.block": 4096, "sweep.draws": 4096}), 1)
    return plan, program(plan)


@pytest.fixture
def measured(monkeypatch):
    """What was timed, and has 512 draws at once win."""
    timed = []

    def best(runs):
        timed.append(list(runs))
        return (512, 1.25) if 512 in runs else (next(iter(runs)), 1.0)

    monkeypatch.setattr(tuning, "fastest", best)
    return timed


def run(plan, default, told=None):
    return tuned(default, plan, list(plan.chains()), jax.devices()[:1], (told if told is not None else []).append)


@cpu
def test_what_is_found_is_told_once_and_kept_for_the_next_run(long, measured, tmp_path):
    plan, default = long
    assert default.solved_at_once == 256
    told = []
    assert run(plan, default, told).solved_at_once == 512
    assert told == ["512 draws are solved at once: 1.25 times as fast here as 256"]
    assert run(plan, default, told).solved_at_once == 512
    assert measured == [[256, 128, 512]]
    assert len(told) == 1
    # Dask's workers take what is kept.
    assert chosen(default, plan, jax.devices()[0]).solved_at_once == 512
    # Another seed is the same program; another outcome is not.
    other = make_plan(plan.spec.replace(seed=7), 1)
    assert run(other, default).solved_at_once == 512
    assert len(measured) == 1
    other = make_plan(plan.spec.replace({"outcomes.doublings": [3, 4]}), 1)
    assert chosen(program(other), other, jax.devices()[0]) is None


@pytest.mark.slow
@cpu
@pytest.mark.parametrize(
    "content", ["", "{", "[]", "3", '{"lanes": 3}', '{"lanes": "512"}', '{"lanes": 65536}', '{"lanes": [512]}', "\x00"]
)
def test_what_cannot_be_read_is_measured_again(long, measured, tmp_path, content):
    plan, default = long
    run(plan, default)
    (kept,) = tmp_path.iterdir()
    kept.write_text(content)
    assert run(plan, default).solved_at_once == 512
    assert len(measured) == 2
    assert run(plan, default).solved_at_once == 512
    assert len(measured) == 2


@cpu
def test_a_cache_that_cannot_be_written_is_none(long, measured, tmp_path, monkeypatch):
    plan, default = long
    monkeypatch.setattr(tuning, "use_compilation_cache", lambda: tmp_path / "not there")
    assert run(plan, default).solved_at_once == 512


@cpu
def test_short_runs_and_those_that_say_so_are_not_tuned_for(long, measured, tmp_path, monkeypatch):
    plan, default = long
    off = make_plan(plan.spec.replace({"run.tune": False}), 1)
    assert run(off, default) is default
    for name in ("_LEAST_SECONDS", "_LEAST_ESTIMATED_SECONDS"):
        with monkeypatch.context() as patch:
            patch.setattr(tuning, name, 600.0)
            assert run(plan, default) is default
    # Where there is no time to compile any candidate, a longer run may still find it.
    monkeypatch.setattr(tuning, "_SHARE", 0.0)
    assert run(plan, default) is default
    assert measured == []
    assert list(tmp_path.iterdir()) == []


@cpu
def test_a_block_too_small_to_be_cut_is_left_alone(long, measured):
    # In the order of the draws: what is solved alike may be cut further.
    plan = make_plan(plain(), 1, counted=StepCount(1))
    default = program(plan)
    assert candidates(default) == [256]
    assert run(plan, default) is default
    assert measured == []
