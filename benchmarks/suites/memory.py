"""Peak memory of a sweep that keeps statistics only, by the number of draws: each in a process of its own."""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.children import call, demo
from benchmarks.environment import environment
from benchmarks.record import FIGURES, Column, Record, Table
from benchmarks.show import cell

_MOST_BYTES = 1.5 * 2**30
_FLAT = 1.1
"""The peak may grow by this factor from the first to the last number of draws and be called flat."""
_COLUMNS = (
    Column("draws", "draws", "count"),
    Column("first", "peak, compiling", "bytes"),
    Column("peak", "peak, compiled before", "bytes"),
    Column("imports", "of which imports", "bytes"),
    Column("seconds", "run, compiled before", "seconds"),
)


def measure(small: bool = False) -> Record:
    """Run the suite."""
    held = environment()
    numbers = (100_000,) if small else (1_000_000, 10_000_000, 100_000_000)
    config, rows = demo(small), []
    with tempfile.TemporaryDirectory(prefix="siesweep-bench-") as folder:
        for draws in numbers:
            # The size of a tile, and so the program, depends on the number of draws: each has a cache of its own, empty at first.
            cache = Path(folder) / f"cache-{draws}"
            first, second = (
                call(__name__, "peak_of_a_run", str(config), draws, f"{folder}/{draws}-{turn}.zarr", cache=cache)
                for turn in ("first", "second")
            )
            rows.append({"draws": draws, "first": first["peak"], **second})
    most = max(rows[-1]["first"], rows[-1]["peak"])
    growth = rows[-1]["peak"] / rows[0]["peak"]
    figures = (
        {
            "figure": f"peak memory at {numbers[-1]:,} draws, compiling included",
            "measured": cell(most, "bytes"),
            "asked": "≤ 1.5 GiB",
            "reached": most <= _MOST_BYTES,
        },
        {
            "figure": f"growth of the peak from {numbers[0]:,} draws, compiled before",
            "measured": cell(growth, "ratio"),
            "asked": f"flat (≤ {_FLAT}×)",
            "reached": growth <= _FLAT,
        },
    )
    note = 'The demo with [store] draws = "none", every run in a process of its own. Tiles, and with them memory, grow to a second of work.'
    tables = (Table("Figures asked", FIGURES, figures), Table("Memory by the number of draws", _COLUMNS, tuple(rows), (note,)))
    return Record("memory", small, tables, held)


def peak_of_a_run(config: str, draws: int, store: str) -> dict[str, Any]:
    """Peak memory in bytes (and what of it the imports took), and seconds, of a sweep that keeps no draws. Runs in a process of its own."""
    from sweep import load, run

    spec = load(config).replace({"store.draws": "none"}, draws=draws)
    imported, started = peak_bytes(), time.perf_counter()
    run(spec, store)
    taken, peak = time.perf_counter() - started, peak_bytes()
    return {"peak": peak, "imports": imported, "seconds": taken}


def peak_bytes() -> int:
    """Most bytes that this process has held in memory."""
    # On Linux, ru_maxrss begins with what the parent held when it forked; the high-water mark of the process's own memory does not.
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
