"""`python -m benchmarks [SUITE] [--small] [--json [FILE]]` runs suites; `python -m benchmarks tables` puts committed results into pages."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import SUITES, main
from benchmarks.record import STANDARD_OUTPUT


def command() -> int:
    """Run what the command line asks for; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure what is fast, against whom, on this machine.")
    parser.add_argument(
        "suite", nargs="?", help=f"{', '.join(SUITES)} (default: all), or tables: rewrite the tables of README.md and docs/"
    )
    parser.add_argument("--small", action="store_true", help="seconds only: tests the suites, measures nothing worth quoting")
    parser.add_argument(
        "--json", nargs="?", type=Path, const=STANDARD_OUTPUT, metavar="FILE", help="write the record to a file or folder (default: stdout)"
    )
    given = parser.parse_args()
    if given.suite == "tables":
        from benchmarks.tables import rewrite_pages

        for page in rewrite_pages():
            sys.stdout.write(f"{page}\n")
        return 0
    return main(given.suite, given.json, given.small)


if __name__ == "__main__":
    sys.exit(command())
