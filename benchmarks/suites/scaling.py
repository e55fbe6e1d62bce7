"""The cost of a trajectory by the number of draws: is a sweep of a thousand million as cheap, each, as one of a million?

The demo with [store] draws = "none", every run in a process of its own and compiled before. The cost is of the steady state, as in the
pipeline's overhead; wall time is of the whole run.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from benchmarks.children import call, demo
from benchmarks.environment import environment
from benchmarks.record import FIGURES, Column, Record, Table
from benchmarks.show import cell

_FLAT = 1.05
_COLUMNS = (
    Column("draws", "draws", "count"),
    Column("tiles", "tiles", "count"),
    Column("seconds", "whole run", "seconds"),
    Column("rate", "steady trajectories/s", "rate"),
    Column("peak", "peak memory", "bytes"),
    Column("ledger", "ledger"),
    Column("store", "store"),
)


def measure(small: bool = False) -> Record:
    """Run the suite."""
    held = environment()
    numbers = (1 << 18,) if small else (1_000_000, 10_000_000, 100_000_000, 1_000_000_000)
    config, rows = demo(small), []
    with tempfile.TemporaryDirectory(prefix="siesweep-bench-") as folder:
        for draws in numbers:
            cache = Path(folder) / "cache"
            # One program serves all: it is compiled in a run before, which does not count.
            for turn in ("compiling", "counted") if draws == numbers[0] else ("counted",):
                store = f"{folder}/{draws}-{turn}.zarr"
                row = call(__name__, "one_run", str(config), draws, 1 << (16 if small else 22), store, cache=cache)
            rows.append({"draws": draws, **row})
    # The first has too few tiles to tell a steady state from its beginning.
    compared = [row["rate"] for row in rows if row["tiles"] >= 8] or [row["rate"] for row in rows]
    growth = max(compared) / min(compared)
    figures = (
        {
            "figure": f"cost of a trajectory, dearest against cheapest, up to {numbers[-1]:,} draws",
            "measured": cell(growth, "ratio"),
            "asked": f"flat (≤ {_FLAT}×)",
            "reached": growth <= _FLAT,
        },
    )
    note = "Rows with fewer than 8 tiles have no steady state and are not compared."
    tables = (Table("Figures asked", FIGURES, figures), Table("Cost by the number of draws", _COLUMNS, tuple(rows), (note,)))
    return Record("scaling", small, tables, held)


def one_run(config: str, draws: int, tile: int, store: str) -> dict[str, Any]:
    """What a sweep took. Runs in a process of its own."""
    import time

    from benchmarks.suites.memory import peak_bytes
    from sweep import ledger, load, run
    from sweep.places import Folder

    spec = load(config).replace({"store.draws": "none", "run.tile": tile}, draws=draws)
    started = time.perf_counter()
    run(spec, store)
    taken = time.perf_counter() - started
    receipts = sorted(ledger.read(Folder(Path(store))).receipts.values(), key=lambda receipt: receipt["at"])
    first = 2 if len(receipts) > 4 else 0
    begun = receipts[first - 1]["at"] if first else receipts[0]["at"] - receipts[0]["seconds"]
    rate = sum(receipt["draws"] for receipt in receipts[first:]) / (receipts[-1]["at"] - begun)
    folder = Path(store)
    return {
        "tiles": len(receipts),
        "seconds": taken,
        "rate": rate,
        "peak": peak_bytes(),
        "ledger": f"{(folder / 'ledger' / 'whole.jsonl').stat().st_size / 1e3:.3g} kB",
        "store": f"{sum(file.stat().st_size for file in folder.rglob('*') if file.is_file()) / 1e6:.3g} MB",
    }
