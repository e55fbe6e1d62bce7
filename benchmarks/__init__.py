"""What is fast, against whom, on this machine: `python -m benchmarks`, or `siesweep bench`."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from benchmarks.record import STANDARD_OUTPUT, NothingToMeasure, Record, write
from benchmarks.show import show

SUITES = ("kernels", "laws", "problems", "roofline", "gpu", "programs", "pipeline", "memory", "scaling")


def main(suite: str | None, json_path: Path | None, small: bool = False) -> int:
    """Run one suite, or all, and print their tables.

    The records are written as JSON to `json_path`: a file, "-" for standard output, or a folder (no suffix), which gets a file a suite. A
    file or folder has them as soon as a suite is done. Suites go on past one that lacks a module.
    Returns the exit code: 0, 1 if the machine lacks what the one suite is about, or 2 for an unknown suite or a module that is missing.
    """
    if suite is not None and suite not in SUITES:
        sys.stderr.write(f"benchmarks: no suite {suite!r}; the suites are {', '.join(SUITES)}\n")
        return 2
    records: list[Record] = []
    code = 0
    for name in SUITES if suite is None else (suite,):
        try:
            records.append(importlib.import_module(f"benchmarks.suites.{name}").measure(small))
        except ModuleNotFoundError as error:
            sys.stderr.write(f"benchmarks: the suite {name!r} needs {error.name}: pip install 'siesweep[peers]'\n")
            code = 2
            continue
        except NothingToMeasure as error:
            sys.stderr.write(f"benchmarks: {name} is left out: {error}\n")
            if suite is not None:
                return 1
            continue
        # Standard output is the record's where it is asked for.
        show(records[-1], sys.stderr if json_path == STANDARD_OUTPUT else sys.stdout)
        if json_path not in (None, STANDARD_OUTPUT):
            write(records, json_path)
    if json_path == STANDARD_OUTPUT and records:
        write(records, json_path)
    return code
