"""Running a sweep: the same bits however it is run, nothing computed twice, nothing lost, and every refusal in one message."""

from __future__ import annotations

import errno
import math
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import sweep
from kernels import gradients, outcomes
from sweep import coordinator, ledger, prepare
from sweep.coordinator import Interrupted, RunError, ToleranceError
from sweep.cube import CubeError, attributes
from sweep.errors import SpecError
from sweep.execute import cluster, inline
from sweep.execute import tile as tile_module
from sweep.places import Folder
from sweep.plan import TilePolicy, make_plan
from sweep.progress import State
from sweep.store import CubeStore, StoreError
from tests.sweep.studies import PLAIN, assert_same_bits, contents, journal, plain, receipts, records, rewrite, toy


def stop_after(tiles):
    """A progress listener that interrupts the run once so many tiles are done."""

    def listen(state):
        if state.tiles_done == tiles:
            raise KeyboardInterrupt

    return listen


def altered(store, **changes):
    """Change what a store says that it holds."""
    head = ledger.read_head(Folder(store))
    ledger.write_head(Folder(store), head | changes)


def stored_policy(store):
    """How the sweep in a store is cut into tiles."""
    policy = ledger.read_head(Folder(store))["policy"]
    return TilePolicy(tuple(policy["box"]), policy["blocks"], tuple(attributes(Folder(store)).get("extents", ())))


@pytest.fixture
def copied(plain_store, tmp_path):
    """A copy of the finished plain store, to be changed."""
    return shutil.copytree(plain_store, tmp_path / "plain.zarr")


# --- the same bits -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("tile", "workers"), [(600, 2), pytest.param(256, 2, marks=pytest.mark.soak), (9000, 2)])
@pytest.mark.slow
def test_bits_do_not_depend_on_tiles_and_workers(toy_store, tmp_path, tile, workers):
    spec = toy(run__tile=tile)
    sweep.run(spec, tmp_path / "small.zarr", workers=workers)
    assert_same_bits(tmp_path / "small.zarr", toy_store)


def test_these_tiles_do_differ():
    policies = {make_plan(toy(run__tile=tile), workers=1).policy for tile in (600, 256, 9000)}
    assert len(policies) == 3
    assert {policy.blocks for policy in policies} == {1, 2, 8}
    assert len({policy.box for policy in policies}) == 2


@pytest.mark.slow
def test_bits_do_not_depend_on_the_order_of_tiles(plain_store, tmp_path, monkeypatch):
    run_tiles = inline.run_tiles
    monkeypatch.setattr(inline, "run_tiles", lambda plan, chains, *on: run_tiles(plan, [chains[i] for i in (2, 0, 3, 1)], *on))
    sweep.run(plain(), tmp_path / "plain.zarr", workers=1)
    names = [record["tile"] for record in records(tmp_path / "plain.zarr") if "crc" in record]
    assert names == ["/2", "/0", "/3", "/1"]
    assert_same_bits(tmp_path / "plain.zarr", plain_store)


@pytest.mark.slow
@pytest.mark.parametrize("config", ["davidson_houlden_2025", pytest.param("phase_returns_ceiling", marks=pytest.mark.soak)])
def test_bits_of_the_studies_do_not_depend_on_tiles(tmp_path, without_audit, config):
    changes = {"draws": 3000, "sweep.block": 1024, "store.draws": "outcomes", "statistics.bins_per_octave": 8}
    if config == "phase_returns_ceiling":
        changes |= {"axes.returns.points": 3, "axes.distance_to_limits.points": 2}
    spec = sweep.load(f"configs/{config}.toml").replace(changes)
    for name, tile in (("small", 1024), ("large", 10000)):
        sweep.run(spec.replace({"run.tile": tile}), tmp_path / f"{name}.zarr", workers=1)
    assert_same_bits(tmp_path / "small.zarr", tmp_path / "large.zarr")


@pytest.mark.slow
def test_a_recursion_of_many_draws_solves_like_with_like_to_the_same_bits(tmp_path, monkeypatch, without_audit):
    spec = sweep.load("configs/davidson_houlden_2025.toml").replace({"draws": 5000, "sweep.block": 4096, "store.draws": "outcomes"})
    for name, enough in (("short", prepare._LONG_ENOUGH), ("long", 0.0)):
        monkeypatch.setattr(prepare, "_LONG_ENOUGH", enough)
        sweep.run(spec, tmp_path / f"{name}.zarr", workers=1)
        weights = ledger.read_head(Folder(tmp_path / f"{name}.zarr"))["policy"]["expected_steps"]
        # A quadratic form of four parameters.
        assert len(weights) == (0 if name == "short" else 14)
    assert_same_bits(tmp_path / "short.zarr", tmp_path / "long.zarr")


# --- resuming ----------------------------------------------------------------------------------------------------------------------------


def test_a_second_run_returns_at_once(plain_store, computed, monkeypatch):
    monkeypatch.setattr(inline, "devices", lambda workers: pytest.fail("asked for devices"))
    before = {file: file.stat().st_mtime_ns for file in plain_store.rglob("*") if file.is_file()}
    cube = sweep.run(plain(), plain_store)
    assert computed == []
    assert int(cube["status"]) == 1
    assert {file: file.stat().st_mtime_ns for file in plain_store.rglob("*") if file.is_file()} == before


@pytest.mark.slow
def test_resuming_computes_what_is_missing(toy_store, tmp_path, computed):
    store = tmp_path / "small.zarr"
    with pytest.raises(Interrupted, match=r"stopped with 7 of 24 tiles done; the same command goes on") as caught:
        sweep.run(toy(), store, workers=1, progress=stop_after(7))
    assert isinstance(caught.value, RunError)
    before = receipts(store)
    assert len(before) == 7
    with pytest.raises(CubeError, match="not finished"):
        sweep.open_cube(store)
    computed.clear()
    states: list[State] = []
    sweep.run(toy(), store, workers=1, progress=states.append)
    assert len(computed) == 17
    assert not set(computed) & set(before)
    assert [state.tiles_done for state in states] == list(range(8, 25))
    assert_same_bits(store, toy_store)


@pytest.mark.slow
def test_a_killed_run_goes_on(plain_store, tmp_path, computed):
    program = f"""
        import os, signal, sys
        import jax
        jax.config.update("jax_num_cpu_devices", 1)
        import sweep
        from sweep.spec import loads
        def killing(state):
            if state.tiles_done == 2:
                os.kill(os.getpid(), signal.SIGKILL)
        sweep.run(loads({PLAIN!r}), sys.argv[1], workers=1, progress=killing)
    """
    store = tmp_path / "plain.zarr"
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(program), str(store)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert len(receipts(store)) == 2
    sweep.run(plain(), store, workers=1)
    assert computed == ["/2", "/3"]
    assert_same_bits(store, plain_store)


def test_the_tile_of_a_torn_receipt_is_computed_again(copied, plain_store, computed):
    held = [record for record in records(copied) if "finished" not in record]
    rewrite(copied, held)
    journal(copied).write_bytes(journal(copied).read_bytes()[:-20])
    CubeStore(Folder(copied)).set_attributes({"complete": False})
    names = [record["tile"] for record in held if "crc" in record]
    sweep.run(plain(), copied, workers=1)
    assert computed == names[-1:]
    assert list(receipts(copied)) == names
    assert_same_bits(copied, plain_store)


def test_what_has_no_receipt_is_overwritten_unread(copied, plain_store, computed):
    rewrite(copied, [])
    store = CubeStore(Folder(copied))
    store.set_attributes({"complete": False})
    for file in (copied / "partials").rglob("c/*"):
        if file.is_file():
            file.write_bytes(b"torn")
    sweep.run(plain(), copied, workers=1)
    assert len(computed) == 4
    assert_same_bits(copied, plain_store)


def test_a_run_stopped_before_its_statistics_goes_on(plain_store, tmp_path, monkeypatch, computed):
    with monkeypatch.context() as patch:
        patch.setattr(coordinator, "write_statistics", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(Interrupted, match="the same command goes on"):
            sweep.run(plain(), tmp_path / "plain.zarr", workers=1)
    assert len(computed) == 4
    sweep.run(plain(), tmp_path / "plain.zarr", workers=1)
    assert len(computed) == 4
    assert_same_bits(tmp_path / "plain.zarr", plain_store)


@pytest.mark.slow
def test_a_run_killed_at_its_last_write_is_not_taken_for_finished(plain_store, tmp_path, monkeypatch, computed):
    with monkeypatch.context() as patch:
        patch.setattr(CubeStore, "finish", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(Interrupted):
            sweep.run(plain(), tmp_path / "plain.zarr", workers=1)
    with pytest.raises(CubeError, match="not finished"):
        sweep.open_cube(tmp_path / "plain.zarr")
    sweep.run(plain(), tmp_path / "plain.zarr", workers=1)
    assert len(computed) == 4
    assert_same_bits(tmp_path / "plain.zarr", plain_store)


# --- extending ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "redone"),
    # Of six blocks, 700 draws fill two and 1024 four: the others are computed, in columns of up to two blocks and one for the part.
    [(700, 18), pytest.param(1024, 12, marks=pytest.mark.soak), pytest.param(1300, 6, marks=pytest.mark.soak)],
)
@pytest.mark.slow
def test_extending_gives_the_bits_of_a_fresh_run(toy_store, tmp_path, computed, first, redone):
    store = tmp_path / "small.zarr"
    shutil.rmtree(store, ignore_errors=True)
    sweep.run(toy(draws=first), store, workers=1)
    earlier = contents(store)
    computed.clear()
    cube = sweep.run(toy(), store, workers=1)
    assert len(computed) == redone
    assert cube.attrs["draws"] == 1400
    assert_same_bits(store, toy_store)
    for name, values in contents(store).items():
        if name.startswith("/draws/"):
            assert values[..., :first].tobytes() == earlier[name].tobytes()


@pytest.mark.slow
def test_an_interrupted_extension_goes_on(toy_store, tmp_path, computed):
    store = tmp_path / "small.zarr"
    sweep.run(toy(draws=300), store, workers=1)
    with pytest.raises(Interrupted):
        sweep.run(toy(), store, workers=1, progress=stop_after(10))
    tiles = [tile.name for tile in make_plan(toy(), 1, stored_policy(store)).tiles()]
    held = receipts(store)
    names = [
        tile.name
        for tile in make_plan(toy(), 1, stored_policy(store)).tiles()
        if tile.name in held and (held[tile.name]["first_block"], held[tile.name]["draws"]) == (tile.first_block, tile.draws)
    ]
    # The full blocks of the 300 draws, and what this call did.
    assert len(names) == 10 < len(tiles)
    with pytest.raises(CubeError, match="not finished"):
        sweep.open_cube(store)
    with pytest.raises(SpecError, match="holds 1400 draws already"):
        sweep.run(toy(draws=400), store)
    computed.clear()
    sweep.run(toy(), store, workers=1)
    assert sorted(computed) == sorted(set(tiles) - set(names))
    assert_same_bits(store, toy_store)


def test_fewer_draws_than_stored_are_refused(plain_store, computed):
    before = contents(plain_store)
    with pytest.raises(
        SpecError, match=r"plain\.zarr: \[sweep\] draws = 1000: the store holds 1024 draws already.*use draws = 1024 or more"
    ) as caught:
        sweep.run(plain(draws=1000), plain_store)
    assert caught.value.key == "sweep.draws"
    assert computed == []
    assert sweep.open_cube(plain_store).attrs["draws"] == 1024
    assert contents(plain_store).keys() == before.keys()


def other_jaxlib(store):
    rewrite(store, [record | {"jaxlib": "0.0.1"} if "crc" in record else record for record in records(store)])


def too_full(monkeypatch):
    # The room that the new draws take, less a byte: what is on the disk is not needed again.
    more = sum(make_plan(plain(draws=4096), 1, TilePolicy((), 1, (1024,))).stored_bytes().values())
    held = sum(make_plan(plain(), 1, TilePolicy((), 1)).stored_bytes().values())
    monkeypatch.setattr(Folder, "free_bytes", lambda self: more - held - 1)


REFUSED_EXTENSIONS: dict[str, tuple[dict[str, Any], str]] = {
    "disk": ({}, r"will take about .* GB more and the disk has .* make room"),
    "jaxlib": ({}, r"jaxlib was 0\.0\.1, is .*--mix"),
    "jaxlib on dask": ({"executor": "dask"}, r"jaxlib was 0\.0\.1, is .*--mix"),
    "scheduler": ({"scheduler": "tcp://127.0.0.1:9"}, r"tcp://127\.0\.0\.1:9: no dask scheduler answers there"),
}


@pytest.mark.parametrize("why", REFUSED_EXTENSIONS)
def test_an_extension_that_is_refused_leaves_the_cube_as_it_was(copied, monkeypatch, computed, why):
    how, told = REFUSED_EXTENSIONS[why]
    if why.startswith("jaxlib"):
        other_jaxlib(copied)
    if why == "disk":
        too_full(monkeypatch)
    monkeypatch.setattr(cluster, "_CONNECT_SECONDS", 0.2)
    before = {file: file.read_bytes() for file in copied.rglob("*") if file.is_file() and file != journal(copied)}
    with pytest.raises((RunError, StoreError), match=told):
        sweep.run(plain(draws=4096), copied, workers=1, **how)
    assert {file: file.read_bytes() for file in before} == before
    assert sweep.open_cube(copied).attrs["complete"]
    assert computed == []


def test_an_extension_needs_room_for_what_is_new(copied, monkeypatch):
    more = sum(make_plan(plain(draws=1280), 1, TilePolicy((), 1, (1024,))).stored_bytes().values())
    monkeypatch.setattr(Folder, "free_bytes", lambda self: more // 2)
    assert sweep.run(plain(draws=1280), copied, workers=1).attrs["draws"] == 1280


def test_no_store_is_made_for_a_scheduler_that_does_not_answer(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "_CONNECT_SECONDS", 0.2)
    with pytest.raises(RunError, match=r"plain\.zarr: tcp://127\.0\.0\.1:9: no dask scheduler answers there"):
        sweep.run(plain(), tmp_path / "plain.zarr", scheduler="tcp://127.0.0.1:9")
    assert list(tmp_path.iterdir()) == []


# --- refusals ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "keys"),
    [
        ({"seed": 4}, "seed"),
        ({"parameters.horizon": 25}, "parameters.horizon"),
        ({"sweep.sampler": "random", "parameters.initial_agis": {"uniform": [0.5, 3]}}, "parameters.initial_agis.Uniform.high, sampler"),
        ({"outcomes.doublings": [4]}, "outcomes.doublings"),
        ({"store.draws": "none"}, "store.draws"),
    ],
)
def test_another_sweep_in_the_store_is_named_by_its_keys(plain_store, computed, changes, keys):
    with pytest.raises(SpecError) as caught:
        sweep.run(plain().replace(changes), plain_store)
    assert f"holds another sweep, which differs in {keys}" in str(caught.value)
    assert "name another store with -o" in caught.value.fix
    assert computed == []


def test_what_is_not_of_the_sweep_s_identity_is_no_other_sweep(plain_store, computed):
    cube = sweep.run(plain(sweep__name="renamed", run__tile=512, run__workers=1), plain_store)
    assert cube.attrs["title"] == "plain"
    assert computed == []


@pytest.mark.parametrize("kind", ["file", "folder", "zarr"])
def test_something_else_in_the_place_of_the_store(tmp_path, kind):
    import zarr

    place = tmp_path / "place"
    if kind == "file":
        place.write_text("text")
    elif kind == "folder":
        place.mkdir()
        (place / "text").write_text("text")
    else:
        zarr.create_group(place)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SpecError, match=r"exists and is not a sweep's store.*name another with -o"):
        sweep.run(plain(), place)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_newer_format(copied):
    altered(copied, format=99, identity="of another kind")
    with pytest.raises(StoreError, match=r"newer siesweep \(format 99; this one knows 1\); update"):
        sweep.run(plain(), copied)


@pytest.mark.parametrize("content", ["{", "", "[]", '{"attributes": 3}', '{"node_type": "group"}', '{"attributes": {"complete": '])
def test_a_damaged_zarr_json(copied, content):
    (copied / "zarr.json").write_text(content)
    for act in (lambda: sweep.run(plain(), copied), lambda: sweep.open_cube(copied)):
        with pytest.raises(CubeError, match=r"its zarr\.json cannot be read"):
            act()


def test_a_damaged_head(copied):
    (copied / "ledger" / "head.json").write_text("garbage")
    with pytest.raises(RunError, match=r"head\.json is damaged; restore it"):
        sweep.run(plain(), copied)


def test_a_damaged_line_is_no_receipt(copied, plain_store, computed):
    lines = journal(copied).read_bytes().splitlines(keepends=True)
    damaged = next(index for index, line in enumerate(lines) if b'"/2"' in line)
    # One digit of it, so that it is a receipt to the eye.
    lines[damaged] = lines[damaged].replace(b'"draws":256', b'"draws":255')
    journal(copied).write_bytes(b"".join(lines))
    CubeStore(Folder(copied)).set_attributes({"complete": False})
    assert ledger.read(Folder(copied)).damaged == 1
    sweep.run(plain(), copied, workers=1)
    assert computed == ["/2"]
    assert_same_bits(copied, plain_store)


@pytest.mark.slow
def test_a_second_launcher_is_refused(plain_store, tmp_path):
    store = tmp_path / "plain.zarr"
    refused = []

    def launch_another(state):
        with pytest.raises(RunError, match="another run is writing this store") as caught:
            sweep.run(plain(), store, workers=1)
        with pytest.raises(RunError, match="another run is writing this store"):
            sweep.run(plain(draws=5000), store, workers=1)
        refused.append(caught.value)

    sweep.run(plain(), store, workers=1, progress=launch_another)
    assert len(refused) == 4
    assert_same_bits(store, plain_store)


def test_tiles_of_another_jaxlib_are_not_mixed_in_unasked(copied, computed):
    first = next(record for record in records(copied) if "crc" in record)
    rewrite(copied, [first | {"jaxlib": "0.0.1"}])
    CubeStore(Folder(copied)).set_attributes({"complete": False})
    with pytest.raises(RunError, match=r"jaxlib was 0\.0\.1, is .*--mix"):
        sweep.run(plain(), copied, workers=1)
    assert computed == []
    sweep.run(plain(), copied, workers=1, mix_versions=True)
    assert len(computed) == 3


# --- what goes wrong on the way ----------------------------------------------------------------------------------------------------------


def failing_writes(monkeypatch, number, code):
    """Let the write of the n-th tile fail as the system does."""
    write, calls = CubeStore.write_tile, []

    def failing(self, plan, tile, arrays):
        calls.append(tile)
        if len(calls) == number:
            raise OSError(code, os.strerror(code))
        return write(self, plan, tile, arrays)

    monkeypatch.setattr(CubeStore, "write_tile", failing)


def test_a_full_disk_ends_the_run_which_then_goes_on(plain_store, tmp_path, monkeypatch, computed):
    store = tmp_path / "plain.zarr"
    with monkeypatch.context() as patch:
        failing_writes(patch, 3, errno.ENOSPC)
        with pytest.raises(RunError, match=r"plain\.zarr: the disk is full; make room, and the same command goes on"):
            sweep.run(plain(), store, workers=1)
    before = receipts(store)
    assert len(before) == 2
    computed.clear()
    sweep.run(plain(), store, workers=1)
    assert len(computed) == 2
    assert not set(computed) & set(before)
    assert_same_bits(store, plain_store)


def test_a_disk_that_is_full_from_the_start_leaves_nothing(tmp_path, monkeypatch):
    def full(store, head):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(ledger, "write_head", full)
    with pytest.raises(RunError, match="the disk is full"):
        sweep.run(plain(), tmp_path / "plain.zarr", workers=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("code", "message"), [(errno.EROFS, "the disk is read-only"), (errno.EACCES, "writing is not permitted")])
def test_a_disk_that_cannot_be_written(tmp_path, monkeypatch, code, message):
    # Permissions do not bind whoever may do everything, as tests in a container do: the system's answer is made up.
    mkdir = os.mkdir

    def refusing(path, *args, **kwargs):
        if str(tmp_path) in str(path):
            raise OSError(code, os.strerror(code), str(path))
        return mkdir(path, *args, **kwargs)

    monkeypatch.setattr(os, "mkdir", refusing)
    with pytest.raises(RunError, match=f"{message}.*elsewhere with -o"):
        sweep.run(plain(), tmp_path / "results" / "plain.zarr", workers=1)
    assert list(tmp_path.iterdir()) == []


def test_a_read_only_folder(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("permissions do not bind the superuser")
    tmp_path.chmod(0o500)
    with pytest.raises(RunError, match="writing is not permitted"):
        sweep.run(plain(), tmp_path / "plain.zarr", workers=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_tile_that_fails_leaves_the_others(plain_store, tmp_path, monkeypatch):
    store, compute, tried = tmp_path / "plain.zarr", tile_module.compute, []

    def failing(compiled, plan, tile, device):
        tried.append(tile.name)
        if tile.name == "/1":
            raise RuntimeError("out of memory")
        return compute(compiled, plan, tile, device)

    with monkeypatch.context() as patch:
        patch.setattr(inline, "compute", failing)
        with pytest.raises(Interrupted, match=r"1 of 4 tiles failed \(/1\): tile /1: out of memory"):
            sweep.run(plain(), store, workers=1)
    assert sorted(tried) == ["/0", "/1", "/1", "/2", "/3"]
    assert contents(store)["/status"] == 2
    with pytest.raises(CubeError, match="not finished"):
        sweep.open_cube(store)
    sweep.run(plain(), store, workers=1)
    assert_same_bits(store, plain_store)


@pytest.mark.slow
def test_failed_trajectories_are_counted_and_never_dropped_silently(tmp_path, monkeypatch):
    evaluate = outcomes.evaluate

    def poisoned(asked, model, options, parameters, fixed, solution):
        found = evaluate(asked, model, options, parameters, fixed, solution)
        lost = parameters["initial_agis"] < 1
        return found._replace(values={name: jnp.where(lost, jnp.nan, value) for name, value in found.values.items()})

    monkeypatch.setattr(gradients, "evaluate", poisoned)
    cube: Any = sweep.run(plain(), tmp_path / "plain.zarr", workers=1).load()
    agis, dates = cube["draws/initial_agis"].values, cube["draws/date_of_doubling_3"].values
    failed = int((agis < 1).sum())
    assert 300 < failed < 400
    assert np.array_equal(np.isnan(dates), agis < 1)
    assert cube.attrs["failed_trajectories"] == failed
    assert int(cube["partials/failed"].sum()) == failed
    assert int(cube["partials/valid"].sum()) == 1024 - failed
    assert sum(receipt["failed"] for receipt in receipts(tmp_path / "plain.zarr").values()) == failed
    statistics = cube["statistics/date_of_doubling_3"]
    assert float(statistics["mean"]) == pytest.approx(dates[agis >= 1].mean(dtype=float), rel=1e-6)
    assert float(statistics["probability_finite"]) == 1
    assert int(statistics["histogram"].sum()) == 1024 - failed


def test_an_error_beyond_the_tolerance_is_loud_each_time(tmp_path, computed):
    spec, store = plain(sweep__tolerance=1e-12), tmp_path / "plain.zarr"
    for _ in range(2):
        with pytest.raises(ToleranceError, match=r"numerical error .* exceeds the tolerance 1e-12; use precision = \"float64\""):
            sweep.run(spec, store, workers=1)
    assert len(computed) == 4
    assert sweep.open_cube(store).attrs["numerical_error"] > 1e-12


def test_an_error_that_is_no_number_is_within_no_tolerance(tmp_path):
    cube = xr.DataTree(xr.Dataset(attrs={"numerical_error": math.nan, "complete": True}))
    with pytest.raises(ToleranceError, match="numerical error nan exceeds"):
        coordinator.check_tolerance(plain(), Folder(tmp_path), cube)


@pytest.mark.slow
def test_float64_is_within_its_own_tolerance(tmp_path):
    cube = sweep.run(plain(sweep__precision="float64"), tmp_path / "plain.zarr", workers=1)
    assert cube["draws/date_of_doubling_3"].dtype == np.float64
    assert cube.attrs["numerical_error"] < 1e-13


def test_provenance(plain_store):
    provenance = sweep.open_cube(plain_store)["provenance"].attrs
    assert provenance["versions"].keys() >= {"siesweep", "jax", "jaxlib", "numpy", "xarray", "zarr", "python"}
    assert [device.startswith("cpu:") for device in provenance["devices"]] == [True]
    assert provenance["seconds_in_tiles"] > 0
    assert provenance["draws_solved_at_once"] == [256]
    assert provenance["trajectories_of_the_last_call"] == 1024


def test_progress_counts_what_this_call_did(tmp_path):
    states: list[State] = []
    sweep.run(plain(), tmp_path / "plain.zarr", workers=1, progress=states.append)
    assert [(state.tiles_done, state.tiles) for state in states] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert [state.fresh_trajectories for state in states] == [256, 512, 768, 1024]
    assert all(0 < state.rate == state.fresh_trajectories / state.seconds for state in states)
    assert states[-1].worst_error == sweep.open_cube(tmp_path / "plain.zarr").attrs["numerical_error"]


WRONG_ARGUMENTS: list[tuple[dict[str, Any], str]] = [
    ({"executor": "dusk"}, r'\[executor\] = "dusk": no such executor\. Fix: did you mean dask\?'),
    ({"executor": "inline", "scheduler": "tcp://127.0.0.1:1"}, r'\[executor\] = "inline": a scheduler is given, which is dask\'s'),
    ({"scheduler": "nowhere"}, r'\[scheduler\] = "nowhere": not the address of a dask scheduler\. Fix: give e\.g\. tcp://HOST:8786'),
    ({"scheduler": "tcp://127.0.0.1"}, "not the address of a dask scheduler"),
    ({"scheduler": "foo://1.2.3.4:8"}, "not the address of a dask scheduler"),
    ({"scheduler": "tcp://"}, "not the address of a dask scheduler"),
    ({"scheduler": "ucx://127.0.0.1:8786"}, "not the address of a dask scheduler"),
    ({"scheduler": "tcp://127.0.0.1:99999"}, "not the address of a dask scheduler"),
    ({"workers": 0}, r"\[workers\] = 0: not a number of workers\. Fix: give 1 or more"),
    ({"workers": 1.5}, r"\[workers\] = 1\.5: not a number of workers"),
    ({"shard": (0, 4)}, r"\[shard\] = \[0, 4\]: not a share\. Fix: give \(k, n\) with k from 1 to n"),
    ({"shard": (5, 4)}, r"\[shard\] = \[5, 4\]: not a share"),
    ({"shard": (1, 2, 3)}, r"\[shard\] = \[1, 2, 3\]: not a share"),
    ({"shard": "1/4"}, r'\[shard\] = "1/4": not a share'),
]


@pytest.mark.parametrize(("how", "told"), WRONG_ARGUMENTS)
def test_arguments_that_cannot_be_are_refused_before_any_work(how, told, tmp_path):
    with pytest.raises(SpecError, match=r"^sweep\.run: .*" + told):
        sweep.run(plain(), tmp_path / "plain.zarr", **how)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("address", ["tcp://host:8786", "host:8786", "tls://[fe80::1%eth0]:8786", "inproc://192.168.0.1/71/1"])
def test_addresses_of_schedulers(address):
    assert coordinator._is_scheduler(address)


@pytest.mark.parametrize(
    ("spec", "store", "told"),
    [
        ("plain.toml", "plain.zarr", r"spec = 'plain\.toml' is a str, not a Spec; give sweep\.load\(PATH\)"),
        (plain(), None, r"store = None is a NoneType, not a path or URL"),
    ],
    ids=["spec", "store"],
)
def test_what_is_no_sweep_and_no_address_is_refused(spec, store, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TypeError, match=r"^sweep\.run: " + told):
        sweep.run(spec, store)
    assert not list(tmp_path.iterdir())
