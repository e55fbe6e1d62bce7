"""Running a sweep: plan, store, ledger, executor, progress, statistics. The same call resumes, extends, or returns at once if done."""

from __future__ import annotations

import datetime
import errno
import os
import platform
import re
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from importlib.metadata import version
from numbers import Integral
from pathlib import Path
from typing import Any, Protocol, get_args

import jax
import xarray as xr

from sweep import ledger
from sweep.config import ExecutorName
from sweep.cube import attributes, open_cube
from sweep.errors import SpecError, near
from sweep.execute import inline
from sweep.execute.compilation import use_compilation_cache
from sweep.execute.tile import Job, Receipt, TileFailed, kind_of
from sweep.finalize import write_partial_statistics, write_statistics
from sweep.ledger import Contents, Ledger, LedgerError
from sweep.places import AddressError, Place, PlaceError, place_of
from sweep.places.place import WHOLE
from sweep.plan import Box, Plan, Tile, worthwhile_workers
from sweep.prepare import finished_draws, is_finished, prepared, shown
from sweep.progress import Listener, State, silent
from sweep.spec import Spec
from sweep.store import CubeStore

_SHARDS_PATIENCE = 1.0
"""Seconds that a shard waits for another launcher to let go of the store."""
_LOOK_SECONDS = 1.0
"""How often a shard looks whether another that finishes the sweep has ended."""
_EXECUTORS: tuple[str, ...] = get_args(ExecutorName)
_SCHEDULER = re.compile(r"inproc://\S+|((tcp|tls|ws|wss)://)?(\[[\w.:%]+\]|[^\s:/\[\]]+):(?P<port>\d{1,5})/?")
_PACKAGES = ("siesweep", "jax", "jaxlib", "numpy", "xarray", "zarr")

Chains = Sequence[Sequence[Tile]]


class RunError(Exception):
    """A run that could not go on. What it had finished is kept."""


class ToleranceError(RunError):
    """A finished run whose numerical error exceeds the tolerance of its spec."""


class Interrupted(RunError):
    """A run that was stopped, or some of whose tiles failed, before all was done. The same call goes on."""


class Executor(Protocol):
    """What computes and writes tiles; `kind` is what bits depend on beside the spec."""

    @property
    def kind(self) -> Mapping[str, str]: ...

    def receipts(self, chains: Chains) -> Generator[Receipt | TileFailed, None, None]:
        """Compute the tiles of every chain in order, the chains in any, and write them. Closing it ends early."""


def run(
    spec: Spec,
    store: str | Path,
    *,
    executor: str | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    shard: tuple[int, int] | None = None,
    progress: Listener = silent,
    announce: Callable[[str], None] = lambda message: None,
    mix_versions: bool = False,
) -> xr.DataTree:
    """Run a sweep into the cube at `store`, a path or URL, and open it.

    A store that holds part of the same sweep is resumed; one with fewer draws is extended; a finished one is opened. `executor` is
    "inline" (this process) or "dask", `workers` the number of devices or of dask's workers, by default as many as the sweep is worth;
    `scheduler` the address of a dask scheduler that runs already. `shard` = (k, n) runs the k-th of n shares, beside launchers that run
    the others; the last of them finishes the cube, and until then what is returned is partial. `progress` is told of every tile,
    `announce` what else there is to say.

    Raises TypeError where `spec` is no Spec or `store` no address, SpecError where an argument cannot be or the store holds something else
    or more draws, PlaceError where there can be no store at such an address, CubeError where what lies there is no cube that can be read,
    StoreError or RunError where the run cannot go on (a full disk, another run on the same store), ToleranceError where the finished run's
    numerical error exceeds the tolerance, Interrupted where tiles are missing.
    """
    _refuse_types(spec, store)
    _refuse_arguments(executor, workers, scheduler, shard)
    place = place_of(store)
    if place.address.startswith(("http://", "https://")):
        raise AddressError(f"{place.address}: a web server only gives what it has; write a path, or s3://BUCKET/NAME")
    _refuse_many_writers(spec, place, executor, scheduler, shard)
    launcher = WHOLE if shard is None else ledger.shard_name(*shard)
    try:
        if not is_finished(spec, place):
            use_compilation_cache()
            on = _devices(spec, executor, workers, scheduler)
            if scheduler is not None:
                _refuse_silent_scheduler(place, scheduler)
            plan = prepared(
                spec,
                place,
                len(on) or workers or spec.run.workers or inline.cores(),
                launcher,
                lambda: _refuse_other_bits(place, on, scheduler, mix_versions),
            )
            with _held(plan, place, launcher, announce) as book:
                _advance(
                    plan,
                    place,
                    book,
                    shard,
                    lambda cube: _executor(plan, place, cube, on, workers, scheduler, announce),
                    progress,
                    mix_versions,
                )
            if shard is not None:
                merge(spec, place, wait=True)
        elif attributes(place).get("start_date") != shown(spec)["start_date"]:
            _set_start(spec, place)
    except OSError as error:
        raise RunError(_disk_message(place, error)) from error
    except (LedgerError, PlaceError) as error:
        raise RunError(str(error)) from None
    except KeyboardInterrupt:
        raise Interrupted(f"{place.address}: stopped; the same command goes on from there") from None
    cube = open_cube(place, allow_partial=shard is not None)
    check_tolerance(spec, place, cube)
    return cube


def check_tolerance(spec: Spec, place: Place, cube: xr.DataTree) -> None:
    """Raises ToleranceError where the measured error of a finished cube exceeds the tolerance. Of one that is not, nothing is said."""
    error = cube.attrs.get("numerical_error", 0.0)
    # What is not a number is not within it either.
    if cube.attrs["complete"] and not error <= spec.tolerance:
        raise ToleranceError(
            f"{place.address}: the numerical error {error:.2g} exceeds the tolerance {spec.tolerance:g}; "
            'use precision = "float64", or a tolerance that the study can bear'
        )


def merge(spec: Spec, place: Place, wait: bool = False) -> bool:
    """Finish a sweep all of whose tiles have their receipts, as the last shard does. Returns whether it is finished now.

    With `wait`, other shards that are about to end are given a while to do so. Raises LedgerError where another launcher is at work.
    """
    plan = prepared(spec, place, 1, WHOLE)
    until = time.monotonic() + (10.0 if wait else 0.0)
    while not is_finished(spec, place):
        if missing_tiles(plan, ledger.read(place)):
            return False
        try:
            with ledger.hold(place) as book:
                if not is_finished(spec, place):
                    _finish(plan, CubeStore(place), book, ledger.read(place), {})
        except LedgerError:
            if time.monotonic() > until:
                if wait:
                    return False
                raise
            time.sleep(0.2)
    return True


def _refuse_types(spec: object, store: object) -> None:
    """Raises TypeError for what is no sweep, or no address of a store."""
    if not isinstance(spec, Spec):
        raise TypeError(f"sweep.run: spec = {spec!r} is a {type(spec).__name__}, not a Spec; give sweep.load(PATH)")
    if not isinstance(store, (str, os.PathLike)):
        raise TypeError(f"sweep.run: store = {store!r} is a {type(store).__name__}, not a path or URL; give e.g. 'results/study.zarr'")


def _refuse_arguments(executor: str | None, workers: int | None, scheduler: str | None, shard: tuple[int, int] | None) -> None:
    """Raises SpecError for what `siesweep run` would not take either."""
    if executor is not None and executor not in _EXECUTORS:
        raise SpecError("sweep.run", "executor", executor, "no such executor", near(str(executor), _EXECUTORS, "executors"))
    if executor == "inline" and scheduler is not None:
        raise SpecError("sweep.run", "executor", executor, "a scheduler is given, which is dask's", "leave out one of the two")
    if scheduler is not None and not _is_scheduler(scheduler):
        raise SpecError("sweep.run", "scheduler", scheduler, "not the address of a dask scheduler", "give e.g. tcp://HOST:8786")
    if workers is not None and not _counts(workers):
        raise SpecError("sweep.run", "workers", workers, "not a number of workers", "give 1 or more, or leave it out")
    is_pair = isinstance(shard, Sequence) and len(shard) == 2 and all(map(_counts, shard))
    if shard is not None and not (is_pair and shard[0] <= shard[1]):
        raise SpecError("sweep.run", "shard", shard, "not a share", "give (k, n) with k from 1 to n, e.g. (1, 4)")


def _is_scheduler(address: object) -> bool:
    """Whether dask takes it for an address: a host and a port, behind a protocol or not; or, within a process, whatever it was called."""
    found = _SCHEDULER.fullmatch(address) if isinstance(address, str) else None
    return found is not None and (found["port"] is None or 1 <= int(found["port"]) <= 65535)


def _counts(number: object) -> bool:
    """Whether it is a whole number from 1 on."""
    return isinstance(number, Integral) and not isinstance(number, bool) and int(number) >= 1


def _refuse_many_writers(spec: Spec, place: Place, executor: str | None, scheduler: str | None, shard: tuple[int, int] | None) -> None:
    """Raises SpecError where a sweep is to be shared among processes, in a place that only one may write."""
    if not place.one_writer:
        return
    if shard is not None:
        problem, fix = f"has one committer, so shard {shard[0]}/{shard[1]} cannot write it", "run the sweep without --shard"
        raise SpecError(place.address, "", None, problem, f"{fix}, or name a store without icechunk+")
    if _is_on_dask(spec, executor, scheduler):
        problem, fix = "has one committer, so dask's workers cannot write it", "run it with --executor inline"
        raise SpecError(place.address, "", None, problem, f"{fix}, or name a store without icechunk+")


def _is_on_dask(spec: Spec, executor: str | None, scheduler: str | None) -> bool:
    return scheduler is not None or (executor or spec.run.executor) == "dask"


def _devices(spec: Spec, executor: str | None, workers: int | None, scheduler: str | None) -> list[Any]:
    """The devices of this process that compute: none where dask's workers do."""
    if _is_on_dask(spec, executor, scheduler):
        # The workers have the accelerators: this process only counts steps, and takes none of them.
        with suppress(RuntimeError):
            settings: Any = jax.config
            settings.update("jax_platforms", "cpu")
        return []
    devices = inline.devices(workers or spec.run.workers)
    if workers is None and spec.run.workers is None:
        devices = devices[: worthwhile_workers(spec)]
    return devices


@contextmanager
def _executor(
    plan: Plan,
    place: Place,
    cube: CubeStore,
    on: list[Any],
    workers: int | None,
    scheduler: str | None,
    announce: Callable[[str], None],
) -> Iterator[Executor]:
    if on:
        yield inline.Inline(plan, cube, on, announce)
        return
    from sweep.execute.cluster import Cluster, ClusterError, ClusterLost

    job = Job(plan.spec, place.address, plan.policy, plan.study.counted)
    try:
        with Cluster(job, workers or plan.spec.run.workers, scheduler, announce) as cluster:
            yield cluster
    except ClusterLost as error:
        raise Interrupted(f"{place.address}: {error}") from None
    except ClusterError as error:
        raise RunError(f"{place.address}: {error}") from None


@contextmanager
def _held(plan: Plan, place: Place, launcher: str, announce: Callable[[str], None]) -> Iterator[Ledger]:
    """The ledger of a launcher. A shard waits a moment for one that has just made or extended the store for all; and for one that finishes
    the sweep as long as that lives: its lock ends with it, or its lease a while after.
    """
    until, told = time.monotonic() + (0.0 if launcher == WHOLE else _SHARDS_PATIENCE), False
    with ExitStack() as stack:
        while True:
            try:
                book = stack.enter_context(ledger.hold(place, launcher))
                break
            except LedgerError:
                if time.monotonic() < until:
                    time.sleep(0.1)
                    continue
                # Where no tile is missing, who holds the store has only the statistics left to make.
                if launcher == WHOLE or missing_tiles(plan, ledger.read(place)):
                    raise
            if not told:
                announce(f"{place.address}: all tiles are done; waiting for another launcher that finishes the sweep")
                told = True
            time.sleep(_LOOK_SECONDS)
        yield book


def missing_tiles(plan: Plan, held: Contents, shard: tuple[int, int] | None = None) -> list[list[Tile]]:
    """The chains of tiles that have no receipt, of the whole sweep or of one share."""
    found = []
    for chain in _share(plan, shard):
        missing = [tile for tile in chain if not held.has(tile)]
        if len(missing) == len(chain):
            missing[0] = replace(missing[0], fresh=True)
        found.append(missing)
    return [chain for chain in found if chain]


def missing_shares(plan: Plan, held: Contents) -> list[str]:
    """The shares that lack tiles, e.g. 2/4, where the sweep was last divided into shares; none where it never was."""
    shards = {launcher: launch["at"] for launcher, launch in held.launches.items() if launcher != WHOLE}
    if not shards:
        return []
    count = int(max(shards, key=lambda launcher: shards[launcher]).rpartition("-of-")[2])
    numbers = {index % count + 1 for index, chain in enumerate(plan.chains()) if not all(map(held.has, chain))}
    return [f"{number}/{count}" for number in sorted(numbers)]


def _share(plan: Plan, shard: tuple[int, int] | None) -> list[tuple[Tile, ...]]:
    """All chains of tiles, or those of one share: every n-th."""
    chains = list(plan.chains())
    return chains if shard is None else chains[shard[0] - 1 :: shard[1]]


def _advance(
    plan: Plan,
    place: Place,
    book: Ledger,
    shard: tuple[int, int] | None,
    executor: Callable[[CubeStore], Any],
    progress: Listener,
    mix_versions: bool,
) -> None:
    """Compute and write what is missing; for a whole sweep, its statistics too."""
    cube, held = CubeStore(place), ledger.read(place)
    chains = missing_tiles(plan, held, shard)
    mine = sum(map(len, _share(plan, shard)))
    done = mine - sum(map(len, chains))
    worst: float = max((receipt["error"] for receipt in held.receipts.values()), default=0.0)
    started, fresh = time.perf_counter(), 0
    failed: list[TileFailed] = []
    computed: set[Box] = set()
    tiles = {tile.name: tile for chain in chains for tile in chain}
    try:
        if chains:
            with executor(cube) as running:
                _refuse_mixture(place, held.receipts, running.kind, mix_versions)
                if cube.attributes.get("complete"):
                    cube.set_attributes({"complete": False})
                # Closed at once, whatever ends it, so that no device goes on computing for nobody.
                with closing(running.receipts(chains)) as results:
                    for result in results:
                        if isinstance(result, TileFailed):
                            failed.append(result)
                            book.append(_failure(plan, place, result))
                            continue
                        book.append(result)
                        held.receipts[result["tile"]] = result
                        tile = tiles[result["tile"]]
                        computed.add(tile.box)
                        worst, done = max(worst, result["error"]), done + 1
                        fresh += tile.cells * tile.draws
                        progress(State(done, mine, fresh, time.perf_counter() - started, worst))
        if shard is None and not failed:
            _finish(plan, cube, book, held, {"trajectories": fresh, "seconds": time.perf_counter() - started})
    except KeyboardInterrupt:
        _leave(plan, cube, held, failed, computed, shard)
        told = f"{place.address}: stopped with {done} of {mine} tiles done; the same command goes on from there{_way_back(place)}"
        raise Interrupted(told) from None
    if failed:
        _leave(plan, cube, held, failed, computed, shard)
        first = failed[0]
        raise Interrupted(
            f"{place.address}: {len(failed)} of {mine} tiles failed ({', '.join(each.tile.name for each in failed[:5])}): "
            f"{first}; try one alone with `{_replay_command(plan, place, first.tile)}`; the same command tries them again"
        )


def _finish(plan: Plan, cube: CubeStore, book: Ledger, held: Contents, provenance: Mapping[str, Any]) -> None:
    """Make the statistics of a sweep all of whose tiles are done, and say that it is complete: last."""
    spec = plan.spec
    cube.place.remove_strays()
    measured = write_statistics(plan, cube)
    cube.set_attributes({**measured, "draws": spec.draws, **shown(spec), "axis_order": list(spec.axes)})
    cube.set_attributes(_provenance(held, provenance), group="provenance")
    names = cube.settled_arrays()
    cube.settle(names)
    book.append({"finished": {name: cube.crc(name) for name in names}, "draws": spec.draws, "attributes": _told_of(cube)})
    cube.finish()


def _leave(
    plan: Plan, cube: CubeStore, held: Contents, failed: Sequence[TileFailed], computed: set[Box], shard: tuple[int, int] | None
) -> None:
    """Make the statistics of the cells that are done, for who opens a partial cube; shards leave that to the last of them."""
    if shard is not None:
        return
    unfinished = {tile.box for chain in missing_tiles(plan, held) for tile in chain}
    with suppress(KeyboardInterrupt):
        done = {box for box in plan.boxes() if box not in unfinished}
        write_partial_statistics(plan, cube, done, {each.tile.box for each in failed}, computed)


def _failure(plan: Plan, place: Place, failed: TileFailed) -> dict[str, Any]:
    return {
        "tile": failed.tile.name,
        "first_block": failed.tile.first_block,
        "draws": failed.tile.draws,
        "failed": failed.reason,
        "tries": failed.tries,
        "replay": _replay_command(plan, place, failed.tile),
    }


def _replay_command(plan: Plan, place: Place, tile: Tile) -> str:
    """The command that computes the first trajectory of a tile."""
    cell = 0
    for (start, _), length in zip(tile.box, plan.axis_lengths, strict=True):
        cell = cell * length + start
    return f"siesweep replay {place.address} --index {cell * plan.spec.draws + tile.first_block * plan.spec.block}"


def _way_back(place: Place) -> str:
    """What to do, beside going on, where an extension was stopped."""
    draws = finished_draws(place)
    return "" if draws is None else f", and `siesweep extend {place.address} --draws {draws}` back to the draws that were finished"


def _set_start(spec: Spec, place: Place) -> None:
    """Give a finished cube another start date. One that cannot be written now keeps the old one: no number depends on it."""
    with suppress(OSError, LedgerError, PlaceError), ledger.hold(place) as book:
        cube, finished = CubeStore(place), ledger.read(place).finished
        cube.set_attributes(shown(spec))
        if finished is not None:
            book.append({**finished, "attributes": _told_of(cube)})
        cube.finish()


def _told_of(cube: CubeStore) -> dict[str, Any]:
    """The attributes of which the ledger of a finished cube tells."""
    return {name: value for name, value in cube.attributes.items() if name != "complete"}


def _refuse_silent_scheduler(place: Place, scheduler: str) -> None:
    """Raises RunError where no scheduler answers."""
    from sweep.execute.cluster import ClusterError, reach

    try:
        reach(scheduler)
    except ClusterError as error:
        raise RunError(f"{place.address}: {error}") from None


def refuse_repair(spec: Spec, place: Place, executor: str | None, mix_versions: bool) -> None:
    """Raises RunError where tiles that are computed again here would be mixed with others of another kind."""
    _refuse_other_bits(place, _devices(spec, executor, None, None), None, mix_versions)


def _refuse_other_bits(place: Place, on: list[Any], scheduler: str | None, allowed: bool) -> None:
    """`_refuse_mixture` before any tile is on its way: by the devices that will compute, as far as they are known yet."""
    receipts = ledger.read(place).receipts
    if allowed or not receipts:
        return
    kinds: list[Mapping[str, str]] = [kind_of(device) for device in on[:1]]
    if scheduler is not None:
        from sweep.execute.cluster import kinds_at

        kinds = kinds_at(scheduler)
    elif not on:
        # Of workers of this machine, which are not started yet.
        kinds = [{"jaxlib": version("jaxlib")}]
    for kind in kinds:
        _refuse_mixture(place, receipts, kind, allowed)


def _refuse_mixture(place: Place, finished: Mapping[str, Mapping[str, Any]], kind: Mapping[str, str], allowed: bool) -> None:
    for receipt in finished.values():
        differing = {key: (receipt[key], value) for key, value in kind.items() if receipt[key] != value}
        if differing and not allowed:
            changed = "; ".join(f"{key} was {old}, is {new}" for key, (old, new) in differing.items())
            problem = f"its tiles were made with something else ({changed}), which may differ in the last bit"
            raise RunError(f"{place.address}: {problem}; allow it with --mix")


def _provenance(held: Contents, last: Mapping[str, Any]) -> dict[str, Any]:
    kinds = sorted({f"{receipt['device']}, jaxlib {receipt['jaxlib']}" for receipt in held.receipts.values()})
    return {
        "versions": {name: version(name) for name in _PACKAGES} | {"python": platform.python_version()},
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "devices": kinds,
        "draws_solved_at_once": sorted({receipt["lanes"] for receipt in held.receipts.values() if "lanes" in receipt}),
        "seconds_in_tiles": round(sum(receipt["seconds"] for receipt in held.receipts.values()), 3),
        "trajectories_of_the_last_call": last.get("trajectories", 0),
        "seconds_of_the_last_call": round(last.get("seconds", 0.0), 3),
    }


def _disk_message(place: Place, error: OSError) -> str:
    what = {
        errno.ENOSPC: "the disk is full; make room, and the same command goes on",
        errno.EDQUOT: "the disk quota is used up; make room, and the same command goes on",
        errno.EROFS: "the disk is read-only; name a store elsewhere with -o",
        errno.EACCES: "writing is not permitted; name a store elsewhere with -o",
        errno.EEXIST: "a file stands in the way; name a store elsewhere with -o",
        errno.ENOTDIR: "a file stands in the way; name a store elsewhere with -o",
    }
    return f"{place.address}: {what.get(error.errno or 0, error.strerror or str(error))}"
