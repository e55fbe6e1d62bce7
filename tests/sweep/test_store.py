"""The store: whole chunks for each tile, nothing half made, nothing left out, and CRCs of what lies there."""

from __future__ import annotations

import json
import shutil
import socket
from typing import Any

import google_crc32c
import numpy as np
import pytest
import zarr

from sweep import ledger
from sweep.errors import SpecError
from sweep.places import Folder
from sweep.plan import TilePolicy, make_plan
from sweep.prepare import plan_of, prepared, same_sweep
from sweep.store import CubeStore
from tests.sweep.studies import contents, plain, receipts, toy

ATTRIBUTES = {"title": "small", "draws": 1400}
DONE = ("valid", "failed", "true", "finite", "sum", "least", "greatest", "error", "differ", "cut_off", "audited", "first_failed")


def create(path, plan):
    CubeStore.create(Folder(path), plan, ATTRIBUTES, lambda place: place.write("beside", b"text"))
    return CubeStore(Folder(path))


def made_up(plan, tile, seed=0, empty=False):
    """Arrays such as a tile gives back, with the shapes of its program."""
    study, keep, shape, spec = plan.study, plan.keep(), plan.policy.shape(), plan.spec
    flags, numbers, lead = len(study.flags), len(study.numbers), (shape.cells, shape.blocks)
    draws = shape.blocks * spec.block
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(("valid", "failed"), (*lead, spec.replicates))
    shapes |= dict.fromkeys(("cut_off", "audited", "first_failed"), lead)
    shapes |= {
        "true": (*lead, flags, spec.replicates),
        "finite": (*lead, numbers, spec.replicates),
        "sum": (*lead, numbers, spec.replicates),
    }
    shapes |= {"least": (*lead, numbers), "greatest": (*lead, numbers), "error": (*lead, numbers), "differ": (*lead, flags)}
    shapes |= {f"histogram/{label.name}": (shape.cells, spec.replicates, study.bins(label).count) for label in study.numbers}
    shapes |= {f"parameter/{name}": (draws,) for name, _ in study.design.distributions}
    shapes |= {f"outcome/{label.name}": (shape.cells, draws) for label in study.labels}
    shapes["trajectory"] = (shape.cells, len(keep.times), draws // keep.every)
    rng = np.random.default_rng([seed, tile.column, *(start for start, _ in tile.box)])
    return {
        name: np.full(size, np.nan if "/" in name and "hist" not in name else 0.0) if empty else rng.integers(0, 2, size)
        for name, size in shapes.items()
    }


@pytest.fixture
def plan():
    # Neither the cells nor the blocks are a multiple of a tile's.
    return make_plan(toy(), 1, TilePolicy((1, 2), 4))


@pytest.fixture
def store(tmp_path, plan):
    return create(tmp_path / "small.zarr", plan)


def test_a_store_is_made_at_once(tmp_path, plan):
    def begin(place):
        assert place.path.name != "small.zarr"
        assert not (tmp_path / "inner" / "small.zarr").exists()
        place.write("beside", b"text")

    assert CubeStore.create(Folder(tmp_path / "inner" / "small.zarr"), plan, ATTRIBUTES, begin)
    assert [path.name for path in (tmp_path / "inner").iterdir()] == ["small.zarr"]
    assert (tmp_path / "inner" / "small.zarr" / "beside").read_text() == "text"
    assert CubeStore(Folder(tmp_path / "inner" / "small.zarr")).attributes == ATTRIBUTES


def test_a_store_that_cannot_be_made_leaves_nothing(tmp_path, plan):
    def begin(place):
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        CubeStore.create(Folder(tmp_path / "small.zarr"), plan, ATTRIBUTES, begin)
    assert list(tmp_path.iterdir()) == []


def test_it_is_zarr_version_3(store):
    formats = {json.loads(file.read_text())["zarr_format"] for file in store.place.path.rglob("zarr.json")}
    assert formats == {3}


@pytest.mark.slow
def test_tiles_own_whole_chunks(store, plan):
    """No chunk is written by two chains of tiles, and each by one."""
    chains = {tile.name: number for number, chain in enumerate(plan.chains()) for tile in chain}
    writers: dict[str, set[int]] = {}
    for tile in plan.tiles():
        before = {file: file.stat().st_mtime_ns for file in store.place.path.rglob("c/**/*") if file.is_file()}
        store.write_tile(plan, tile, made_up(plan, tile))
        for file in store.place.path.rglob("c/**/*"):
            if file.is_file() and before.get(file) != file.stat().st_mtime_ns:
                writers.setdefault(str(file.relative_to(store.place.path)), set()).add(chains[tile.name])
    assert len(writers) > 100
    assert {name: found for name, found in writers.items() if len(found) != 1} == {}


@pytest.mark.slow
def test_what_is_written_is_what_the_tile_computed(store, plan):
    tiles = list(plan.tiles())
    assert any(tile.cells < plan.policy.shape().cells for tile in tiles)
    computed = {tile.name: made_up(plan, tile) for tile in tiles}
    crcs = {tile.name: store.write_tile(plan, tile, computed[tile.name]) for tile in tiles}
    held = contents(store.place.path)
    for tile in tiles:
        box = tuple(slice(start, stop) for start, stop in tile.box)
        sizes = tuple(stop - start for start, stop in tile.box)
        blocks = slice(tile.first_block, tile.first_block + tile.blocks)
        draws = slice(tile.first_block * 256, tile.first_block * 256 + tile.draws)
        arrays = {
            name: values[: tile.cells].reshape(*sizes, *values.shape[1:])
            for name, values in computed[tile.name].items()
            if "parameter" not in name
        }
        for name in DONE:
            np.testing.assert_array_equal(held[f"/partials/{name}"][(*box, blocks)], arrays[name][:, :, : tile.blocks])
        for label in plan.study.labels:
            there = held[f"/draws/{label.name}"][(*box, draws)]
            np.testing.assert_array_equal(there, arrays[f"outcome/{label.name}"][..., : tile.draws])
            assert crcs[tile.name][f"draws/{label.name}"] == google_crc32c.value(np.ascontiguousarray(there).tobytes())
        paths = held["/trajectories/doublings"][(*box, slice(None), slice(draws.start // 64, -(-draws.stop // 64)))]
        np.testing.assert_array_equal(paths, arrays["trajectory"][..., : -(-tile.draws // 64)])
        if tile.box[0][0] == tile.box[1][0] == 0:
            there = held["/draws/initial_agis"][draws]
            np.testing.assert_array_equal(there, computed[tile.name]["parameter/initial_agis"][: tile.draws])
    for label in plan.study.numbers:
        total = sum(
            values[f"histogram/{label.name}"][:1].reshape(plan.spec.replicates, -1)
            for name, values in computed.items()
            if name.startswith("0:1,0:2/")
        )
        np.testing.assert_array_equal(held[f"/partials/histogram_{label.name}"][0, 0], total)


def test_arrays_are_opened_once(store, plan, monkeypatch):
    opened, open_one = [], zarr.Group.__getitem__
    monkeypatch.setattr(zarr.Group, "__getitem__", lambda group, name: opened.append(name) or open_one(group, name))
    for tile in plan.tiles():
        store.write_tile(plan, tile, made_up(plan, tile))
    assert "partials/sum" in opened
    assert len(opened) == len(set(opened))


def test_draws_do_not_stay_in_memory_and_sums_do(store, plan, monkeypatch):
    given_back, settle = {}, Folder.settle

    def settled(place, names, release=False):
        given_back.update(dict.fromkeys(names, release))
        settle(place, names, release)

    monkeypatch.setattr(Folder, "settle", settled)
    tile = next(plan.tiles())
    arrays = made_up(plan, tile)
    store.write_tile(plan, tile, arrays)
    assert {name.split("/")[0] for name, release in given_back.items() if release} == {"draws", "trajectories"}
    assert {name.split("/")[0] for name, release in given_back.items() if not release} == {"partials"}
    # What is given back lies on the disk.
    label = plan.study.labels[-1].name
    written = zarr.open_array(store.place.path / "draws" / label)[0, 0, : tile.draws]
    np.testing.assert_array_equal(written, arrays[f"outcome/{label}"][0, : tile.draws])


@pytest.mark.slow
def test_empty_chunks_are_written(store, plan):
    for tile in plan.tiles():
        store.write_tile(plan, tile, made_up(plan, tile, empty=True))
    root = zarr.open_group(store.place.path, mode="r", use_consolidated=False)
    for path in ("partials/valid", "draws/date_of_doubling_3", "draws/initial_agis", "draws/explosion", "trajectories/doublings"):
        array: Any = root[path]
        assert array.nchunks_initialized == array.nchunks, path


def test_a_tile_can_be_written_again(store, plan):
    tile = next(plan.tiles())
    first = store.write_tile(plan, tile, made_up(plan, tile, seed=1))
    second = store.write_tile(plan, tile, made_up(plan, tile, seed=2))
    assert first != second
    assert store.write_tile(plan, tile, made_up(plan, tile, seed=1)) == first


@pytest.mark.slow
def test_growing_keeps_what_is_there(tmp_path):
    short = make_plan(toy(draws=700), 1, TilePolicy((2, 3), 2))
    store = create(tmp_path / "small.zarr", short)
    for tile in short.tiles():
        store.write_tile(short, tile, made_up(short, tile))
    before = contents(store.place.path)
    long = make_plan(toy(draws=3000), 1, short.policy)
    store.resize(long)
    after = contents(store.place.path)
    assert after["/draws/initial_agis"].shape == (3000,)
    assert after["/draws/date_of_doubling_3"].shape == (2, 3, 3000)
    assert after["/trajectories/doublings"].shape == (2, 3, 5, 47)
    assert after["/partials/valid"].shape == (2, 3, 12, 4)
    for name, values in before.items():
        same = tuple(slice(0, size) for size in values.shape)
        np.testing.assert_array_equal(after[name][same], values)
    for tile in long.tiles():
        store.write_tile(long, tile, made_up(long, tile))
    fresh = create(tmp_path / "fresh.zarr", long)
    for tile in long.tiles():
        fresh.write_tile(long, tile, made_up(long, tile))
    grown, made = contents(store.place.path), contents(fresh.place.path)
    assert grown.keys() == made.keys()
    for name, values in made.items():
        np.testing.assert_array_equal(grown[name], values)


def test_receipts_have_the_crcs_of_what_lies_there(plain_store):
    held = contents(plain_store)
    found = receipts(plain_store)
    for tile in make_plan(plain(), 1, TilePolicy((), 1)).tiles():
        crcs = found[tile.name]["crc"]
        assert set(crcs) == {name.removeprefix("/") for name in held if name.startswith(("/partials/", "/draws/"))}
        for name, crc in crcs.items():
            if "histogram" in name:
                continue
            values = held[f"/{name}"]
            part = (
                values[tile.column : tile.column + 1]
                if name.startswith("partials/")
                else values[tile.column * 256 : tile.column * 256 + 256]
            )
            assert google_crc32c.value(part.tobytes()) == crc


def test_finishing_comes_last_and_in_one_place(store, plan):
    assert "consolidated_metadata" not in json.loads((store.place.path / "zarr.json").read_text())
    store.set_attributes({"draws": 7})
    store.finish()
    metadata = json.loads((store.place.path / "zarr.json").read_text())
    assert metadata["attributes"] == {"title": "small", "draws": 7, "complete": True}
    assert metadata["consolidated_metadata"]["metadata"]["draws/initial_agis"]["shape"] == [1400]
    array: Any = zarr.open_consolidated(store.place.path)["draws/initial_agis"]
    assert array.shape == (1400,)
    # What is changed afterwards takes the snapshot away, so that it can never be stale.
    CubeStore(store.place).set_attributes({"complete": False})
    assert not json.loads((store.place.path / "zarr.json").read_text()).get("consolidated_metadata")


def test_status_is_cleared(store, plan):
    whole = store.slab(plan, ((0, 1), (0, 2)))
    assert whole == ((0, 2), (0, 3))
    store.write_statistics(whole, {"status": np.full((2, 3), 2)})
    assert (contents(store.place.path)["/status"] == 2).all()
    store.clear_status()
    assert (contents(store.place.path)["/status"] == 0).all()


def test_a_cell_is_said_to_be_done_when_its_statistics_are_for_good(store, plan, monkeypatch):
    whole = store.slab(plan, ((0, 1), (0, 2)))
    settled = []

    def settle(names):
        settled.extend(names)
        assert (store.status() == 0).all()

    monkeypatch.setattr(store.place, "settle", settle)
    store.write_statistics(whole, store.empty_statistics(plan, whole) | {"status": np.ones((2, 3))}, settled=True)
    assert "statistics/probability/c/0/0/0" in settled
    assert (store.status() == 1).all()


def test_statistics_are_written_in_whole_chunks(tmp_path):
    spec = toy(axes__paper_growth_factor={"linear": [1.5, 3], "points": 300}, statistics__bins_per_octave=32)
    plan = make_plan(spec.replace({"axes.papers_for_first_doubling": {"log": [1, 4], "points": 7}}), 1, TilePolicy((2, 150), 2))
    store = create(tmp_path / "small.zarr", plan)
    slabs = list(dict.fromkeys(store.slab(plan, box) for box in plan.boxes()))
    assert [slab[0] for slab in slabs] == [(0, 2), (2, 4), (4, 6), (6, 7)]
    array: Any = zarr.open_array(tmp_path / "small.zarr" / "statistics" / "date_of_doubling_3" / "histogram")
    assert array.chunks[0] == 2
    assert np.prod(array.chunks) * 8 <= 8 * 2**20


def test_small_chunks_are_kept_small(tmp_path):
    plan = make_plan(plain(store__chunks=128), 1, TilePolicy((), 2))
    create(tmp_path / "plain.zarr", plan)
    assert zarr.open_array(tmp_path / "plain.zarr" / "draws" / "initial_agis").chunks == (128,)
    plan = make_plan(plain(), 1, TilePolicy((), 2))
    create(tmp_path / "large.zarr", plan)
    assert zarr.open_array(tmp_path / "large.zarr" / "draws" / "initial_agis").chunks == (512,)


def test_chunks_that_a_config_leaves_out_are_those_of_the_store(tmp_path):
    place = Folder(tmp_path / "small.zarr")
    prepared(plain(store__chunks=128), place, 1, ledger.WHOLE)
    same_sweep(plain(), place)
    # So are those of arrays that are made again.
    assert plan_of(plain(), place).chunk_draws == 128
    with pytest.raises(SpecError, match=r"differs in store\.chunks"):
        same_sweep(plain(store__chunks=256), place)
    place = Folder(tmp_path / "usual.zarr")
    prepared(plain(), place, 1, ledger.WHOLE)
    same_sweep(plain(store__chunks=1 << 20), place)
    with pytest.raises(SpecError, match=r"differs in store\.chunks"):
        same_sweep(plain(store__chunks=1 << 18), place)


def test_making_a_store_over_what_was_left_of_a_crash(tmp_path, plan, monkeypatch):
    monkeypatch.setattr("os.getpid", lambda: 12345)
    # Its own number, and that of a process that is no more.
    for number in (12345, 2**22 + 1):
        left = tmp_path / f".small.zarr.{socket.gethostname()}.{number}.new"
        left.mkdir()
        (left / "zarr.json").write_text("torn")
    create(tmp_path / "small.zarr", plan)
    assert [path.name for path in tmp_path.iterdir()] == ["small.zarr"]
    shutil.rmtree(tmp_path / "small.zarr")
