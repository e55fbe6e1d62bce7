"""What is fast, against whom, on this machine: `python -m benchmarks`, or `siesweep bench`."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from benchmarks.record import STANDARD_OUTPUT, Record, write
from benchmarks.show import show

SUITES = ("kernels", "pipeline", "memory")


def main(suite: str | None, json_path: Path | None, small: bool = False) -> int:
    """Run one suite, or all, and print their tables.

    The records are written as JSON to `json_path`: a file, "-" for standard output, or a folder (no suffix), which gets a file a suite.
    Returns the exit code: 0, or 2 for an unknown suite.
    """
    if suite is not None and suite not in SUITES:
        sys.stderr.write(f"benchmarks: no suite {suite!r}; the suites are {', '.join(SUITES)}\n")
        return 2
    records: list[Record] = []
    for name in SUITES if suite is None else (suite,):
        records.append(importlib.import_module(f"benchmarks.suites.{name}").measure(small))
        # Standard output is the record's where it is asked for.
        show(records[-1], sys.stderr if json_path == STANDARD_OUTPUT else sys.stdout)
    if json_path is not None:
        write(records, json_path)
    return 0
