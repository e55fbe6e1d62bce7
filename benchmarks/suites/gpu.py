"""The kernels on an accelerator: trajectories a second of kernels and whole tile programs, their errors, diffrax beside them, and what the
compiled tile programs are made of. Needs JAX, NumPy and SciPy alone; diffrax where it is installed.

On a machine without an accelerator only the small mode runs, on the CPU, which tests the suite.
"""

from __future__ import annotations

import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import references, studies
from benchmarks.bare import Bare, Tiles, devices
from benchmarks.environment import environment
from benchmarks.laws import LAWS, TOLERANCE, Law
from benchmarks.peers import scipy_laws
from benchmarks.record import FIGURES, Column, NothingToMeasure, Record, Table
from benchmarks.show import cell
from benchmarks.studies import Precision
from benchmarks.suites.kernels import draws
from benchmarks.suites.laws import Contender, diffrax_candidates, worst_error
from benchmarks.timing import Spread, interleaved, rates, ratio, spread
from kernels.outcomes import Outcomes
from kernels.program import Study, TileProgram, TileShape

_COLUMNS = (
    Column("what", "kernel or peer"),
    Column("rate", "trajectories/s", "rate"),
    Column("error", "worst error", "error"),
    Column("ratio", "kernel / peer", "ratio"),
    Column("why", "settings"),
)
_PROGRAMS = (
    Column("what", "tile program"),
    Column("kernels", "kernels in it", "count"),
    Column("loops", "loops", "count"),
    Column("bytes", "memory it works in", "bytes"),
    Column("compile", "compiling", "seconds"),
)
_SOLVERS = ("Tsit5", "Dopri8")


@dataclass(frozen=True)
class _Size:
    """Trajectories of a kernel and of diffrax, how many are checked, blocks of a tile, and rounds."""

    kernel: int
    diffrax: int
    checked: int
    blocks: int
    rounds: int
    laws: int


_FULL = _Size(1 << 22, 1 << 20, 32, 64, 5, len(LAWS))
_SMALL = _Size(1 << 12, 1 << 8, 8, 1, 1, 1)


@dataclass(frozen=True)
class _Problem:
    """A study, the parameters that its bare kernel is given, and the true answers of the first of them."""

    name: str
    study: Study
    drawn: NDArray[Any]
    truth: NDArray[np.float64]
    law: Law | None = None


def measure(small: bool = False) -> Record:
    """Run the suite. Raises NothingToMeasure where there is no accelerator."""
    held = environment()
    size, on = _SMALL if small else _FULL, devices()
    if on[0].platform == "cpu" and not small:
        raise NothingToMeasure("JAX sees no accelerator here")
    held["hardware"]["accelerator"] = f"{len(on)} × {on[0].device_kind}"
    tables, programs, figures = [], [], []
    precisions: tuple[Precision, ...] = ("float32",) if small else ("float32", "float64")
    for precision in precisions:
        for problem in _problems(precision, size):
            sys.stderr.write(f"gpu: {problem.name}\n")
            table, found = _measured(problem, precision, size, on)
            tables.append(table)
            programs.append(_program(problem, size, on))
            if precision == "float32":
                figures += _figures(problem, found)
    made_of = Table("What the tile programs are made of", _PROGRAMS, tuple(programs))
    return Record("gpu", small, (Table("Figures asked of one H100", FIGURES, tuple(figures)), *tables, made_of), held)


def _problems(precision: Precision, size: _Size) -> list[_Problem]:
    drawn = draws(size.kernel).astype(precision)
    dates = references.recursion_dates(drawn[:, : size.checked].astype(np.float64), [int(level) for level in studies.DATES])
    study = studies.study(precision, "recursion", Outcomes(doublings=studies.DATES))
    found = [_Problem(f"Davidson–Houlden's recursion, {precision}", study, drawn, dates)]
    for law in LAWS[: size.laws]:
        drawn = law.draws(size.kernel).astype(precision)
        truth = scipy_laws.reference(law, drawn[:, : size.checked])
        found.append(_Problem(f"{law.name}, {precision}", law.study(precision), drawn, truth, law))
    return found


def _measured(problem: _Problem, precision: Precision, size: _Size, on: list[Any]) -> tuple[Table, dict[str, Spread]]:
    """A problem's table; and the kernel's rate, and its ratio to diffrax where both reach the error."""
    bare = Bare(problem.study, problem.drawn, on)
    tiles = Tiles(problem.study, size.blocks, on)

    def error(answers: NDArray[Any]) -> float:
        return worst_error(np.asarray(answers)[:, : size.checked], problem.truth)

    contenders = {
        "kernel": Contender(bare.run, bare.lanes, error(bare.outcomes()), f"{bare.lanes:,} trajectories a call"),
        "whole tile program": Contender(tiles.run, tiles.lanes, tiles.audit()[0], "sampling, statistics and audit; the audit's error"),
    }
    if problem.law is not None:
        # All at once, as suits an accelerator.
        given = problem.drawn[:, : size.diffrax], problem.truth, precision, _SOLVERS, (size.diffrax // len(on),), on
        tried = [
            Contender(run, lanes, error(answers()), settings) for run, answers, lanes, settings in diffrax_candidates(problem.law, *given)
        ]
        if tried:
            contenders["diffrax"] = max(tried, key=lambda one: (one.reaches(precision), one.quick_rate()))
    runs: dict[str, Callable[[], object]] = {name: contender.run for name, contender in contenders.items()}
    seconds = interleaved(runs, size.rounds)
    taken = {name: rates(seconds[name], contender.lanes) for name, contender in contenders.items()}
    reached = {name: contender.reaches(precision) for name, contender in contenders.items()}
    ratios = {name: ratio(taken["kernel"], taken[name]) for name in contenders if name != "kernel" and reached[name] and reached["kernel"]}
    rows = tuple(
        {
            "what": name,
            "rate": spread(taken[name]),
            "error": contender.error,
            "ratio": ratios.get(name),
            "why": contender.settings + ("" if reached[name] else "; does not reach the matched error"),
        }
        for name, contender in contenders.items()
    )
    note = f"Matched error {TOLERANCE[precision]:g}; the ratio's range is over rounds in which all ran in turn."
    found = {"rate": spread(taken["kernel"])} | ({"diffrax": ratios["diffrax"]} if "diffrax" in ratios else {})
    return Table(problem.name, _COLUMNS, rows, (note,)), found


def _program(problem: _Problem, size: _Size, on: list[Any]) -> dict[str, Any]:
    """What the compiler has made of a whole tile."""
    program = TileProgram(problem.study, TileShape(1, size.blocks))
    started = time.perf_counter()
    compiled = program.compile(on[0])
    taken = time.perf_counter() - started
    kinds = Counter(re.findall(r"\s(fusion|custom-call|while|sort|scatter)\(", compiled.as_text()))
    memory = compiled.memory_analysis()
    return {
        "what": problem.name,
        "kernels": sum(count for kind, count in kinds.items() if kind != "while"),
        "loops": kinds["while"],
        "bytes": None if memory is None else memory.temp_size_in_bytes,
        "compile": taken,
    }


def _figures(problem: _Problem, found: dict[str, Spread]) -> list[dict[str, Any]]:
    asked: list[tuple[str, Spread | None, str, float]] = []
    if problem.law is None:
        asked.append((f"{problem.name}: trajectories a second", found["rate"], "rate", 1e9))
    elif problem.law.times:
        asked.append((f"{problem.name}: kernel / diffrax", found.get("diffrax"), "ratio", 20.0))
    return [
        {
            "figure": what,
            "measured": cell(measured, "rate" if kind == "rate" else "ratio"),
            "asked": f"≥ {cell(least, 'rate' if kind == 'rate' else 'ratio')}",
            "reached": None if measured is None else measured["median"] >= least,
        }
        for what, measured, kind, least in asked
    ]
