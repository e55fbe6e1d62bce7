"""The tile program: the same bits however it is cut, sums that are those of the draws, and an audit that finds errors."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np
import pytest

from benchmarks.laws import LAWS, NOISY
from kernels import compiler, models, program
from kernels.alike import StepCount
from kernels.outcomes import Outcomes, Window
from kernels.program import Keep, TileProgram, TileShape
from kernels.sampling import Design, LogUniform, seed_key
from kernels.solvers.recursion import RecursionSolution
from kernels.study import Study
from kernels.tally import Tally

BLOCK = 4096
KEY = seed_key(7)
WINDOWS = (Window("3y_in_12m", 12, speedup=3, rule="published"), Window("10y_in_4m", 4, speedup=30, rule="published"))
DISTRIBUTIONS = (
    ("initial_speedup", LogUniform(2, 32)),
    ("initial_returns_to_software_rnd", LogUniform(0.4, 3.6)),
    ("parallel_labour_exponent", LogUniform(0.15, 0.6)),
)


def study(block: int = BLOCK) -> Study:
    """Davidson & Houlden with the distance to the limits as an axis, so that everything that a program does is there."""
    model = models.get("davidson_houlden_2025")
    options = model.resolve_options({})
    names = {name for name, _ in DISTRIBUTIONS} | {"distance_to_effective_limits", "gradual_boost_max"}
    fixed = {name: float(value) for name, value in model.defaults(options).items() if name not in names}
    bounds = {name: (value, value) for name, value in fixed.items()} | {name: d.support for name, d in DISTRIBUTIONS}
    bounds |= {"distance_to_effective_limits": (6.0, 9.0), "gradual_boost_max": (2.0, 32.0)}
    return Study(
        model=model,
        options=options,
        design=Design("sobol", 16, block, DISTRIBUTIONS),
        fixed=fixed,
        follows={"gradual_boost_max": "initial_speedup"},
        axes=("distance_to_effective_limits",),
        bounds=bounds,
        outcomes=Outcomes(windows=WINDOWS, doublings=(8.0, 24.0), years_of_progress=(12.0,)),
        precision="float32",
        tolerance=1e-4,
        bins_per_octave=32,
    )


CELLS = np.array([[6.0], [7.5], [9.0]])


@pytest.fixture(scope="module")
def whole() -> dict[str, np.ndarray]:
    """Three cells × three blocks, the last one ragged, in one tile."""
    compiled = TileProgram(study(), TileShape(3, 3), Keep(draws=True))
    return {name: np.asarray(value) for name, value in compiled(CELLS, 0, 3, 2 * BLOCK + 1000, KEY).items()}


def same(first: np.ndarray, second: np.ndarray) -> bool:
    return np.array_equal(first, second, equal_nan=first.dtype.kind == "f")


@pytest.mark.parametrize("lanes", [256, pytest.param(4096, marks=pytest.mark.soak)])
@pytest.mark.slow
def test_sub_blocks_change_no_bit(whole, lanes):
    compiled = TileProgram(study(), TileShape(3, 3), Keep(draws=True), lanes=lanes)
    again = compiled(CELLS, 0, 3, 2 * BLOCK + 1000, KEY)
    held = 2 * BLOCK + 1000
    for name, value in whole.items():
        other = np.asarray(again[name])
        if name.startswith("outcome/"):
            # Beyond the extent lies what a last sub-block computed without being asked.
            value, other = value[:, :held], other[:, :held]
        assert same(value, other), name


@pytest.mark.slow
@pytest.mark.parametrize("law", [LAWS[0], pytest.param(NOISY, marks=pytest.mark.soak)], ids=["quadrature", "noise"])
def test_lanes_that_are_solved_in_turn_change_no_bit(without_audit, law):
    """Some at a time, more than one group of them and a ragged last one, and all at once."""
    of_law = law.study("float32")
    of_law = dataclasses.replace(of_law, design=dataclasses.replace(of_law.design, block=2 * BLOCK))
    found = []
    for lanes in (256, 2 * BLOCK):
        compiled = TileProgram(of_law, TileShape(1, 1), Keep(draws=True), lanes=lanes)
        assert compiled.solved_at_once == lanes
        assert not compiled.solves_alike
        found.append(compiled(np.zeros((1, 0)), 0, 1, BLOCK + 1000, KEY))
    for name, values in found[0].items():
        # Of lanes that no sweep has there is nothing to compare.
        some = slice(BLOCK + 1000) if "outcome/" in name or "parameter/" in name else slice(None)
        np.testing.assert_array_equal(np.asarray(values)[..., some], np.asarray(found[1][name])[..., some], err_msg=name)


@pytest.mark.parametrize(("blocks", "most", "together"), [pytest.param(4, 2, 2, marks=pytest.mark.soak), (3, 4, 3)])
@pytest.mark.slow
def test_blocks_that_are_solved_at_once_change_no_bit(whole, blocks, most, together, monkeypatch):
    """As accelerators have it: with room for a block that the tile does not have, and the last of the others in part; and an odd tile."""
    monkeypatch.setattr(Tally, "columns", property(lambda tally: tally.study.design.replicates))
    held, wide = 2 * BLOCK + 1000, dataclasses.replace(Keep(draws=True), times=(6.0, 24.0))
    # In the order of the draws.
    drawn = dataclasses.replace(study(), counted=StepCount(study().budget.steps))
    compiled = TileProgram(drawn, TileShape(3, blocks), wide, lanes=most * BLOCK)
    assert compiled.together == together
    again = compiled(CELLS, 0, 3, held, KEY)
    alone = TileProgram(study(), TileShape(3, 3), wide)(CELLS, 0, 3, held, KEY)
    for name, value in {**whole, "trajectory": np.asarray(alone["trajectory"])}.items():
        other = np.asarray(again[name])
        if name.startswith(("outcome/", "parameter/")):
            value, other = value[..., :held], other[..., :held]
        elif name == "trajectory":
            value, other = value[..., : -(-held // 256)], other[..., : -(-held // 256)]
        elif not name.startswith("histogram/"):
            other = other[:, :3]
        assert same(value, other), name
    assert not any(np.asarray(again[name])[:, 3:].any() for name in ("valid", "failed", "true", "finite", "sum", "audited", "error"))


@pytest.mark.slow
def test_tiles_change_no_bit(whole):
    compiled = TileProgram(study(), TileShape(1, 1), Keep(draws=True))
    histograms = {name: np.zeros_like(value) for name, value in whole.items() if name.startswith("histogram/")}
    for cell in range(3):
        for block in range(3):
            tile = {name: np.asarray(v) for name, v in compiled(CELLS[cell : cell + 1], block, 1, 2 * BLOCK + 1000, KEY).items()}
            draws = min(BLOCK, 2 * BLOCK + 1000 - block * BLOCK)
            for name, value in whole.items():
                if name in histograms:
                    histograms[name][cell] += tile[name][0]
                elif name.startswith("parameter/"):
                    assert same(value[block * BLOCK :][:draws], tile[name][:draws]), name
                elif name.startswith("outcome/"):
                    assert same(value[cell, block * BLOCK :][:draws], tile[name][0, :draws]), name
                else:
                    assert same(value[cell, block], tile[name][0, 0]), name
    for name, value in histograms.items():
        assert same(whole[name], value), name


@pytest.mark.skipif(len(jax.devices()) < 2, reason="one device")
@pytest.mark.slow
def test_devices_change_no_bit(whole):
    compiled = TileProgram(study(), TileShape(3, 3), Keep(draws=True))
    again = compiled(CELLS, 0, 3, 2 * BLOCK + 1000, KEY, jax.devices()[1])
    assert all(same(value, np.asarray(again[name])) for name, value in whole.items())


@pytest.mark.slow
def test_the_width_of_vectors_changes_no_bit(whole, monkeypatch):
    monkeypatch.setattr(compiler, "compiler_options", lambda: {"xla_cpu_prefer_vector_width": "256"})
    again = TileProgram(study(), TileShape(3, 3), Keep(draws=True))(CELLS, 0, 3, 2 * BLOCK + 1000, KEY)
    assert all(same(value, np.asarray(again[name])) for name, value in whole.items())


@pytest.mark.slow
def test_more_draws_leave_the_earlier_ones_as_they_are(whole):
    more = TileProgram(study(), TileShape(3, 3), Keep(draws=True))(CELLS, 0, 3, 3 * BLOCK, KEY)
    for name, value in whole.items():
        if name.startswith("parameter/"):
            assert same(value[: 2 * BLOCK + 1000], np.asarray(more[name])[: 2 * BLOCK + 1000])
        if name.startswith("outcome/"):
            assert same(value[:, : 2 * BLOCK + 1000], np.asarray(more[name])[:, : 2 * BLOCK + 1000])


@pytest.mark.slow
def test_sums_are_those_of_the_draws(whole):
    held, setting = 2 * BLOCK + 1000, study()
    assert whole["valid"].sum() == 3 * held
    assert whole["failed"].sum() == whole["cut_off"].sum() == 0
    for index, label in enumerate(setting.flags):
        assert whole["true"][:, :, index].sum() == whole[f"outcome/{label.name}"][:, :held].sum()
    for index, label in enumerate(setting.numbers):
        values = whole[f"outcome/{label.name}"][:, :held]
        finite = np.isfinite(values)
        assert whole["finite"][:, :, index].sum() == finite.sum()
        assert whole["sum"][:, :, index].sum(dtype=float) == pytest.approx(values[finite].sum(dtype=float), rel=1e-6)
        assert whole["least"][:, :, index].min() == values[finite].min()
        assert whole["greatest"][:, :, index].max() == values[finite].max()
        edges = setting.bins(label).edges
        expected = np.bincount(np.searchsorted(edges, values[0], side="right") - 1, minlength=len(edges))
        assert np.array_equal(whole[f"histogram/{label.name}"][0].sum(0), expected)


@pytest.mark.slow
def test_draws_do_not_depend_on_the_cell(whole):
    alone = TileProgram(study(), TileShape(1, 1), Keep(draws=True))(CELLS[2:], 0, 1, BLOCK, KEY)
    assert same(whole["parameter/initial_speedup"][:BLOCK], np.asarray(alone["parameter/initial_speedup"]))


@pytest.mark.slow
def test_the_audit_covers_one_draw_in_256_of_all_replicates(whole):
    assert whole["audited"].tolist() == [[16, 16, 4]] * 3
    places = program._audited(65536)
    assert len(places) == 256
    assert set(places // 256) == set(range(256))
    assert set(places % 16) == set(range(16))
    assert 0 < whole["error"].max() < 5e-6
    assert whole["differ"].sum() == 0


@pytest.mark.slow
def test_the_audit_finds_a_planted_error(monkeypatch):
    dates = RecursionSolution.dates

    def wrong(self, levels):
        found = dates(self, levels)
        return found * np.float32(1.001) if found.dtype == np.float32 else found

    monkeypatch.setattr(RecursionSolution, "dates", wrong)
    found = TileProgram(study(), TileShape(1, 1))(CELLS[:1], 0, 1, BLOCK, KEY)
    assert np.asarray(found["error"])[0, 0, 0] == pytest.approx(1e-3, rel=0.05)
    assert np.asarray(found["error"])[0, 0, 2] < 1e-5


@pytest.mark.slow
def test_a_trajectory_that_turns_nan_is_counted_as_failed(monkeypatch):
    dates = RecursionSolution.dates
    monkeypatch.setattr(
        RecursionSolution,
        "dates",
        lambda self, levels: jax.numpy.where(self.last_level > 60, np.nan, dates(self, levels)).astype(self.horizon.dtype),
    )
    found = {name: np.asarray(value) for name, value in TileProgram(study(), TileShape(1, 1))(CELLS[2:], 0, 1, BLOCK, KEY).items()}
    assert 0 < found["failed"].sum() < BLOCK
    assert found["failed"].sum() + found["valid"].sum() == BLOCK
    assert found["finite"].max() <= found["valid"].max()


@pytest.mark.slow
def test_kept_paths_are_the_levels_of_the_draws():
    setting = dataclasses.replace(study(), outcomes=Outcomes(times=(12.0, 24.0)))
    found = TileProgram(setting, TileShape(1, 2), Keep(draws=True, times=(0.0, 12.0, 24.0), every=64))(CELLS[:1], 0, 2, 6000, KEY)
    paths = np.asarray(found["trajectory"])[0]
    assert paths.shape == (3, 2 * BLOCK // 64)
    kept = -(-6000 // 64)
    assert np.all(paths[0, :kept] == 0)
    for row, month in ((1, 12), (2, 24)):
        assert np.array_equal(paths[row, :kept], np.asarray(found[f"outcome/doublings_at_{month}_months"])[0, :6000:64])
    assert np.isnan(paths[:, kept:]).all()
