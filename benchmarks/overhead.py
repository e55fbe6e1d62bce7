"""What the engine adds to the kernels in tiles of about a second: ledger, store and dask's workers beside the tile program alone.

Rates are of the steady state: from the moment that each worker has finished its first tile to the last receipt, so that imports and
compilation, which the pipeline's other tables show, are not in them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax

from benchmarks.children import call
from benchmarks.record import Column, Table
from benchmarks.timing import Spread, interleaved, rates, ratio, spread

_COLUMNS = (
    Column("what", "what"),
    Column("rate", "trajectories/s, all cores", "rate"),
    Column("ratio", "against the tile program alone", "ratio"),
)
_SECONDS_A_TILE = 1.0
_KEPT = {"none": "statistics alone", "outcomes": "every draw kept"}
"""What a store keeps of the draws, and what that is called."""


def overhead(config: Path, small: bool) -> tuple[Table, dict[str, Spread]]:
    """The table, and the ratios by contender."""
    tiles, rounds, seconds = (6, 1, 0.02) if small else (12, 2, _SECONDS_A_TILE)
    with tempfile.TemporaryDirectory(prefix="siesweep-bench-") as folder:
        cache = Path(folder) / "cache"
        draws, tile = call(__name__, "sized", str(config), tiles, seconds, cache=cache)
        contenders: dict[str, Callable[[], object]] = {}
        # In small mode only the last, and not how it scales.
        for kept, title in list(_KEPT.items())[small:]:
            arguments = (str(config), draws, tile, kept)
            contenders[f"{title}: tile program alone"] = partial(call, __name__, "alone", *arguments, cache=cache)
            for executor, workers in (
                ("inline", 2),
                ("dask", 2),
                *((("inline", 1), ("dask", 1)) if kept == "outcomes" and not small else ()),
            ):
                name = f"{title}: {executor}, {workers}"
                contenders[name] = partial(call, __name__, "steady", *arguments, executor, workers, folder, cache=cache)
        # Each leaves out its own start, so that none need run before.
        taken = interleaved(contenders, rounds, warm=False)
    found = {name: rates(seconds, 1.0) for name, seconds in taken.items()}
    ratios = {name: ratio(values, found[f"{name.partition(':')[0]}: tile program alone"]) for name, values in found.items()}
    rows = tuple({"what": name, "rate": spread(values), "ratio": ratios[name]} for name, values in found.items())
    if not small:
        every = _KEPT["outcomes"]
        scaling = [
            [two / one for two, one in zip(found[f"{every}: {executor}, 2"], found[f"{every}: {executor}, 1"], strict=True)]
            for executor in ("dask", "inline")
        ]
        ratios["dask's scaling against inline's"] = ratio(*scaling)
    note = (
        f"{tiles} tiles of about {seconds:g} s and {tile:,} draws, on so many of inline's devices or dask's workers, once they have begun."
    )
    return Table("What the engine adds to the kernel: ledger, store and executor", _COLUMNS, rows, (note,)), ratios


def sized(config: str, tiles: int, seconds: float) -> tuple[int, int]:
    """Draws of a sweep of so many tiles, and of a tile that takes so long on one device. Runs in a process of its own."""
    import time

    from kernels.sampling import seed_key
    from sweep import load
    from sweep.execute.compilation import use_compilation_cache
    from sweep.execute.inline import devices
    from sweep.execute.tile import program
    from sweep.plan import make_plan

    use_compilation_cache()
    (device,) = devices(1)
    spec = load(config)
    plan = make_plan(spec.replace({"run.tile": spec.block}, draws=spec.block), 1)
    compiled, tile = program(plan), next(plan.tiles())

    def once() -> float:
        started = time.perf_counter()
        arguments = (plan.cell_values(tile.box), tile.first_block, tile.blocks, spec.block, seed_key(spec.seed), device)
        for array in compiled(*arguments).values():
            array.block_until_ready()
        return time.perf_counter() - started

    once()
    wanted = seconds / min(once() for _ in range(3))
    blocks = 1 << max(0, round(wanted).bit_length() - 1)
    return tiles * blocks * spec.block, blocks * spec.block


def alone(config: str, draws: int, tile: int, kept: str) -> float:
    """Seconds a trajectory of the tile program on all devices, nothing written. Runs in a process of its own."""
    from sweep import load
    from sweep.execute.compilation import use_compilation_cache
    from sweep.execute.inline import devices
    from sweep.plan import make_plan

    use_compilation_cache()
    on = devices(None)
    plan = make_plan(load(config).replace({"run.tile": tile, "store.draws": kept}, draws=draws), len(on))
    return interleaved({"alone": all_tiles(plan, on)}, 1)["alone"][0] / plan.trajectories


def all_tiles(plan: Any, on: list[Any]) -> Callable[[], object]:
    """Runs the tile program on all tiles of a plan, on all devices at once; nothing is written."""
    from benchmarks.bare import Threads
    from kernels.sampling import seed_key
    from sweep.execute.tile import program

    compiled, key, tiles = program(plan), seed_key(plan.spec.seed), list(plan.tiles())

    def share(index: int, device: Any) -> Callable[[], None]:
        def run() -> None:
            for tile in tiles[index :: len(on)]:
                arrays = compiled(plan.cell_values(tile.box), tile.first_block, tile.blocks, plan.spec.draws, key, device)
                # Dropped at once: with the draws of all tiles held, most of the time would go into new memory.
                jax.block_until_ready(arrays)  # type: ignore[no-untyped-call]

        return run

    return Threads([share(index, device) for index, device in enumerate(on)])


def steady(config: str, draws: int, tile: int, kept: str, executor: str, workers: int, folder: str) -> float:
    """Seconds a trajectory of a run, once every worker has finished its first tile. Runs in a process of its own."""
    import shutil
    import uuid

    from sweep import ledger, load, run
    from sweep.places import Folder

    store = Path(folder) / f"{uuid.uuid4().hex}.zarr"
    run(load(config).replace({"run.tile": tile, "store.draws": kept}, draws=draws), store, executor=executor, workers=workers)
    receipts = sorted(ledger.read(Folder(store)).receipts.values(), key=lambda receipt: receipt["at"])
    # Gigabytes where every draw is kept.
    shutil.rmtree(store)
    counted = receipts[workers:]
    return float((counted[-1]["at"] - receipts[workers - 1]["at"]) / sum(receipt["draws"] for receipt in counted))
