"""Start-up: what passes before the first tile of the demo is there, and until a short run of it has ended, with nothing left to compile."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.children import call, command
from benchmarks.record import Column, Table
from benchmarks.timing import Spread, interleaved, spread

_COLUMNS = (Column("what", "what"), Column("seconds", "median (range)", "seconds"))
_DRAWS = 1 << 16
FIRST_TILE, WHOLE = "to the first tile, in all", "siesweep run, its figure included"


def start_up(config: Path, folder: Path, rounds: int, warm: bool) -> tuple[Table, dict[str, Spread]]:
    """The table, and its seconds by what; every process is a new one, and finds its program compiled in `folder`
    once a turn that does not count has warmed it."""
    parts: list[dict[str, float]] = []
    stores = iter(range(rounds + 1))
    contenders: dict[str, Callable[[], object]] = {
        FIRST_TILE: lambda: parts.append(call(__name__, "first_tile", str(config), time.time(), cache=folder)),
        WHOLE: lambda: command(["run", str(config), "--draws", str(_DRAWS), "-o", str(folder / f"{next(stores)}.zarr")], folder),
    }
    whole = interleaved(contenders, rounds, warm)[WHOLE]
    counted = parts[-rounds:]
    taken = {name: [turn[name] for turn in counted] for name in counted[0]}
    taken[FIRST_TILE] = [sum(turn.values()) for turn in counted]
    seconds = {name: spread(values) for name, values in (taken | {WHOLE: whole}).items()}
    rows = tuple({"what": name, "seconds": value} for name, value in seconds.items())
    note = f"{_DRAWS:,} draws, one tile; compiled before."
    return Table("Start-up of the demo", _COLUMNS, rows, (note,)), seconds


def first_tile(config: str, started: float) -> dict[str, float]:
    """Seconds of each part of the way to the first tile of a process that was `started` then (Unix time). Runs in a process of its own."""
    marks = {"started": started, "interpreter": time.time()}
    import sweep.coordinator
    from kernels.sampling import seed_key
    from sweep.execute.compilation import use_compilation_cache
    from sweep.execute.inline import devices
    from sweep.execute.tile import program
    from sweep.plan import make_plan

    marks["imports"] = time.time()
    use_compilation_cache()
    (device,) = devices(1)
    spec = sweep.load(config).replace(draws=_DRAWS)
    plan = make_plan(spec, 1)
    compiled = program(plan)
    marks["config, plan, and steps counted where they must be"] = time.time()
    compiled.compile(device)
    marks["program: traced, and read from the cache"] = time.time()
    tile = next(plan.tiles())
    for array in compiled(plan.cell_values(tile.box), tile.first_block, tile.blocks, spec.draws, seed_key(spec.seed), device).values():
        array.block_until_ready()
    marks["first tile"] = time.time()
    names, times = list(marks), list(marks.values())
    return {name: end - begin for name, begin, end in zip(names[1:], times, times[1:], strict=False)}
