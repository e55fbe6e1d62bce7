"""Plans: every draw of every cell in one tile, tiles of the size that is asked for, and honest costs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sweep
from kernels.lanes import sub_block
from kernels.platform import made_for
from kernels.program import TileProgram
from sweep.plan import TilePolicy, histogram_dtype, make_plan
from sweep.shipped import configs_directory
from tests.sweep.studies import contents, plain, toy


@settings(deadline=None, max_examples=30)
@given(
    draws=st.integers(1, 5000),
    first=st.integers(2, 7),
    second=st.integers(2, 5),
    tile=st.none() | st.integers(1, 50_000),
    workers=st.integers(1, 9),
)
def test_each_draw_of_each_cell_is_in_one_tile(draws, first, second, tile, workers):
    spec = toy(
        draws=draws,
        axes__paper_growth_factor={"linear": [1.5, 3], "points": first},
        axes__papers_for_first_doubling={"linear": [1, 4], "points": second},
        run__tile=tile,
    )
    plan = make_plan(spec, workers)
    times_held = np.zeros((*plan.axis_lengths, plan.blocks), int)
    drawn = 0
    names = set()
    for made in plan.tiles():
        box = tuple(slice(start, stop) for start, stop in made.box)
        times_held[(*box, slice(made.first_block, made.first_block + made.blocks))] += 1
        assert made.first_block // plan.policy.blocks == (made.first_block + made.blocks - 1) // plan.policy.blocks
        assert made.draws % spec.block == 0 or made.blocks == 1
        assert made.cells <= plan.policy.shape().cells
        assert made.blocks <= plan.policy.shape().blocks
        assert math.ceil(made.draws / spec.block) == made.blocks
        if tile is not None:
            assert made.cells * made.draws <= max(tile, made.draws)
            assert made.blocks == 1 or made.blocks * spec.block <= tile
        drawn += made.cells * made.draws
        names.add(made.name)
    assert (times_held == 1).all()
    assert drawn == plan.trajectories == first * second * draws
    assert len(names) == len(list(plan.tiles()))


def test_names_and_cells_of_tiles():
    plan = make_plan(toy(), 1, TilePolicy((2, 1), 4))
    tiles = list(plan.tiles())
    assert [tile.name for tile in tiles] == [f"0:2,{start}:{start + 1}/{column}" for start in range(3) for column in range(3)]
    assert [tile.draws for tile in tiles[:3]] == [1024, 256, 120]
    # In the order of the model, not of the config.
    assert plan.axis_lengths == (2, 3)
    assert plan.cells == 6


@given(
    extents=st.lists(st.integers(1, 6000), min_size=1, max_size=5).map(sorted),
    blocks=st.sampled_from([1, 2, 4, 8]),
)
def test_what_is_finished_stays_when_draws_are_added(extents, blocks):
    """Full blocks belong to the same tile for ever, and each to one; only the part of a block is computed again."""
    held: dict[tuple[int, int], str] = {}
    for index, draws in enumerate(extents):
        plan = make_plan(plain(draws=draws), 1, TilePolicy((), blocks, tuple(extents[:index])))
        tiles = {tile.name: tile for tile in plan.tiles()}
        for (first, count), name in held.items():
            assert (tiles[name].first_block, tiles[name].draws) == (first, count)
        covered = [block for tile in tiles.values() for block in range(tile.first_block, tile.first_block + tile.blocks)]
        assert covered == list(range(plan.blocks))
        assert sum(tile.draws for tile in tiles.values()) == draws
        held = {(tile.first_block, tile.draws): tile.name for tile in tiles.values() if tile.draws % 256 == 0}
        for chain in plan.chains():
            # A chain is all that lies in one write unit.
            assert len({tile.first_block // blocks for tile in chain}) == 1
        assert len({chain[0].first_block // blocks for chain in plan.chains()}) == len(list(plan.chains()))


def test_values_of_the_cells_of_a_box():
    plan = make_plan(toy(), 1)
    axes = [axis.values for axis in plan.spec.axes.values()]
    whole = plan.cell_values(tuple((0, len(values)) for values in axes))
    assert whole.dtype == np.float64
    assert whole.tolist() == [[first, second] for first in axes[0] for second in axes[1]]
    assert plan.cell_values(((1, 2), (0, 2))).tolist() == [[axes[0][1], second] for second in axes[1][:2]]
    assert make_plan(plain(), 1).cell_values(()).shape == (1, 0)


def test_a_store_keeps_its_policy():
    policy = TilePolicy((1, 3), 8)
    plan = make_plan(toy(draws=100_000), workers=7, policy=policy)
    assert plan.policy == policy


def test_more_workers_get_more_tiles():
    def tiles(workers):
        return len(list(make_plan(plain(draws=256 * 64, run__tile=None), workers).tiles()))

    assert tiles(1) >= 2
    assert tiles(8) >= 16
    assert make_plan(plain(draws=256 * 64), 1).estimated_seconds(4) == pytest.approx(
        make_plan(plain(draws=256 * 64), 1).estimated_seconds(1) / 4
    )


@pytest.mark.parametrize("draws", [100, 256 * 3, 256 * 37 + 1, 256 * 1000])
@pytest.mark.parametrize("tile", [None, 256 * 7, 256 * 48])
def test_tiles_of_an_accelerator_are_solved_in_as_many_blocks_at_once_as_fit(draws, tile):
    plan = make_plan(plain(draws=draws, run__tile=tile), 1)
    with made_for("gpu"):
        fitting = sub_block(plan.study) // plan.study.design.block
        compiled = TileProgram(plan.study, plan.policy.shape(), plan.keep())
    assert fitting > 1
    assert compiled.together == min(plan.policy.blocks, fitting)


@pytest.mark.parametrize("draws", ["none", "outcomes", "trajectories"])
def test_what_is_kept(draws):
    spec = toy(store__draws=draws)
    keep = make_plan(spec, 1).keep()
    assert keep.draws == (draws != "none")
    assert keep.times == ((0, 6, 12, 18, 24) if draws == "trajectories" else ())
    assert keep.every == 64
    assert keep.histograms
    assert not make_plan(spec.replace({"statistics.histogram": False, "statistics.quantiles": []}), 1).keep().histograms


@pytest.mark.parametrize(("cells", "draws"), [(1, 2**32), (2048, 2**20), (60_000, 16)])
def test_a_tile_fits_in_memory(cells, draws):
    axes = {"paper_growth_factor": {"linear": [1.5, 3], "points": cells}} if cells > 1 else None
    plan = make_plan(
        plain(draws=draws, axes=axes, run__tile=None, sweep__block=65536, sweep__replicates=16, statistics__bins_per_octave=32), 2
    )
    assert plan.tile_bytes() <= 256 * 2**20
    first = next(plan.tiles())
    assert first.draws == min(draws, plan.policy.blocks * 65536)
    assert plan.trajectories == cells * draws


def test_disk_is_what_the_plan_says(toy_store):
    plan = make_plan(toy(), 1)
    sizes: dict[str, int] = {}
    for name, values in contents(toy_store).items():
        if values.dtype.kind != "O" and values.dtype.kind != "T":
            part = name.split("/")[1]
            sizes[part] = sizes.get(part, 0) + values.nbytes
    planned = plan.disk_bytes()
    assert planned["draws"] == sizes["draws"]
    assert planned["trajectories"] == pytest.approx(sizes["trajectories"], rel=0.1)
    histograms = 0
    for label in plan.study.numbers:
        bins = plan.study.bins(label).count
        histograms += 6 * bins * (8 + len(plan.columns) * 4 * histogram_dtype(plan).itemsize)
    assert planned["histograms"] == histograms
    held = sum(values.nbytes for name, values in contents(toy_store).items() if name.startswith("/partials/") and "histogram" not in name)
    assert planned["sums of blocks"] == pytest.approx(held, rel=0.35)


def test_counts_of_a_tile_fit_their_type():
    for blocks, kind in ((1, np.uint8), (4, np.uint16), (2**12, np.uint32)):
        assert histogram_dtype(make_plan(plain(), 1, TilePolicy((), blocks))) == kind
        assert blocks * 256 // 4 <= np.iinfo(kind).max


def test_tiles_are_counted_without_making_them():
    for spec in (toy(), toy(draws=100), plain(draws=256 * 37 + 1)):
        plan = make_plan(spec, 1)
        assert plan.tile_count == len(list(plan.tiles()))
    many = {name: {"linear": [1.5, 3], "points": 65536} for name in ("paper_growth_factor", "papers_for_first_doubling")}
    many["papers_per_agi_month"] = {"linear": [1, 2], "points": 65536}
    plan = make_plan(plain(axes=many, store__draws="none"), 1)
    assert plan.tile_count >= 65536**3 // plan.policy.shape().cells


def test_planning_runs_no_kernel(computed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = make_plan(sweep.load(configs_directory() / "phase_returns_ceiling.toml"), 2)
    assert plan.trajectories == 64 * 32 * 4096
    assert plan.disk_bytes()
    assert computed == []
    assert list(tmp_path.iterdir()) == []
