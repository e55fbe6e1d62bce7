"""A sweep of very many tiles: how soon a finished one is known to be finished, opened, and sliced."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.children import call
from benchmarks.record import Column, Table
from benchmarks.timing import Spread, spread

_COLUMNS = (Column("what", "what"), Column("seconds", "median (range)", "seconds"))
_STUDY = """
[sweep]
name = "many"
model = "toy_model"
draws = 256
block = 256
replicates = 4

[parameters]
initial_agis = {{ uniform = [0.5, 2] }}
horizon = 24

[axes]
paper_growth_factor = {{ linear = [1.5, 3], points = {first} }}
papers_for_first_doubling = {{ log = [1, 4], points = {second} }}

[outcomes]
doublings = [3]

[statistics]
bins_per_octave = 8

[run]
tile = 256
"""


def many_tiles(small: bool) -> tuple[Table, dict[str, Any], int]:
    """The table, the seconds in it by what they were measured of, and how many tiles there were."""
    first, second, rounds = (8, 8, 2) if small else (100, 100, 5)
    with tempfile.TemporaryDirectory(prefix="siesweep-bench-") as folder:
        config = Path(folder) / "many.toml"
        config.write_text(_STUDY.format(first=first, second=second), encoding="utf-8")
        store, cache = Path(folder) / "many.zarr", Path(folder) / "cache"
        written = call(__name__, "run_whole", str(config), str(store), cache=cache)
        found = call(__name__, "looked_at", str(config), str(store), rounds, cache=cache)
        size = (store / "ledger" / "whole.jsonl").stat().st_size
    seconds: dict[str, Spread] = {name: spread(taken) for name, taken in found.items()}
    note = (
        f"{first * second:,} tiles of one cell each; written in {written:.0f} s; a ledger of {size / 1e6:.2g} MB. Imports are not counted."
    )
    rows = tuple({"what": name, "seconds": taken} for name, taken in seconds.items())
    return Table(f"A finished sweep of {first * second:,} tiles", _COLUMNS, rows, (note,)), seconds, first * second


def run_whole(config: str, store: str) -> float:
    """Seconds of the sweep. Runs in a process of its own."""
    from sweep import load, run

    started = time.perf_counter()
    run(load(config), store, workers=1)
    return time.perf_counter() - started


def looked_at(config: str, store: str, rounds: int) -> dict[str, list[float]]:
    """Seconds to find that nothing is missing, to open the cube, and to read one cell's draws. Runs in a process of its own."""
    from sweep import ledger, load, open_cube, run
    from sweep.coordinator import missing_tiles
    from sweep.places import Folder
    from sweep.prepare import plan_of

    spec = load(config)
    found: dict[str, list[float]] = {"the same run again": [], "which tiles are missing": [], "open_cube": [], "one cell's draws": []}

    def timed(name: str, action: Any) -> Any:
        started = time.perf_counter()
        result = action()
        found[name].append(time.perf_counter() - started)
        return result

    run(spec, store)
    for _ in range(rounds):
        timed("the same run again", lambda: run(spec, store))
        assert not timed(
            "which tiles are missing", lambda: missing_tiles(plan_of(spec, Folder(Path(store))), ledger.read(Folder(Path(store))))
        )
        cube = timed("open_cube", lambda: open_cube(store))
        draws = cube["draws/date_of_doubling_3"]
        timed("one cell's draws", lambda draws=draws: draws[5, 7].values)
    return found
