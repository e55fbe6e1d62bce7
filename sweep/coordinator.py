"""Running a sweep: plan, store, ledger, executor, progress, statistics. The same call resumes, extends, or returns at once if done."""

from __future__ import annotations

import contextlib
import datetime
import errno
import platform
import time
from collections.abc import Mapping
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import xarray as xr

from kernels.models import ModelError
from sweep import identity, ledger
from sweep.cube import attributes, open_cube
from sweep.errors import SpecError
from sweep.execute import inline
from sweep.execute.tile import Computed
from sweep.finalize import write_statistics
from sweep.plan import Plan, Tile, TilePolicy, make_plan, worthwhile_workers
from sweep.progress import Listener, State, silent
from sweep.spec import Spec
from sweep.store import CubeStore, StoreError

_PACKAGES = ("siesweep", "jax", "jaxlib", "numpy", "xarray", "zarr")


class RunError(Exception):
    """A run that could not go on. What it had finished is kept."""


class ToleranceError(RunError):
    """A finished run whose numerical error exceeds the tolerance of its spec."""


class Interrupted(RunError):
    """A run that was stopped, or some of whose tiles failed, before all was done. The same call goes on."""


def run(
    spec: Spec, store: str | Path, *, workers: int | None = None, progress: Listener = silent, mix_versions: bool = False
) -> xr.DataTree:
    """Run a sweep into the cube at `store` and open it.

    A store that holds part of the same sweep is resumed; one with fewer draws is extended; a finished one is opened. `workers` is the
    number of devices to use, by default as many as the sweep is worth; `progress` is told of every tile.

    Raises SpecError where the store holds something else or more draws, StoreError or RunError where the run cannot go on (a full disk,
    another run on the same store), ToleranceError where the finished run's numerical error exceeds the tolerance, Interrupted where tiles
    are missing.
    """
    path = Path(store)
    try:
        if not _is_finished(spec, path):
            use_compilation_cache()
            devices = inline.devices(workers or spec.run.workers)
            if workers is None and spec.run.workers is None:
                devices = devices[: worthwhile_workers(spec)]
            _run(spec, path, devices, progress, mix_versions)
        elif attributes(path).get("start_date") != _start(spec):
            _set_start(spec, path)
    except OSError as error:
        raise RunError(_disk_message(path, error)) from error
    except ledger.LedgerError as error:
        raise RunError(str(error)) from None
    except KeyboardInterrupt:
        raise Interrupted(f"{path}: stopped; the same command goes on from there") from None
    cube = open_cube(path)
    if cube.attrs["numerical_error"] > spec.tolerance:
        raise ToleranceError(
            f"{path}: the numerical error {cube.attrs['numerical_error']:.2g} exceeds the tolerance {spec.tolerance:g}; "
            'use precision = "float64", or a tolerance that the study can bear'
        )
    return cube


def _counted(spec: Spec, plan: Plan) -> Plan:
    """The plan with the lengths of its loops settled, before any store is made. Raises SpecError where trajectories take too many steps."""
    try:
        _ = plan.study.work
    except ModelError as error:
        raise SpecError(str(spec.path or spec.name), f"parameters.{error.key}", None, error.problem, error.fix) from None
    return plan


def use_compilation_cache() -> None:
    """Keep compiled programs between runs, where JAX keeps its cache or in the user's cache folder."""
    settings: Any = jax.config
    if settings.jax_compilation_cache_dir is None:
        settings.update("jax_compilation_cache_dir", str(Path.home() / ".cache" / "siesweep" / "jax"))
    settings.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def _run(spec: Spec, path: Path, devices: list[Any], progress: Listener, mix_versions: bool) -> None:
    plan = _plan(spec, path, len(devices))
    with ledger.Ledger(path) as receipts:
        cube = CubeStore(path)
        held = cube.attributes["draws"]
        if held > spec.draws:
            problem = f"{path} holds {held} draws already, and draws are never taken away"
            raise SpecError(
                str(spec.path or spec.name), "sweep.draws", spec.draws, problem, f"use draws = {held} or more, or another store (-o)"
            )
        _, finished = ledger.read(path)
        tiles = list(plan.tiles())
        # A tile of the last column is finished only with as many draws as it holds now.
        missing = [tile for tile in tiles if tile.name not in finished or finished[tile.name]["draws"] != tile.draws]
        kind = _kind(devices)
        _refuse_mixture(path, finished, kind, mix_versions)
        if held < spec.draws:
            cube.grow(plan)
        if missing:
            cube.set_attributes({"complete": False, "draws": spec.draws})
        worst: float = max((receipt["error"] for receipt in finished.values()), default=0.0)
        started, fresh, done = time.perf_counter(), 0, len(tiles) - len(missing)
        failed: list[inline.TileFailed] = []
        try:
            # Closed at once, whatever ends it, so that no device goes on computing for nobody.
            with closing(inline.run_tiles(plan, missing, devices)) as results:
                for result in results:
                    if isinstance(result, inline.TileFailed):
                        failed.append(result)
                        cube.mark_failed(result.tile)
                        continue
                    receipts.append({**_receipt(plan, cube, result), **kind})
                    worst = max(worst, float(result.arrays["error"].max(initial=0)))
                    fresh, done = fresh + result.tile.cells * result.tile.draws, done + 1
                    progress(State(done, len(tiles), fresh, time.perf_counter() - started, worst))
        except KeyboardInterrupt:
            raise Interrupted(f"{path}: stopped with {done} of {len(tiles)} tiles done; the same command goes on from there") from None
        if failed:
            names = ", ".join(failure.tile.name for failure in failed[:5])
            raise Interrupted(f"{path}: {len(failed)} of {len(tiles)} tiles failed ({names}): {failed[0]}")
        measured = write_statistics(plan, cube)
        cube.set_attributes({**measured, "draws": spec.draws, **_shown(spec), "axis_order": list(spec.axes)})
        cube.set_attributes(_provenance(fresh, time.perf_counter() - started, kind), group="provenance")
        cube.finish()


def _plan(spec: Spec, path: Path, workers: int) -> Plan:
    """The plan of a store: made with it, or found there, where it holds this sweep."""
    if not path.exists():
        plan = _counted(spec, make_plan(spec, workers))
        head: dict[str, Any] = {
            "format": identity.FORMAT_VERSION,
            "fingerprint": spec.fingerprint(),
            "identity": spec.identity(),
            "policy": {"box": list(plan.policy.box), "blocks": plan.policy.blocks},
            "store": _layout(spec),
        }
        CubeStore.create(path, plan, _attributes(spec), lambda folder: ledger.write_head(folder, head))
        return plan
    head = _same_sweep(spec, path)
    return _counted(spec, make_plan(spec, workers, TilePolicy(tuple(head["policy"]["box"]), head["policy"]["blocks"])))


def _same_sweep(spec: Spec, path: Path) -> dict[str, Any]:
    """The head of the ledger of a store that holds this sweep. Raises SpecError where it holds something else."""
    if not (path / ledger.FILE).is_file():
        raise SpecError(str(path), "", None, "exists and is not a sweep's store", "name another with -o, or move it away")
    head, _ = ledger.read(path)
    if head.get("format", 0) > identity.FORMAT_VERSION:
        raise StoreError(
            f"{path}: made by a newer siesweep (format {head['format']}; this one knows {identity.FORMAT_VERSION}); update siesweep"
        )
    differing = identity.differing_keys(head["identity"], spec.identity())
    if not differing and head["store"] != _layout(spec):
        differing = identity.differing_keys({"store": head["store"]}, {"store": _layout(spec)})
    if differing:
        keys = ", ".join(differing[:8]) + (", …" if len(differing) > 8 else "")
        fix = "name another store with -o, or give back the old values"
        raise SpecError(str(path), "", None, f"holds another sweep, which differs in {keys}", fix)
    return head


def _layout(spec: Spec) -> dict[str, Any]:
    """What of [store] decides which arrays there are: not part of the identity, but fixed once a store is made."""
    return spec.store.model_dump(mode="json")


def _is_finished(spec: Spec, path: Path) -> bool:
    """Whether the store holds exactly this sweep, done. Reads two files and starts nothing."""
    if not (path / ledger.FILE).is_file():
        return False
    held = attributes(path)
    if not held.get("complete") or held.get("draws") != spec.draws:
        return False
    _same_sweep(spec, path)
    return True


def _start(spec: Spec) -> str | None:
    return spec.start_date.isoformat() if spec.start_date is not None else None


def _shown(spec: Spec) -> dict[str, Any]:
    """What of a spec only those need who read the cube, and may change from one call to the next."""
    return {"spec": spec.to_toml(), "start_date": _start(spec)}


def _set_start(spec: Spec, path: Path) -> None:
    """Give a finished cube another start date. One that cannot be written now keeps the old one: no number depends on it."""
    with contextlib.suppress(OSError, ledger.LedgerError), ledger.Ledger(path):
        cube = CubeStore(path)
        cube.set_attributes(_shown(spec))
        cube.finish()


def _attributes(spec: Spec) -> dict[str, Any]:
    return {
        **{name: value for name, value in _shown(spec).items() if value is not None},
        "title": spec.name,
        "model": spec.model,
        "format_version": identity.FORMAT_VERSION,
        "fingerprint": spec.fingerprint(),
        "draws": spec.draws,
        "precision": spec.precision,
        "tolerance": spec.tolerance,
        "complete": False,
    }


def _receipt(plan: Plan, cube: CubeStore, result: Computed) -> dict[str, Any]:
    """Write a tile's data, and what is then said of it."""
    tile: Tile = result.tile
    crcs = cube.write_tile(plan, tile, result.arrays)
    return {
        "tile": tile.name,
        "draws": tile.draws,
        "crc": crcs,
        "valid": int(result.arrays["valid"].sum()),
        "failed": int(result.arrays["failed"].sum()),
        "error": float(result.arrays["error"].max(initial=0)),
        "seconds": round(result.seconds, 4),
    }


def _kind(devices: list[Any]) -> dict[str, str]:
    """What bits depend on beside the spec."""
    return {"jaxlib": version("jaxlib"), "device": f"{devices[0].platform}:{devices[0].device_kind}"}


def _refuse_mixture(path: Path, finished: Mapping[str, Mapping[str, Any]], kind: Mapping[str, str], allowed: bool) -> None:
    for receipt in finished.values():
        differing = {key: (receipt[key], value) for key, value in kind.items() if receipt[key] != value}
        if differing and not allowed:
            changed = "; ".join(f"{key} was {old}, is {new}" for key, (old, new) in differing.items())
            raise RunError(
                f"{path}: its tiles were made with something else ({changed}), which may differ in the last bit; allow it with --mix"
            )


def _provenance(trajectories: int, seconds: float, kind: Mapping[str, str]) -> dict[str, Any]:
    return {
        "versions": {name: version(name) for name in _PACKAGES} | {"python": platform.python_version()},
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "trajectories_of_the_last_call": trajectories,
        "seconds_of_the_last_call": round(seconds, 3),
        **kind,
    }


def _disk_message(path: Path, error: OSError) -> str:
    what = {
        errno.ENOSPC: "the disk is full; make room, and the same command goes on",
        errno.EDQUOT: "the disk quota is used up; make room, and the same command goes on",
        errno.EROFS: "the disk is read-only; name a store elsewhere with -o",
        errno.EACCES: "writing is not permitted; name a store elsewhere with -o",
        errno.EEXIST: "a file stands in the way; name a store elsewhere with -o",
        errno.ENOTDIR: "a file stands in the way; name a store elsewhere with -o",
    }
    return f"{path}: {what.get(error.errno or 0, error.strerror or str(error))}"
