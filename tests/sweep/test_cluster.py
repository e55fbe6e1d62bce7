"""The dask executor: the same bits on workers of this machine or of a cluster, whoever dies meanwhile, and nothing left behind."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner
from distributed import Client

import sweep
from sweep import ledger
from sweep.cli import main
from sweep.coordinator import Interrupted, RunError
from sweep.execute import cluster
from sweep.execute.cluster import Cluster, ClusterError, ClusterLost
from sweep.execute.tile import Job
from sweep.places import place_of
from sweep.plan import make_plan
from sweep.prepare import prepared
from tests.sweep.studies import PLAIN, assert_same_bits, plain, records, rewrite, toy
from tests.sweep.waiting import until

OBEYING = '''
import json
import os
import signal
import time
from pathlib import Path

import jax
import numpy as np

from kernels.models.toy_model import ToyModel

FOLDER = Path(__file__).parent


def noted(what):
    """Add this process to a list in the folder; returns all that are on it."""
    with (FOLDER / what).open("a") as file:
        file.write(f"{os.getpid()}\\n")
    return (FOLDER / what).read_text().split()


def obeyed(horizon, growth):
    orders = json.loads((FOLDER / "orders.json").read_text())
    value = float(np.asarray(growth).flat[0])
    if value in orders.get("deadly", ()):
        noted("deaths")
        os.kill(os.getpid(), signal.SIGKILL)
    if value in orders.get("broken", ()):
        noted("tries")
        raise ValueError("this cell is broken")
    until = time.monotonic() + 60
    while len(set(noted("met"))) < orders.get("meet", 1):
        if time.monotonic() > until:
            raise ValueError("nobody came")
        time.sleep(0.05)
    return np.asarray(horizon)


class Obeying(ToyModel):
    """The toy model, which looks into a file beside its own for what to do in some cells."""

    name = "obeying"
    title = "A toy model that obeys"

    def solve(self, parameters, options, budget):
        horizon, growth = parameters["horizon"], parameters["paper_growth_factor"]
        shape = jax.ShapeDtypeStruct(horizon.shape, horizon.dtype)
        horizon = jax.pure_callback(obeyed, shape, horizon, growth, vmap_method="sequential")
        return super().solve({**parameters, "horizon": horizon}, options, budget)
'''


def children() -> list[int]:
    """The processes of workers that this process has started."""
    found = []
    for process in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            if f"\nPPid:\t{os.getpid()}\n" in (process / "status").read_text() and b"dask_worker" in (process / "cmdline").read_bytes():
                found.append(int(process.name))
    return found


def receipts(store: Path) -> dict[str, dict]:
    return ledger.read(place_of(store)).receipts


def kill(process: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


@pytest.fixture
def orders(tmp_path):
    """The plain study of a model that obeys orders, in five cells, and what gives the orders."""
    axes = "[axes]\npaper_growth_factor = { values = [1.5, 2, 2.5, 2.75, 3.5] }\n"
    text = PLAIN.replace('"toy_model"', '"obeying.py:Obeying"').replace("draws = 1024", "draws = 256") + axes
    (tmp_path / "obeying.py").write_text(OBEYING)
    (tmp_path / "study.toml").write_text(text)

    def order(**given):
        (tmp_path / "orders.json").write_text(json.dumps(given))
        return sweep.load(tmp_path / "study.toml")

    return order


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """Where temporary files go; empty again afterwards, and without workers left."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []
    assert children() == []


# --- workers of this machine -------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_workers_that_die_are_replaced_and_no_bit_is_lost(toy_store, tmp_path, scratch):
    store, told, pinned, refused = tmp_path / "small.zarr", [], [], []
    killed: set[int] = set()

    def listen(state):
        if state.tiles_done == 1:
            pinned.extend(os.sched_getaffinity(process) for process in children())
            with pytest.raises(RunError, match="another run is writing this store"):
                sweep.run(toy(), store, workers=1)
            refused.append(True)
        # One, and later all that there are.
        if state.tiles_done in (3, 9):
            found = children()[: 1 if state.tiles_done == 3 else None]
            killed.update(found)
            for process in found:
                kill(process)

    level = logging.getLogger("distributed").level
    sweep.run(toy(), store, executor="dask", workers=2, progress=listen, announce=told.append)
    assert_same_bits(store, toy_store)
    assert refused
    assert len(pinned) == 2
    assert not pinned[0] & pinned[1] or len(os.sched_getaffinity(0)) == 1
    assert len([line for line in told if "ended (killed by SIGKILL); another is started" in line]) == len(killed) >= 2
    assert not [line for line in told if "left out" in line]
    assert logging.getLogger("distributed").level == level


@pytest.mark.slow
def test_a_tile_that_kills_and_one_that_fails_are_told_of_and_the_rest_is_done(orders, tmp_path, scratch):
    spec, store = orders(deadly=[2.5], broken=[2]), tmp_path / "cube.zarr"
    with pytest.raises(Interrupted, match=r"2 of 5 tiles failed"):
        sweep.run(spec, store, executor="dask", workers=2)
    found = ledger.read(place_of(store))
    assert set(found.receipts) == {"0:1/0", "3:4/0", "4:5/0"}
    assert found.failures["2:3/0"]["failed"] == "killed 3 workers"
    assert (found.failures["1:2/0"]["tries"], "callback" in found.failures["1:2/0"]["failed"]) == (2, True)
    assert len((tmp_path / "deaths").read_text().split()) == 3
    assert len((tmp_path / "tries").read_text().split()) == 2


@pytest.mark.slow
def test_a_disk_that_cannot_be_written_ends_the_run_as_it_does_inline(plain_store, tmp_path, scratch, monkeypatch):
    store = tmp_path / "plain.zarr"
    prepared(plain(), place_of(store), 1, "whole")
    in_the_way = store / "partials" / "sum" / "c"
    in_the_way.write_text("a file where a folder should be")
    # A path as a user gives it; workers have a folder of their own.
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError, match=r"^plain\.zarr: ") as dask:
        sweep.run(plain(), "plain.zarr", executor="dask", workers=1)
    with pytest.raises(RunError) as inline:
        sweep.run(plain(), "plain.zarr", workers=1)
    assert str(dask.value) == str(inline.value)
    assert not receipts(store)
    in_the_way.unlink()

    def stop(state):
        raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="stopped with 1 of 4 tiles done"):
        sweep.run(plain(), "plain.zarr", executor="dask", workers=1, progress=stop)
    assert children() == []
    (done,) = receipts(store).items()
    result = CliRunner().invoke(main, ["run", _saved(tmp_path), "-o", "plain.zarr", "--executor", "dask", "--workers", "1"])
    assert result.exit_code == 0, result.output
    assert_same_bits(store, plain_store)
    assert receipts(store)[done[0]] == done[1]


def _saved(folder: Path) -> str:
    (folder / "plain.toml").write_text(PLAIN)
    return str(folder / "plain.toml")


@pytest.mark.slow
def test_a_script_without_a_guard_starts_no_device_itself(plain_store, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(f"""
        import jax
        import sweep
        sweep.run(sweep.load({_saved(tmp_path)!r}), "plain.zarr", executor="dask", workers=1)
        from jax._src import xla_bridge
        print("started" if xla_bridge.backends_are_initialized() else "none")
        """)
    )
    path = os.pathsep.join((str(Path(sweep.__file__).parents[1]), os.environ.get("PYTHONPATH", "")))
    environment = {**os.environ, "PYTHONPATH": path, "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("none\n", "")
    assert_same_bits(tmp_path / "plain.zarr", plain_store)
    assert {path.name for path in tmp_path.iterdir()} == {"script.py", "plain.toml", "plain.zarr"}


@pytest.mark.slow
def test_workers_end_with_a_coordinator_that_is_killed(orders, tmp_path):
    spec = orders(meet=2)
    program = f"import sweep; sweep.run(sweep.load({str(spec.path)!r}), 'cube.zarr', executor='dask', workers=1)"
    path = os.pathsep.join((str(Path(sweep.__file__).parents[1]), os.environ.get("PYTHONPATH", "")))
    (tmp_path / "scratch").mkdir()
    environment = {**os.environ, "PYTHONPATH": path, "TMPDIR": str(tmp_path / "scratch")}
    with subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path, env=environment) as coordinator:
        until((tmp_path / "met").exists)
        worker = int((tmp_path / "met").read_text().split()[0])
        coordinator.kill()
    # It sits in a tile that waits for another process.
    with (tmp_path / "met").open("a") as file:
        file.write("0\n")
    until(lambda: not Path(f"/proc/{worker}").exists())
    assert list((tmp_path / "scratch").iterdir()) == []


# --- a scheduler that runs already -------------------------------------------------------------------------------------------------------


class Outside:
    """A dask scheduler and workers, started as by a user."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.workers: list[subprocess.Popen] = []
        self.path = os.pathsep.join((str(Path(sweep.__file__).parents[1]), os.environ.get("PYTHONPATH", "")))
        file = folder / "scheduler.json"
        self.scheduler = self._run("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", file)
        self.address = until(lambda: file.exists() and file.read_text() and json.loads(file.read_text())["address"])

    def _run(self, command: str, *arguments: object) -> subprocess.Popen:
        words = [sys.executable, "-m", f"distributed.cli.dask_{command}", *map(str, arguments)]
        environment = {**os.environ, "PYTHONPATH": self.path, "DASK_TEMPORARY_DIRECTORY": str(self.folder)}
        return subprocess.Popen(words, env=environment, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def start_worker(self) -> subprocess.Popen:
        options = ("--nthreads", 1, "--no-nanny", "--no-dashboard", "--host", "127.0.0.1", "--local-directory", self.folder)
        self.workers.append(self._run("worker", self.address, *options))
        return self.workers[-1]

    def only(self, count: int) -> None:
        """Let there be so many workers that have not been used by a test before that killed some."""
        self.workers = [worker for worker in self.workers if worker.poll() is None]
        while len(self.workers) < count:
            self.start_worker()
        for worker in self.workers[count:]:
            worker.kill()
            worker.wait()
        with Client(self.address, set_as_default=False) as client:
            until(lambda: len(client.scheduler_info()["workers"]) == count)

    def close(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def shared_outside(tmp_path_factory):
    found = Outside(tmp_path_factory.mktemp("outside"))
    yield found
    found.close()


@pytest.fixture
def outside(shared_outside):
    """One scheduler with one worker."""
    shared_outside.only(1)
    return shared_outside


@pytest.mark.slow
def test_an_existing_scheduler(outside, plain_store, tmp_path):
    store = tmp_path / "plain.zarr"
    result = CliRunner().invoke(main, ["run", _saved(tmp_path), "-o", str(store), "--scheduler", outside.address])
    assert result.exit_code == 0, result.output
    assert_same_bits(store, plain_store)
    with Client(outside.address, set_as_default=False) as client:
        # Nothing of the run stays with them.
        assert list(client.run(_jobs).values()) == [0]
        assert not client.run_on_scheduler(_tasks)


@pytest.mark.slow
def test_workers_of_another_jaxlib_do_not_take_a_finished_cube_away(outside, plain_store, tmp_path):
    store = shutil.copytree(plain_store, tmp_path / "plain.zarr")
    rewrite(store, [record | {"jaxlib": "0.0.1"} if "crc" in record else record for record in records(store)])
    with pytest.raises(RunError, match=r"jaxlib was 0\.0\.1, is .*--mix"):
        sweep.run(plain(draws=2048), store, scheduler=outside.address)
    assert sweep.open_cube(store).attrs["draws"] == 1024


def _jobs() -> int:
    from sweep.execute import worker

    return len(worker._HELD)


def _tasks(dask_scheduler):
    return len(dask_scheduler.tasks)


@pytest.mark.slow
def test_a_worker_that_comes_late_gets_tiles(outside, orders, tmp_path):
    # No tile ends before two workers have begun one each.
    spec = orders(meet=2)

    def come():
        until((tmp_path / "met").exists)
        outside.start_worker()

    coming = threading.Thread(target=come)
    coming.start()
    cube = sweep.run(spec, tmp_path / "cube.zarr", scheduler=outside.address)
    coming.join()
    assert (cube["status"] == 1).all()
    assert len(set((tmp_path / "met").read_text().split())) == 2


@pytest.mark.slow
def test_all_workers_go_and_one_comes(outside, toy_store, tmp_path):
    told = []

    def listen(state):
        if state.tiles_done == 4:
            outside.workers[0].kill()

    def announce(line):
        told.append(line)
        if "waiting for workers" in line:
            outside.start_worker()

    sweep.run(toy(), tmp_path / "small.zarr", scheduler=outside.address, progress=listen, announce=announce)
    assert told.count(f"{outside.address}: waiting for workers") == 1
    assert_same_bits(tmp_path / "small.zarr", toy_store)


@pytest.mark.slow
def test_a_scheduler_that_is_gone_ends_the_run_which_then_goes_on(toy_store, tmp_path, computed):
    (tmp_path / "outside").mkdir()
    outside, store = Outside(tmp_path / "outside"), tmp_path / "small.zarr"
    try:
        outside.only(1)

        def listen(state):
            if state.tiles_done == 5:
                outside.scheduler.kill()

        with pytest.raises((ClusterLost, Interrupted), match="the dask scheduler is gone; what is finished is kept"):
            sweep.run(toy(), store, scheduler=outside.address, progress=listen)
        until(lambda: outside.workers[0].poll() is not None)
    finally:
        outside.close()
    before = receipts(store)
    assert 5 <= len(before) < 24
    sweep.run(toy(), store, workers=1)
    assert not set(computed) & set(before)
    assert_same_bits(store, toy_store)


def test_no_scheduler_there(monkeypatch):
    monkeypatch.setattr(cluster, "_CONNECT_SECONDS", 0.2)
    plan = make_plan(plain(), 1)
    job = Job(plan.spec, "plain.zarr", plan.policy, plan.study.counted)
    for address in ("tcp://127.0.0.1:9", "nothing://127.0.0.1:9"):
        with pytest.raises(ClusterError, match=f"{address}: no dask scheduler answers there"), Cluster(job, None, address, print):
            pass
