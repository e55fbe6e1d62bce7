"""docs/failure-modes.md: each paragraph is a test, here or where it is named; and the ways to die that need a real disk or process."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

import sweep
from kernels import gradients, outcomes
from sweep import coordinator, prepare
from sweep.coordinator import Interrupted, RunError
from sweep.cube import attributes
from sweep.errors import SpecError
from sweep.places import Folder
from sweep.store import CubeStore, StoreError
from sweep.verify import verify
from tests.sweep.studies import PLAIN, assert_same_bits, contents, journal, plain, receipts, records, rewrite, toy

PAGE = Path(__file__).parents[2] / "docs" / "failure-modes.md"
TESTS = {
    "While the store is being made": "test_failure_modes.test_killed_while_the_store_is_made",
    "While a tile is computed": "test_coordinator.test_a_killed_run_goes_on",
    "Between a tile's data and its receipt": "test_coordinator.test_what_has_no_receipt_is_overwritten_unread",
    "While a receipt is written": "test_coordinator.test_the_tile_of_a_torn_receipt_is_computed_again",
    "While the statistics are made": "test_coordinator.test_a_run_stopped_before_its_statistics_goes_on",
    "While a sweep is being extended": "test_failure_modes.test_killed_while_there_is_being_made_room",
    "The power goes": "test_failure_modes.test_data_are_settled_before_their_receipt",
    "The disk is full": "test_failure_modes.test_a_full_disk",
    "The disk is read-only, or the store is not yours": "test_failure_modes.test_a_read_only_disk",
    "You interrupt it, or a batch system ends the job": "test_failure_modes.test_a_batch_system_ends_the_job",
    "A tile fails each time": "test_coordinator.test_a_tile_that_fails_leaves_the_others",
    "A trajectory fails": "test_failure_modes.test_a_trajectory_that_fails_is_named",
    "A second launcher": "test_coordinator.test_a_second_launcher_is_refused",
    "A byte of the store changes, or a file is gone": "test_verify.test_a_changed_byte",
    "The root's zarr.json is damaged": "test_coordinator.test_a_damaged_zarr_json",
    "The store was made by a newer siesweep, or for another sweep": "test_coordinator.test_a_newer_format",
    "Another jaxlib, or another kind of processor": "test_coordinator.test_tiles_of_another_jaxlib_are_not_mixed_in_unasked",
    "A worker dies": "test_cluster.test_workers_that_die_are_replaced_and_no_bit_is_lost",
    "All workers die": "test_cluster.test_all_workers_go_and_one_comes",
    "The scheduler dies": "test_cluster.test_a_scheduler_that_is_gone_ends_the_run_which_then_goes_on",
    "A shard dies": "test_shards.test_an_interrupted_shard_goes_on",
}


def test_every_paragraph_is_a_test():
    headings = re.findall(r"^## (.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert headings == list(TESTS)
    for test in TESTS.values():
        module, _, name = test.partition(".")
        assert callable(getattr(importlib.import_module(f"tests.sweep.{module}"), name)), test


@pytest.mark.slow
def test_killed_while_the_store_is_made(tmp_path, plain_store):
    program = """if True:
        import os, sys
        import sweep
        from sweep import ledger
        from tests.sweep.studies import plain
        ledger.write_head = lambda *_: os.kill(os.getpid(), 9)
        sweep.run(plain(), sys.argv[1], workers=1)
    """
    store = tmp_path / "plain.zarr"
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(program), str(store)], check=False)
    assert ended.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert re.fullmatch(r"\.plain\.zarr\..*\.new", left.name)
    sweep.run(plain(), store, workers=1)
    assert list(tmp_path.iterdir()) == [store]
    assert_same_bits(store, plain_store)


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["resize", "clear_status"])
def test_killed_while_there_is_being_made_room(tmp_path, plain_store, monkeypatch, computed, moment):
    store = shutil.copytree(plain_store, tmp_path / "plain.zarr")

    class Killed(BaseException):
        pass

    done = getattr(CubeStore, moment)

    def killed(self, *arguments):
        done(self, *arguments)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(CubeStore, moment, killed)
        with pytest.raises(Killed):
            sweep.run(plain(draws=1300), store, workers=1)
    held = attributes(Folder(store))
    assert (held["draws"], held["complete"]) == (1024, False)
    sweep.run(plain(draws=1300), store, workers=1)
    assert len(computed) == 2
    fresh = tmp_path / "fresh.zarr"
    sweep.run(plain(draws=1300), fresh, workers=1)
    assert_same_bits(store, fresh)


def test_room_that_is_no_longer_wanted(tmp_path, plain_store, monkeypatch):
    """Killed while it was extended, a store goes on with the draws that it had, too."""
    store = shutil.copytree(plain_store, tmp_path / "plain.zarr")
    with monkeypatch.context() as patch:
        patch.setattr(CubeStore, "clear_status", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(Interrupted):
            sweep.run(plain(draws=5000), store, workers=1)
    sweep.run(plain(), store, workers=1)
    assert_same_bits(store, plain_store)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("finished", "tile", "on_the_way_back", "then"),
    # With the tile that shares a chunk with the last of 900 draws, which is not full, the sweep begins again.
    [(1024, 256, [], ["/6", "/7"]), (900, 512, ["/2"], ["/2", "/4", "/5"])],
)
def test_an_extension_that_is_stopped_goes_back_and_on(tmp_path, computed, finished, tile, on_the_way_back, then):
    """Back to the draws that were finished, with their bits, and later on to the others, where what was computed counts."""
    store = tmp_path / "plain.zarr"
    first, more = plain(draws=finished, run__tile=tile), plain(draws=2000, run__tile=tile)
    sweep.run(first, store, workers=1)
    before = shutil.copytree(store, tmp_path / "before.zarr")

    def interrupt(state):
        if state.fresh_trajectories >= 512:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match=rf"goes on from there, and `siesweep extend .* --draws {finished}` back to the draws that were"):
        sweep.run(more, store, workers=1, progress=interrupt)
    with pytest.raises(SpecError, match=rf"holds 2000 draws already.* use draws = 2000 or more, draws = {finished} to go back"):
        sweep.run(plain(draws=1500), store)
    computed.clear()
    cube = sweep.run(first, store, workers=1)
    assert computed == on_the_way_back
    assert cube["draws"].sizes["draw"] == cube.attrs["draws"] == finished
    assert_same_bits(store, before)
    assert verify(Folder(store), first).damage == ()
    computed.clear()
    sweep.run(more, store, workers=1)
    assert computed == then
    fresh = tmp_path / "fresh.zarr"
    sweep.run(more, fresh, workers=1)
    assert_same_bits(store, fresh)
    assert verify(Folder(store), more).damage == ()


def test_data_are_settled_before_their_receipt(tmp_path, monkeypatch):
    """Every file that a tile has written has been synced, and the folders that lead to it, when its receipt is."""
    store, synced, fsync = tmp_path / "plain.zarr", set(), os.fsync
    checked = []

    def watched(descriptor):
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if path == journal(store) and b'"crc"' in path.read_bytes().splitlines()[-1]:
            written = {file for file in store.rglob("c/**/*") if file.is_file() and file.parts[len(store.parts)] in ("draws", "partials")}
            assert written <= synced
            assert {folder for file in written for folder in file.parents if folder.is_relative_to(store)} <= synced
            checked.append(len(written))
        synced.add(path)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    sweep.run(plain(), store, workers=1)
    assert len(checked) == 4
    assert checked[-1] > checked[0] > 5


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 600 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(folder)], check=False, capture_output=True).returncode:
        pytest.skip("file systems cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk(small_disk, plain_store, monkeypatch):
    """It fills in the middle of a tile; once there is room, the same call goes on."""
    store, filler = small_disk / "plain.zarr", small_disk / "filler"
    monkeypatch.setattr(prepare, "_check_room", lambda *_: None)

    def fill(state):
        if state.tiles_done == 2:
            free = shutil.disk_usage(small_disk).free
            filler.write_bytes(b"x" * (free - 8192))

    with pytest.raises(RunError, match=r"plain\.zarr: the disk is full; make room, and the same command goes on"):
        sweep.run(plain(), store, workers=1, progress=fill)
    assert len(receipts(store)) == 2
    with pytest.raises(RunError, match="the disk is full"):
        sweep.run(plain(), store, workers=1)
    filler.unlink()
    sweep.run(plain(), store, workers=1)
    assert_same_bits(store, plain_store)
    assert not list(store.rglob("*.partial"))


def test_a_disk_with_too_little_room_is_told_of_before(small_disk):
    with pytest.raises(StoreError, match=r"the sweep will take about .* GB and the disk has .* GB left; make room"):
        sweep.run(plain(draws=200_000, run__tile=100_000), small_disk / "plain.zarr", workers=1)
    assert list(small_disk.iterdir()) == []


def test_who_keeps_no_draws_is_not_told_to_keep_none(tmp_path, monkeypatch):
    monkeypatch.setattr(Folder, "free_bytes", lambda _: 10)
    with pytest.raises(StoreError, match=r'or keep less \(\[store\] draws = "none"\)$'):
        sweep.run(plain(), tmp_path / "plain.zarr", workers=1)
    with pytest.raises(StoreError, match=r"or ask for fewer draws or cells$"):
        sweep.run(plain(store__draws="none"), tmp_path / "plain.zarr", workers=1)


def test_a_read_only_disk(small_disk, plain_store):
    store = small_disk / "plain.zarr"
    with pytest.raises(Interrupted):
        sweep.run(plain(), store, workers=1, progress=lambda state: (_ for _ in ()).throw(KeyboardInterrupt))
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(RunError, match=r"plain\.zarr: the disk is read-only; name a store elsewhere with -o"):
        sweep.run(plain(), store, workers=1)
    with pytest.raises(RunError, match="the disk is read-only"):
        sweep.run(plain(), small_disk / "other.zarr", workers=1)
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    sweep.run(plain(), store, workers=1)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert sweep.run(plain(), store, workers=1).attrs["complete"]


@pytest.mark.slow
def test_a_batch_system_ends_the_job(tmp_path, plain_store):
    config, store = tmp_path / "plain.toml", tmp_path / "plain.zarr"
    config.write_text(PLAIN.replace("draws = 1024", "draws = 25600"))
    command = [sys.executable, "-c", "from sweep.cli import main; main()", "run", str(config), "-o", str(store), "--workers", "1"]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not journal(store).exists() or len(receipts(store)) < 2:
        assert running.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    running.terminate()
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 3
    assert re.search(r"stopped with \d+ of 100 tiles done; the same command goes on from there", errors)
    assert 2 <= len(receipts(store)) < 100


@pytest.mark.slow
def test_cells_that_are_done_are_shown(tmp_path, toy_store):
    """An interrupted sweep opens with allow_partial: cells that are done as they will be, the others missing."""
    store = tmp_path / "small.zarr"

    def interrupt(state):
        if state.tiles_done == 9:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        sweep.run(toy(), store, workers=1, progress=interrupt)
    whole, partial = sweep.open_cube(toy_store), sweep.open_cube(store, allow_partial=True)
    done = partial["status"].values == 1
    assert done.sum() == 2
    for name in ("statistics/probability", "statistics/date_of_doubling_3/mean", "statistics/date_of_doubling_3/histogram"):
        ours, theirs = partial[name].values, whole[name].values
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours[done], theirs[done])
        assert (np.isnan(ours[~done]) if ours.dtype.kind == "f" else ours[~done] == 0).all()
    draws = partial["draws/date_of_doubling_3"].values
    np.testing.assert_array_equal(draws[done], whole["draws/date_of_doubling_3"].values[done])
    assert np.isnan(draws[~done]).all()
    assert partial["draws/date_of_doubling_3"].attrs == whole["draws/date_of_doubling_3"].attrs
    np.testing.assert_array_equal(partial["statistics/date_of_doubling_3/bin_lower"], whole["statistics/date_of_doubling_3/bin_lower"])


def test_a_run_that_is_interrupted_before_its_first_tile_makes_no_statistics_again(tmp_path, toy_store, monkeypatch):
    store = shutil.copytree(toy_store, tmp_path / "small.zarr")
    lost = next(iter(receipts(store)))
    rewrite(store, [record for record in records(store) if record.get("tile") != lost])
    CubeStore(Folder(store)).set_attributes({"complete": False})

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(coordinator, "_refuse_mixture", interrupted)
    made = []
    for _ in range(2):
        with pytest.raises(Interrupted):
            sweep.run(toy(), store, workers=1)
        made.append({file: file.stat().st_mtime_ns for file in store.glob("st*/**/c/**/*")})
    # The first time, a cell was no longer done.
    assert made[0] == made[1]
    assert (sweep.open_cube(store, allow_partial=True)["status"] == 0).any()


def poison(monkeypatch, lost):
    """Let trajectories fail whose parameters say so."""
    evaluate = outcomes.evaluate

    def poisoned(asked, model, options, parameters, fixed, solution):
        found = evaluate(asked, model, options, parameters, fixed, solution)
        return found._replace(
            values={
                name: jnp.where(lost(parameters), jnp.nan, value) if value.dtype != bool else value for name, value in found.values.items()
            }
        )

    monkeypatch.setattr(gradients, "evaluate", poisoned)


@pytest.mark.slow
def test_a_trajectory_that_fails_is_named(tmp_path, monkeypatch):
    from sweep.replay import replay

    store = tmp_path / "plain.zarr"
    poison(monkeypatch, lambda parameters: parameters["initial_agis"] > 1.99)
    cube = sweep.run(plain(), store, workers=1)
    failed = np.flatnonzero(cube["draws/initial_agis"].values > 1.99)
    assert 2 < len(failed) < 20
    assert cube.attrs["first_failed_index"] == failed[0]
    found = replay(Folder(store), int(failed[0]))
    assert np.isnan(found.outcomes["date_of_doubling_3"])
    assert found.differing == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["all NaN", "all zero"])
def test_tiles_of_nothing_are_tiles(tmp_path, monkeypatch, computed, kind):
    """What zarr takes for empty is written, survives, and is not computed again."""
    if kind == "all NaN":
        poison(monkeypatch, lambda parameters: parameters["initial_agis"] > 0)
        spec = plain()
    else:
        spec = plain(outcomes={"windows": [{"name": "never", "months": 0.001, "doublings": 500}]})

    def interrupt(state):
        if state.tiles_done == 2:
            raise KeyboardInterrupt

    store = tmp_path / "plain.zarr"
    with pytest.raises(Interrupted):
        sweep.run(spec, store, workers=1, progress=interrupt)
    held_before = set(receipts(store))
    computed.clear()
    cube = sweep.run(spec, store, workers=1)
    assert len(held_before) == 2
    assert not held_before & set(computed)
    name = spec.labels()[0].name
    held = cube[f"draws/{name}"].values
    assert np.isnan(held).all() if kind == "all NaN" else not held.any()
    assert len(list((store / "draws" / name / "c").iterdir())) == 4
    assert cube.attrs["failed_trajectories"] == (1024 if kind == "all NaN" else 0)
    assert verify(Folder(store), spec).damage == ()
    assert contents(store)["/status"] == 1
