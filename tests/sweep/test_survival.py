"""Sweeps survive: killed at any moment, damaged in any way that the ledger can see, they end in the cube of an undisturbed run."""

from __future__ import annotations

import datetime
import functools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

import sweep
from sweep import ledger
from sweep.coordinator import Interrupted
from sweep.cube import CubeError, attributes
from sweep.execute import inline
from sweep.places import Folder
from sweep.prepare import plan_of
from sweep.verify import verify, withdraw
from tests.sweep.studies import PLAIN, assert_same_bits, journal, plain, receipts, records

ROOT = Path(__file__).parents[2]
SOAK_RESULT = ROOT / "tests" / "soak" / "crash_loop.json"

# --- kills -------------------------------------------------------------------------------------------------------------------------------

TILES = 60
CRASHING = PLAIN.replace("draws = 1024", f"draws = {256 * TILES}")
PROGRAM = f"""
    import sys
    if __name__ == "__main__":
        import jax
        jax.config.update("jax_num_cpu_devices", 2)
        import sweep
        from sweep.spec import loads
        sweep.run(loads({CRASHING!r}), sys.argv[1], workers=2, executor=sys.argv[2])
"""


def wait_for(condition, running, seconds=120.0):
    """Whether the condition came true before the process ended."""
    deadline = time.monotonic() + seconds
    while not condition():
        if running.poll() is not None:
            return False
        assert time.monotonic() < deadline
        time.sleep(0.002)
    return True


def crash_loop(folder: Path, executor: str, kills: int, seed: int, config: str = CRASHING, tiles: int = TILES) -> dict[str, Any]:
    """Run a sweep, killing the coordinator or one of its workers at random moments so many times, until it is done."""
    rng, store = random.Random(seed), folder / "plain.zarr"
    program = folder / "program.py"
    program.write_text(textwrap.dedent(PROGRAM.replace(repr(CRASHING), repr(config))))
    killed: Counter[str] = Counter()
    starts, sizes = 0, 0
    peaks: list[int] = []
    while True:
        starts += 1
        assert starts <= 3 * kills + 3
        running = subprocess.Popen([sys.executable, str(program), str(store), executor], stderr=subprocess.PIPE)
        while sum(killed.values()) < kills:
            before = len(receipts(store)) if journal(store).exists() else 0
            more = rng.randrange(max(1, (tiles - before) // (kills - sum(killed.values()) + 1)) + 1)
            if not wait_for(lambda before=before, more=more: journal(store).exists() and len(receipts(store)) >= before + more, running):
                break
            time.sleep(rng.random() * 0.05)
            peaks.append(psutil.Process(running.pid).memory_info().rss)
            # The only children are dask's workers.
            children = psutil.Process(running.pid).children()
            victim = rng.choice([None, *children]) if executor == "dask" else None
            if victim is None:
                running.send_signal(signal.SIGKILL)
                killed["coordinator"] += 1
                break
            victim.send_signal(signal.SIGKILL)
            killed["worker"] += 1
        _, errors = running.communicate(timeout=300)
        sizes = max(sizes, journal(store).stat().st_size)
        if running.returncode == 0:
            break
        assert running.returncode == -signal.SIGKILL, errors.decode()
    return {"kills": dict(killed), "starts": starts, "ledger_bytes": sizes, "resident_bytes_at_kills": peaks}


def assert_survived(store: Path, untouched: Path) -> None:
    assert_same_bits(store, untouched)
    done = Counter(record["tile"] for record in records(store) if "crc" in record)
    assert len(done) == TILES
    assert set(done.values()) == {1}, "a tile with a receipt was computed again"
    assert not [path for path in store.parent.rglob("*") if path.name.endswith((".partial", ".new"))]
    assert {path.name for path in store.iterdir()} == {"draws", "ledger", "partials", "provenance", "statistics", "status", "zarr.json"}


@pytest.fixture(scope="module")
def untouched(tmp_path_factory):
    store = tmp_path_factory.mktemp("untouched") / "plain.zarr"
    sweep.run(plain(draws=256 * TILES), store, workers=2)
    return store


@pytest.mark.slow
@pytest.mark.parametrize(("executor", "kills"), [("inline", 2), ("dask", 2)])
def test_killed_at_random_moments(tmp_path, untouched, executor, kills):
    crash_loop(tmp_path, executor, kills, seed=int.from_bytes(os.urandom(4)))
    assert_survived(tmp_path / "plain.zarr", untouched)


@pytest.mark.soak
def test_killed_many_times(tmp_path, untouched):
    found: dict[str, Any] = {"date": datetime.date.today().isoformat(), "tiles": TILES}
    for executor in ("inline", "dask"):
        folder = tmp_path / executor
        folder.mkdir()
        found[executor] = crash_loop(folder, executor, 50, seed=1)
        assert_survived(folder / "plain.zarr", untouched)
    SOAK_RESULT.parent.mkdir(exist_ok=True)
    SOAK_RESULT.write_text(json.dumps(found, indent=2) + "\n")


@pytest.mark.soak
def test_a_hundred_million_draws_with_kills(tmp_path):
    """Statistics only, 1e8 draws: the memory at the kills does not grow, and the statistics are those of an undisturbed run."""
    spec = sweep.load(ROOT / "configs" / "davidson_houlden_2025.toml").replace({"store.draws": "none", "run.tile": 1 << 20}, draws=10**8)
    tiles = -(-(10**8) // (1 << 20))
    found = crash_loop(tmp_path, "inline", 12, seed=2, config=spec.to_toml(), tiles=tiles)
    sweep.run(spec, tmp_path / "untouched.zarr", workers=2)
    assert_same_bits(tmp_path / "plain.zarr", tmp_path / "untouched.zarr")
    resident = found["resident_bytes_at_kills"]
    assert max(resident) < 1.5 * 2**30
    (SOAK_RESULT.parent / "hundred_million.json").write_text(
        json.dumps({"date": datetime.date.today().isoformat(), "draws": 10**8, "tiles": tiles, **found}, indent=2) + "\n"
    )


# --- every other damage, against a model -------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """Stands for a kill: nothing in the engine may take it for an error of its own."""


_program = inline.program


@functools.cache
def _compiled(blocks: int) -> Any:
    return _program(inline_plan(blocks))


def inline_plan(blocks: int) -> Any:
    from sweep.plan import TilePolicy, make_plan

    return make_plan(plain(), 1, TilePolicy((), blocks))


class Survival(RuleBasedStateMachine):
    """A store of the plain study, and a dictionary that says what it must hold."""

    folder: Path
    reference: dict[int, Path]

    @initialize(draws=st.sampled_from([300, 600, 1024]), tile=st.sampled_from([256, 512]))
    def begin(self, draws, tile):
        self.store = Path(tempfile.mkdtemp(dir=self.folder)) / "plain.zarr"
        self.draws, self.tile = draws, tile
        self.done: dict[str, tuple[int, int]] = {}
        self.damaged: set[str] = set()
        self.complete = False

    def spec(self, draws=None):
        return plain(draws=draws or self.draws, run__tile=self.tile)

    def tiles(self):
        return {tile.name: (tile.first_block, tile.draws) for tile in plan_of(self.spec(), Folder(self.store)).tiles()}

    def missing(self):
        wanted = self.tiles()
        return [name for name, what in wanted.items() if self.done.get(name) != what]

    def run(self, draws=None, progress=lambda state: None):
        """Run, keeping the model up to date from what the progress says and nothing else."""
        computed = []
        compute = inline.compute

        def counting(compiled, plan, tile, device):
            computed.append(tile)
            return compute(compiled, plan, tile, device)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(inline, "compute", counting)
            patch.setattr(inline, "program", lambda plan: _compiled(plan.policy.blocks))
            try:
                sweep.run(self.spec(draws), self.store, workers=1, progress=progress)
            finally:
                self.draws = draws or self.draws
                for tile in computed:
                    assert self.done.get(tile.name) != (tile.first_block, tile.draws), "computed again"
        self.complete = True
        self.done = self.tiles()

    @rule(count=st.integers(1, 3))
    @precondition(lambda self: not self.complete and not self.damaged)
    def run_some_tiles(self, count):
        names = []

        def stop(state):
            names.append(state.tiles_done)
            if len(names) == count:
                raise KeyboardInterrupt

        try:
            self.run(progress=stop)
        except Interrupted:
            held = {name: (receipt["first_block"], receipt["draws"]) for name, receipt in receipts(self.store).items()}
            gained = {name for name, what in held.items() if self.done.get(name) != what}
            assert len(gained) == count
            self.done = held

    @rule()
    @precondition(lambda self: not self.complete and not self.damaged)
    def be_killed_between_data_and_receipt(self):
        append = ledger.Ledger.append

        def killed(book, record):
            if "crc" in record or "finished" in record:
                raise Killed
            append(book, record)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ledger.Ledger, "append", killed)
            with pytest.raises(Killed):
                self.run()

    @rule()
    def run_to_the_end(self):
        if not self.damaged:
            self.run()
            assert_same_bits(self.store, self.reference[self.draws])

    @rule(more=st.sampled_from([1024, 1300, 1536]))
    @precondition(lambda self: not self.damaged)
    def extend(self, more):
        if more > self.draws and self.store.exists():
            self.complete = False
            self.run(more)
            assert_same_bits(self.store, self.reference[self.draws])

    @rule(cut=st.integers(1, 40))
    @precondition(lambda self: not self.complete and self.done and not self.damaged)
    def tear_the_last_line(self, cut):
        file = journal(self.store)
        content = file.read_bytes()
        lines = content.splitlines()
        torn = ledger.opened(lines[-1])
        file.write_bytes(content[: -min(cut, len(lines[-1]))])
        if torn is not None and "crc" in torn:
            # An earlier receipt of the same tile, of fewer draws, is no receipt of the tile as it is now.
            self.done.pop(torn["tile"])
            for name, receipt in receipts(self.store).items():
                self.done[name] = (receipt["first_block"], receipt["draws"])

    def chunks(self):
        return sorted(path for group in ("draws", "partials") for path in (self.store / group).rglob("c/*") if path.is_file())

    @rule(data=st.data())
    @precondition(lambda self: self.complete and not self.damaged)
    def corrupt_a_byte(self, data):
        file = data.draw(st.sampled_from(self.chunks()))
        content = bytearray(file.read_bytes())
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] ^= 1 << data.draw(st.integers(0, 7))
        file.write_bytes(content)
        self.damaged.add(str(file.relative_to(self.store)))

    @rule(data=st.data())
    @precondition(lambda self: self.complete and not self.damaged)
    def delete_a_file(self, data):
        file = data.draw(st.sampled_from(self.chunks()))
        file.unlink()
        self.damaged.add(str(file.relative_to(self.store)))

    @rule()
    @precondition(lambda self: self.complete)
    def verify_and_repair(self):
        place = Folder(self.store)
        found = verify(place, self.spec())
        # A changed bit that decodes to the same numbers, in a header's unused place, is none that a number depends on.
        named = {damage.array for damage in found.damage}
        assert named <= {name.partition("/c/")[0] for name in self.damaged}
        self.damaged.clear()
        if found.damage:
            withdraw(place, self.spec(), found)
            for tile in found.damaged_tiles:
                del self.done[tile.name]
            self.complete = False
            self.run()
        assert verify(place, self.spec()).damage == ()
        assert_same_bits(self.store, self.reference[self.draws])

    @invariant()
    def what_is_there_is_what_was_done(self):
        if not hasattr(self, "store") or not self.store.exists():
            return
        assert bool(attributes(Folder(self.store))["complete"]) == self.complete
        held = {name: (receipt["first_block"], receipt["draws"]) for name, receipt in receipts(self.store).items()}
        assert held == {name: what for name, what in self.done.items() if name in held}
        assert {name for name, what in self.tiles().items() if held.get(name) == what} == {
            name for name, what in self.tiles().items() if self.done.get(name) == what
        }
        if self.complete:
            assert sweep.open_cube(self.store).attrs["draws"] == self.draws
        else:
            with pytest.raises(CubeError, match="not finished"):
                sweep.open_cube(self.store)

    def teardown(self):
        if hasattr(self, "store"):
            shutil.rmtree(self.store.parent, ignore_errors=True)


@pytest.mark.slow
def test_a_store_against_a_model(tmp_path_factory):
    Survival.folder = tmp_path_factory.mktemp("survival")
    Survival.reference = {}
    for draws in (300, 600, 1024, 1300, 1536):
        Survival.reference[draws] = Survival.folder / f"{draws}.zarr"
        sweep.run(plain(draws=draws), Survival.reference[draws], workers=1)
    run_state_machine_as_test(
        Survival, settings=settings(max_examples=4, stateful_step_count=10, deadline=None, suppress_health_check=list(HealthCheck))
    )
