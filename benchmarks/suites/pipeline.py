"""The demo from one end to the other: `siesweep run` in fresh processes and stores against the kernel alone; and the quick commands.

Every time is that of a whole process, interpreter and imports included. The imports that a finished sweep is allowed beside its second are
those of a process that imports the same modules and does nothing else.
"""

from __future__ import annotations

import importlib
import itertools
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

from benchmarks.children import call, command, demo
from benchmarks.environment import environment
from benchmarks.many_tiles import many_tiles
from benchmarks.overhead import all_tiles, overhead
from benchmarks.record import FIGURES, Column, Record, Table
from benchmarks.show import cell
from benchmarks.startup import FIRST_TILE, start_up
from benchmarks.timing import Spread, interleaved, spread

_COLUMNS = (Column("what", "what"), Column("seconds", "median (range)", "seconds"))


def measure(small: bool = False) -> Record:
    """Run the suite."""
    held = environment()
    draws, rounds = (1 << 12, 1) if small else (1 << 20, 5)
    config = demo(small)
    with tempfile.TemporaryDirectory(prefix="siesweep-bench-") as folder:
        runs = _runs(config, draws, Path(folder), rounds, warm=not small)
        quick = _quick(config, Path(folder), rounds, warm=not small)
        start, parts = start_up(config, Path(folder) / "start", rounds, warm=not small)
    added, ratios = overhead(config, small)
    many, seconds, tiles = many_tiles(small)
    figures = _figures(runs, quick, parts[FIRST_TILE]["median"])
    figures = replace(figures, rows=(*figures.rows, *_engine_figures(ratios, seconds, tiles)))
    tables = (figures, _table(f"The demo, {draws:,} draws", runs), start, _table("Quick commands", quick), added, many)
    return Record("pipeline", small, tables, held)


def _runs(config: Path, draws: int, folder: Path, rounds: int, warm: bool) -> dict[str, list[float]]:
    """Seconds of the kernel alone and of the command: cold, warm, finished, and its imports."""
    kept, finished, numbers = folder / "warm", folder / "finished.zarr", itertools.count()

    def run(cache: Path, store: Path) -> float:
        return command(["run", str(config), "--draws", str(draws), "-o", str(store)], cache)

    run(kept, finished)
    modules = call(__name__, "modules_of_a_finished_run", str(config), draws, str(finished), cache=kept)
    contenders: dict[str, Callable[[], object]] = {
        "kernel alone, compiled": lambda: call(__name__, "kernel_alone", str(config), draws, cache=kept),
        "run, nothing compiled before": lambda: run(folder / f"cold-{next(numbers)}", folder / f"{next(numbers)}.zarr"),
        "run, compiled before": lambda: run(kept, folder / f"{next(numbers)}.zarr"),
        "run, finished before": lambda: run(kept, finished),
        "the imports of that": lambda: _timed(lambda: call(__name__, "only_import", modules, cache=kept)),
    }
    return interleaved(contenders, rounds, warm)


def _quick(config: Path, folder: Path, rounds: int, warm: bool) -> dict[str, list[float]]:
    """Seconds of the commands that compute nothing."""
    wrong = folder / "wrong.toml"
    wrong.write_text(config.read_text(encoding="utf-8").replace("draws =", "drwas =", 1), encoding="utf-8")
    contenders: dict[str, Callable[[], object]] = {
        "siesweep --help": lambda: command(["--help"], folder),
        "siesweep plan": lambda: command(["plan", str(config)], folder),
        "siesweep run, an error in the config": lambda: command(["run", str(wrong), "-o", str(folder / "never.zarr")], folder, code=2),
    }
    return interleaved(contenders, rounds, warm)


def kernel_alone(config: str, draws: int) -> float:
    """Seconds of all tiles of a sweep on all devices, compiled before, nothing written: median of five. Runs in a process of its own."""
    from sweep import load
    from sweep.execute.compilation import use_compilation_cache
    from sweep.execute.inline import devices
    from sweep.plan import make_plan

    use_compilation_cache()
    on = devices(None)
    plan = make_plan(load(config).replace(draws=draws), len(on))
    return spread(interleaved({"kernel": all_tiles(plan, on)}, 5)["kernel"])["median"]


def modules_of_a_finished_run(config: str, draws: int, store: str) -> list[str]:
    """The modules that `siesweep run` of a finished sweep imports, in that order. Runs in a process of its own."""
    from sweep.cli import main

    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        main(["run", config, "--draws", str(draws), "-o", store], standalone_mode=False)
    return [name for name in sys.modules if name != "__main__" and not name.startswith("benchmarks")]


def only_import(modules: list[str]) -> None:
    """Import modules, those that cannot be imported by their name left out. Runs in a process of its own."""
    for name in modules:
        try:
            importlib.import_module(name)
        except ImportError:
            continue


def _timed(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def _engine_figures(ratios: dict[str, Spread], seconds: dict[str, Spread], tiles: int) -> Iterator[dict[str, Any]]:
    """What is asked of ledger, store and dask."""
    kept = ("statistics alone", "every draw kept")
    for what, name, least in (
        *((f"ledger and store, {title}, of the tile program's rate", f"{title}: inline, 2", 0.9) for title in kept),
        *((f"ledger, store and dask, {title}, of the tile program's rate", f"{title}: dask, 2", 0.9) for title in kept),
        ("two dask workers over one, of inline's", "dask's scaling against inline's", 0.95),
    ):
        measured = ratios.get(name)
        if measured is None:
            continue
        yield {"figure": what, "measured": cell(measured, "ratio"), "asked": f"≥ {least:g}×", "reached": measured["median"] >= least}
    for what, most in (("which tiles are missing", 1.0), ("open_cube", 0.5), ("one cell's draws", 0.05)):
        median = seconds[what]["median"]
        named = f"{what}, of a finished sweep of {tiles:,} tiles"
        yield {"figure": named, "measured": cell(median, "seconds"), "asked": f"≤ {cell(most, 'seconds')}", "reached": median <= most}


def _table(title: str, seconds: dict[str, list[float]]) -> Table:
    return Table(title, _COLUMNS, tuple({"what": name, "seconds": spread(taken)} for name, taken in seconds.items()))


def _figures(runs: dict[str, list[float]], quick: dict[str, list[float]], first_tile: float) -> Table:
    """What is asked, as medians."""
    kernel, cold, warm, _, _ = (spread(taken)["median"] for taken in runs.values())
    again, imports = runs["run, finished before"], runs["the imports of that"]
    # Below zero where it is less than what the machine does meanwhile.
    beyond = spread([one - other for one, other in zip(again, imports, strict=True)])["median"]
    shortest, plan, error = (spread(taken)["median"] for taken in quick.values())
    allowed = 1.3 * kernel + 4.0
    lines = (
        ("run of the demo, compiled before", warm, allowed, f"≤ 1.3× kernel alone + 4 s = {cell(allowed, 'seconds')}"),
        ("run of the demo, nothing compiled before", cold, allowed, f"≤ 1.3× kernel alone + 4 s = {cell(allowed, 'seconds')}"),
        ("import, compile (warm cache) and first tile of the demo", first_tile, 3.0, "≤ 3 s"),
        ("finished sweep run again, beyond its imports", beyond, 1.0, "≤ 1 s"),
        ("siesweep --help", shortest, 0.5, "≤ 0.5 s"),
        ("siesweep plan", plan, 2.0, "≤ 2 s"),
        ("an error in the config", error, 2.0, "≤ 2 s"),
    )
    rows = tuple(
        {"figure": what, "measured": cell(taken, "seconds"), "asked": asked, "reached": taken <= most} for what, taken, most, asked in lines
    )
    return Table("Figures asked", FIGURES, rows)
