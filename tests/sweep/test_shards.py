"""Shards: independent launchers share one sweep, a ledger each; the last one, or a merge, finishes it with the bits of one run."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

import sweep
from sweep import coordinator, ledger
from sweep.coordinator import Interrupted, RunError, merge, missing_shares
from sweep.finalize import MEASURED, write_statistics
from sweep.places import Folder
from sweep.prepare import plan_of
from sweep.store import CubeStore
from tests.sweep.studies import TOY, assert_same_bits, plain, receipts, shards_without_a_last, toy


@pytest.mark.slow
def test_shards_in_turn_give_the_bits_of_one_run(toy_store, tmp_path, computed):
    store = tmp_path / "small.zarr"
    for number in (2, 3):
        cube = sweep.run(toy(), store, workers=1, shard=(number, 3))
        assert not cube.attrs["complete"]
    held = set(receipts(store))
    cube = sweep.run(toy(), store, workers=1, shard=(1, 3))
    assert cube.attrs["complete"]
    assert len(computed) == len(set(computed)) == 24
    assert 0 < len(held) < 24
    assert sorted(file.name for file in (store / "ledger").iterdir()) == [
        "1-of-3.jsonl",
        "2-of-3.jsonl",
        "3-of-3.jsonl",
        "head.json",
        "lock",
        "whole.jsonl",
    ]
    assert_same_bits(store, toy_store)


@pytest.mark.slow
def test_shards_at_the_same_time(toy_store, tmp_path):
    """Each in a process of its own, all beginning with no store; whoever is last finishes it."""
    program = f"""
        import sys
        import jax
        jax.config.update("jax_num_cpu_devices", 1)
        import sweep
        from sweep.spec import loads
        sweep.run(loads({TOY!r}), sys.argv[1], workers=1, shard=(int(sys.argv[2]), 3))
    """
    store = tmp_path / "small.zarr"
    running = [subprocess.Popen([sys.executable, "-c", textwrap.dedent(program), str(store), str(number)]) for number in (1, 2, 3)]
    assert [each.wait(timeout=300) for each in running] == [0, 0, 0]
    assert sweep.open_cube(store).attrs["complete"]
    assert [path.name for path in tmp_path.iterdir()] == ["small.zarr"]
    assert_same_bits(store, toy_store)


@pytest.mark.slow
def test_merge_finishes_what_shards_left(plain_store, tmp_path, monkeypatch, computed):
    store = tmp_path / "plain.zarr"
    sweep.run(plain(), store, workers=1, shard=(1, 2))
    assert merge(plain(), Folder(store)) is False
    with monkeypatch.context() as patch:
        patch.setattr("sweep.coordinator.merge", lambda *_, **__: False)
        sweep.run(plain(), store, workers=1, shard=(2, 2))
    assert len(computed) == 4
    assert merge(plain(), Folder(store)) is True
    assert merge(plain(), Folder(store)) is True
    assert len(computed) == 4
    assert_same_bits(store, plain_store)


def test_shares_in_stores_of_their_own_are_copied_into_one_and_merged(plain_store, tmp_path, computed):
    """As `cp -rn b.zarr/. a.zarr/` does, what is there stays."""
    here, there = tmp_path / "a.zarr", tmp_path / "b.zarr"
    for number, store in ((1, here), (2, there)):
        sweep.run(plain(), store, workers=1, shard=(number, 2))
    assert missing_shares(plan_of(plain(), Folder(here)), ledger.read(Folder(here))) == ["2/2"]
    shutil.copytree(there, here, dirs_exist_ok=True, copy_function=lambda old, new: None if Path(new).exists() else shutil.copy(old, new))
    assert merge(plain(), Folder(here)) is True
    assert len(computed) == 4
    assert_same_bits(here, plain_store)


def test_a_whole_run_goes_on_where_shards_stopped(plain_store, tmp_path, computed):
    store = tmp_path / "plain.zarr"
    sweep.run(plain(), store, workers=1, shard=(2, 2))
    sweep.run(plain(), store, workers=1)
    assert len(computed) == len(set(computed)) == 4
    assert_same_bits(store, plain_store)


@pytest.mark.slow
def test_shards_extend_together(tmp_path, computed):
    store, once = tmp_path / "plain.zarr", tmp_path / "once.zarr"
    sweep.run(plain(), store, workers=1)
    computed.clear()
    for number in (1, 2):
        cube = sweep.run(plain(draws=2000), store, workers=1, shard=(number, 2))
    assert cube.attrs["complete"]
    assert len(computed) == len(set(computed)) == 4
    sweep.run(plain(draws=2000), once, workers=1)
    assert_same_bits(store, once)


def test_an_excess_of_the_draws_before_does_not_stop_the_shards_that_extend_them(plain_store, tmp_path):
    store = shutil.copytree(plain_store, tmp_path / "plain.zarr")
    CubeStore(Folder(store)).set_attributes({"numerical_error": 1.0})
    cube = sweep.run(plain(draws=2000), store, workers=1, shard=(1, 2))
    assert not cube.attrs["complete"]
    assert not cube.attrs.keys() & set(MEASURED)
    assert sweep.run(plain(draws=2000), store, workers=1, shard=(2, 2)).attrs["numerical_error"] < plain().tolerance


@pytest.mark.slow
def test_an_interrupted_shard_goes_on(plain_store, tmp_path, computed):
    def interrupt(state):
        raise KeyboardInterrupt

    store = tmp_path / "plain.zarr"
    with pytest.raises(Interrupted, match="stopped with 1 of 2 tiles done"):
        sweep.run(plain(), store, workers=1, shard=(1, 2), progress=interrupt)
    for number in (1, 2):
        sweep.run(plain(), store, workers=1, shard=(number, 2))
    assert len(computed) == len(set(computed)) + 1 == 5 or len(computed) == 4
    assert_same_bits(store, plain_store)


@pytest.fixture
def all_tiles(tmp_path, monkeypatch, computed):
    """A store whose shards have computed all tiles, and none of which has finished it."""
    store = tmp_path / "plain.zarr"
    shards_without_a_last(store, monkeypatch)
    monkeypatch.setattr(coordinator, "_LOOK_SECONDS", 0.1)
    yield store
    assert len(computed) == 4


@pytest.mark.slow
def test_a_shard_waits_for_one_that_finishes(all_tiles, plain_store, monkeypatch):
    begun, waited_for, told = threading.Event(), threading.Event(), []

    def slow(*what):
        begun.set()
        assert waited_for.wait(60)
        return write_statistics(*what)

    def announce(line):
        told.append(line)
        waited_for.set()

    monkeypatch.setattr(coordinator, "write_statistics", slow)
    with ThreadPoolExecutor(1) as pool:
        finishing = pool.submit(sweep.run, plain(), all_tiles, workers=1, shard=(1, 2))
        assert begun.wait(60)
        with pytest.raises(RunError, match="another run is writing this store"):
            sweep.run(plain(), all_tiles, workers=1)
        assert sweep.run(plain(), all_tiles, workers=1, shard=(2, 2), announce=announce).attrs["complete"]
        assert finishing.result(timeout=60).attrs["complete"]
    assert told == [f"{all_tiles}: all tiles are done; waiting for another launcher that finishes the sweep"]
    assert_same_bits(all_tiles, plain_store)


@pytest.mark.slow
def test_a_shard_finishes_what_one_leaves_that_dies_while_it_finishes(all_tiles, plain_store):
    with ExitStack() as other:
        other.enter_context(ledger.hold(Folder(all_tiles)))
        assert sweep.run(plain(), all_tiles, workers=1, shard=(2, 2), announce=lambda line: other.close()).attrs["complete"]
    assert_same_bits(all_tiles, plain_store)


@pytest.mark.slow
def test_a_shard_beside_its_like_is_refused(tmp_path):
    store = tmp_path / "plain.zarr"

    def launch_another(state):
        with pytest.raises(RunError, match=r"the run of shard 1/2 is writing this store \(pid \d+ on "):
            sweep.run(plain(), store, workers=1, shard=(1, 2))
        with pytest.raises(RunError, match="the run of shard 1/2"):
            sweep.run(plain(), store, workers=1)
        with pytest.raises(RunError, match="the run of shard 1/2"):
            sweep.run(plain(), store, workers=1, shard=(1, 3))

    sweep.run(plain(), store, workers=1, shard=(1, 2), progress=launch_another)
