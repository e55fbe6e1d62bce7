"""The inline executor: all tiles once, on all devices, with failures told of and the rest done."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import pytest

from sweep.execute import inline
from sweep.execute.inline import cores, devices, run_tiles
from sweep.execute.tile import Computed, TileFailed
from sweep.plan import make_plan
from tests.sweep.studies import plain


@dataclass(frozen=True)
class Device:
    """Stands for a device of JAX."""

    id: int
    platform: str = "cpu"


@pytest.fixture
def compute(monkeypatch):
    """Replaces the computing of a tile by a function of the tile; nothing is compiled."""

    class Program:
        def compile(self, device):
            pass

    monkeypatch.setattr(inline, "program", lambda plan: Program())

    def use(function):
        def computing(compiled, plan, tile, device):
            function(tile)
            return Computed(tile, {}, 0.0, f"fake:{device.id}", 256)

        monkeypatch.setattr(inline, "compute", computing)

    use(lambda tile: None)
    return use


def chains_of(draws=256 * 20):
    plan = make_plan(plain(draws=draws), 1)
    return plan, list(plan.chains())


def threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("device-")]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_every_tile_once_on_every_device(compute, count):
    compute(lambda tile: time.sleep(0.005))
    plan, chains = chains_of()
    results = list(run_tiles(plan, chains, [Device(index) for index in range(count)]))
    done = [result for result in results if isinstance(result, Computed)]
    assert sorted(result.tile.column for result in done) == list(range(20))
    assert len({result.device for result in done}) == count
    assert not threads()


@pytest.mark.parametrize(("platform", "at_once"), [("cpu", 1), ("gpu", 2)])
def test_an_accelerator_has_its_next_tile_queued(compute, platform, at_once):
    lock, running, most = threading.Lock(), [0], [0]

    def busy(tile):
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.02)
        with lock:
            running[0] -= 1

    compute(busy)
    plan, chains = chains_of()
    results = list(run_tiles(plan, chains, [Device(0, platform)]))
    assert sorted(result.tile.first_block for result in results) == sorted(tile.first_block for chain in chains for tile in chain)
    assert most == [at_once]


def test_no_tiles_no_results(compute):
    assert list(run_tiles(chains_of()[0], [], [Device(0)])) == []


def test_a_tile_is_tried_again(compute):
    tried = []

    def once(tile):
        tried.append(tile.column)
        if tile.column == 3 and tried.count(3) == 1:
            raise RuntimeError("for once")

    compute(once)
    plan, chains = chains_of()
    results = list(run_tiles(plan, chains, [Device(0)]))
    assert all(isinstance(result, Computed) for result in results)
    assert len(results) == 20
    assert tried.count(3) == 2


@pytest.mark.parametrize("error", [RuntimeError("broken"), MemoryError("broken")])
def test_a_tile_that_fails_twice_is_told_of_and_the_rest_goes_on(compute, error):
    def never(tile):
        if tile.column == 3:
            raise error

    compute(never)
    plan, chains = chains_of()
    results = list(run_tiles(plan, chains, [Device(0), Device(1)]))
    (failed,) = [result for result in results if isinstance(result, TileFailed)]
    assert failed.tile.name == "/3"
    assert str(failed) == "tile /3: broken"
    assert len(results) == 20


def test_an_error_of_ours_is_raised(compute):
    def wrong(tile):
        raise TypeError("a mistake")

    compute(wrong)
    plan, chains = chains_of()
    with pytest.raises(TypeError, match="a mistake"):
        list(run_tiles(plan, chains, [Device(0)]))
    assert not threads()


def test_closing_ends_the_work_early(compute):
    started = []
    compute(lambda tile: started.append(tile.column))
    plan, chains = chains_of()
    results = run_tiles(plan, chains, [Device(0)])
    next(results)
    results.close()
    assert not threads()
    # One was asked for, two may wait in the queue, one for its place in it.
    assert len(started) <= 4


def test_finished_tiles_wait_in_bounded_number(compute):
    started = []
    compute(lambda tile: started.append(tile.column))
    plan, chains = chains_of()
    results = run_tiles(plan, chains, [Device(0)])
    next(results)
    time.sleep(0.3)
    assert len(started) <= 4
    assert len(list(results)) == 19


def test_there_is_a_device_for_each_core():
    assert len(devices(None)) == cores() >= 1
    assert len(devices(3)) == 3


def test_a_program_is_compiled_once_for_each_device(compute, monkeypatch):
    compiled, taken = [], set()

    class Program:
        def compile(self, device):
            compiled.append(device)

    monkeypatch.setattr(inline, "program", lambda plan: Program())

    def computing(tile):
        taken.add(threading.current_thread().name)
        time.sleep(0.005)

    compute(computing)
    plan, chains = chains_of()
    assert len(list(run_tiles(plan, chains, [Device(0), Device(1), Device(0)]))) == 20
    assert sorted(device.id for device in compiled) == [0, 1]
    assert taken == {"device-0", "device-1", "device-2"}


def test_the_real_thing():
    plan = make_plan(plain(), 1)
    result, *_ = run_tiles(plan, list(plan.chains()), devices(1))
    assert isinstance(result, Computed)
    assert result.arrays["valid"].sum() == 256
    assert result.device.startswith("cpu:")
    assert result.seconds > 0
