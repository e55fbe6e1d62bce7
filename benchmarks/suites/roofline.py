"""How far the kernels are from this machine's limit: the operations of each, the machine's ceilings, and the fraction of them reached.

The limit is the rate of trajectories if their operations were issued one kind after the other, back to back, at the ceilings that the same
rounds measured. On the CPU also what a second core adds. Needs JAX and NumPy only; a C compiler where there is one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax

from benchmarks import studies
from benchmarks.affinity import can_be_held
from benchmarks.bare import Bare, devices
from benchmarks.ceilings import Loop, loops
from benchmarks.environment import environment
from benchmarks.laws import LAWS
from benchmarks.operations import ADDITION, KINDS, MULTIPLICATION, MULTIPLY_ADD, count
from benchmarks.record import FIGURES, Column, Record, Table
from benchmarks.show import cell
from benchmarks.studies import Precision
from benchmarks.suites.kernels import draws
from benchmarks.timing import Rounds, Spread, interleaved, rates, ratio, spread
from kernels.lanes import sub_block
from kernels.outcomes import Outcomes
from kernels.study import Study

_ASKED = {"panels": 0.5, "steps": 0.4}
"""The fraction asked of an accelerator in float32, by how a law is solved."""
_CORES_ASKED = 1.8
_BLOCKS = 4
"""Blocks that a device is given at least."""
_CEILINGS = (
    Column("kind", "operation"),
    Column("precision", "precision"),
    Column("rate", "operations/s, all cores", "rate"),
    Column("twice", "time of twice as many", "ratio"),
    Column("made", "measured by"),
)
_PROBLEMS = (
    Column("what", "kernel"),
    *(Column(kind, kind, "count") for kind in KINDS),
    Column("limit", "trajectories/s at the ceilings", "rate"),
    Column("rate", "measured", "rate"),
    Column("fraction", "fraction of the limit", "ratio"),
)
_NOTES_OF_CEILINGS = (
    "Additions and multiplications have the ceiling of multiply-adds, of which the faster loop counts. Others are comparisons, selections, "
    "minima, signs, roundings, conversions, and all that is done to integers; their ceiling is that of comparisons and selections.",
)
_NOTES_OF_PROBLEMS = (
    "At the ceilings, operations of one kind follow those of another; a processor that does both at once may exceed that.",
    "Steps that are chosen by their error are those that a trajectory takes on average: waiting for slower ones is part of what is missed.",
)
_NOTE_OF_SCALING = (
    "The process is held to so many cores, a device and its thread for each: XLA's own threads would otherwise use idle cores, too, and "
    "what is called one core would be up to 1.3."
)
_SCALING = (
    Column("what", "kernel"),
    Column("one", "trajectories/s, one core", "rate"),
    Column("two", "two cores", "rate"),
    Column("ratio", "two / one", "ratio"),
    Column("all", "all cores", "rate"),
)


@dataclass(frozen=True)
class _Size:
    """Trajectories of the recursion and of panels, and of laws that are stepped; seconds of a ceiling; rounds; and how many problems."""

    straight: int
    stepped: int
    ceiling: float
    rounds: Rounds
    small: bool
    precisions: tuple[Precision, ...]


_FULL = _Size(1 << 22, 1 << 17, 0.03, Rounds(7), False, ("float32", "float64"))
_SMALL = _Size(1 << 12, 1 << 9, 0.001, Rounds(2, 0), True, ("float32",))


@dataclass(frozen=True)
class _Problem:
    """A kernel, its operations a trajectory by kind, how it is solved, and whether it is one that shows what a second core adds."""

    name: str
    solved: str
    bare: Bare
    operations: Mapping[str, float]
    shows_cores: bool

    def limit(self, ceilings: Mapping[str, float]) -> float:
        """Trajectories a second at so many operations of each kind a second."""
        return 1 / sum(number / ceilings[kind] for kind, number in self.operations.items())


def measure(small: bool = False) -> Record:
    """Run the suite."""
    held = environment()
    size, on = _SMALL if small else _FULL, devices()
    ceilings: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    scaling: list[dict[str, Any]] = []
    figures: list[dict[str, Any]] = []
    for precision in size.precisions:
        found = _measured(precision, size, on)
        ceilings += found[0]
        rows += found[1]
        scaling += found[2]
        figures += found[3]
    tables = [
        Table("Figures asked of an accelerator, and of two cores", FIGURES, tuple(figures)),
        Table("Ceilings", _CEILINGS, tuple(ceilings), _NOTES_OF_CEILINGS),
        Table(
            "Operations of a trajectory, and the fraction reached of the rate at the ceilings", _PROBLEMS, tuple(rows), _NOTES_OF_PROBLEMS
        ),
    ]
    if scaling:
        tables.append(Table("From one core to two", _SCALING, tuple(scaling), (_NOTE_OF_SCALING,)))
    elif on[0].platform == "cpu":
        sys.stderr.write("roofline: from one core to two is left out: this machine has one core, or cannot hold a process to one\n")
    if on[0].platform != "cpu":
        held["hardware"]["accelerator"] = f"{len(on)} × {on[0].device_kind}"
    return Record("roofline", small, tuple(tables), held)


def _measured(precision: Precision, size: _Size, on: list[Any]) -> tuple[list[dict[str, Any]], ...]:
    """Rows of the ceilings, of the problems and of one core beside two, and figures: all from the same rounds."""
    problems = _problems(precision, size, on)
    sys.stderr.write(f"roofline: ceilings, {precision}\n")
    pairs = loops(precision, size.ceiling, on)
    runs: dict[str, Callable[[], object]] = {}
    for once, twice in pairs:
        runs |= {_name(once): once.run, f"twice {_name(once)}": twice.run}
    scales = len(on) > 1 and on[0].platform == "cpu" and can_be_held()
    for problem in problems:
        runs[problem.name] = problem.bare.run
        if scales and problem.shows_cores:
            runs |= {f"{number} of {problem.name}": problem.bare.run.on_cores(number) for number in (1, 2)}
    sys.stderr.write(f"roofline: all in turn, {precision}\n")
    seconds = interleaved(runs, size.rounds)
    found = {_name(once): rates(seconds[_name(once)], once.work) for once, _ in pairs}
    ceilings = [
        {
            "kind": once.kind,
            "precision": precision,
            "rate": spread(found[_name(once)]),
            "twice": ratio(seconds[f"twice {_name(once)}"], seconds[_name(once)]),
            "made": once.made,
        }
        for once, _ in pairs
    ]
    # Of two loops of a kind the faster is the ceiling.
    reached = [{once.kind: 0.0 for once, _ in pairs} for _ in range(size.rounds.count)]
    for once, _ in pairs:
        for highest, rate in zip(reached, found[_name(once)], strict=True):
            highest[once.kind] = max(highest[once.kind], rate)
    for highest in reached:
        highest[ADDITION] = highest[MULTIPLICATION] = highest[MULTIPLY_ADD]
    rows, scaling, figures = [], [], []
    for problem in problems:
        taken = rates(seconds[problem.name], problem.bare.lanes)
        limits = [problem.limit(highest) for highest in reached]
        fraction = ratio(taken, limits)
        numbers = {kind: round(number) for kind, number in problem.operations.items()}
        rows.append({"what": problem.name, **numbers, "limit": spread(limits), "rate": spread(taken), "fraction": fraction})
        if precision == "float32":
            figures.append(_figure(f"{problem.name}: fraction of the limit", fraction, _ASKED.get(problem.solved), on))
        if scales and problem.shows_cores:
            one, two = (rates(seconds[f"{number} of {problem.name}"], problem.bare.lanes * number / len(on)) for number in (1, 2))
            times = ratio(two, one)
            scaling.append({"what": problem.name, "one": spread(one), "two": spread(two), "ratio": times, "all": spread(taken)})
            figures.append(
                {
                    "figure": f"{problem.name}: two cores / one",
                    "measured": cell(times, "ratio"),
                    "asked": f"≥ {_CORES_ASKED:g}×",
                    "reached": times["median"] >= _CORES_ASKED,
                }
            )
    return ceilings, rows, scaling, figures


def _name(loop: Loop) -> str:
    return f"{loop.kind}, {loop.made}"


def _problems(precision: Precision, size: _Size, on: list[Any]) -> list[_Problem]:
    asked = (("four windows", Outcomes(windows=studies.PUBLISHED_WINDOWS)), ("two dates", Outcomes(doublings=studies.DATES)))
    found = [
        _problem(
            f"recursion, {what}, {precision}", studies.study(precision, "recursion", outcomes), draws, size, on, what == "four windows"
        )
        for what, outcomes in asked
    ]
    laws = [LAWS[0], LAWS[3]] if size.small else LAWS
    return found + [
        _problem(f"{law.name}, {precision}", law.study(precision), law.draws, size, on, law in (LAWS[1], LAWS[3])) for law in laws
    ]


def _problem(name: str, study: Study, draw: Callable[[int], Any], size: _Size, on: list[Any], shows_cores: bool) -> _Problem:
    sys.stderr.write(f"roofline: {name}\n")
    stepped = bool(study.work.tolerance)
    lanes = max(size.stepped if stepped else size.straight, _BLOCKS * len(on) * sub_block(study))
    bare = Bare(study, draw(lanes).astype(study.dtype), on)
    taken = float(bare.steps().mean()) if stepped or study.budget.uneven else 0.0
    # Loops that end with the longest recursion are counted as if all were as long as the mean one.
    budget = study.work_here if stepped or not taken else replace(study.work_here, steps=round(taken), compact=False)
    shape: Callable[..., Any] = jax.ShapeDtypeStruct
    block = shape((len(study.design.distributions), bare.width), study.dtype)
    operations = {
        kind: number / bare.width
        for kind, number in count(partial(bare.block, budget=budget), block, trips=(taken,) if stepped else ()).items()
    }
    solved = "steps" if stepped else "panels" if study.work.nodes > 1 else "recursion"
    return _Problem(name, solved, bare, operations, shows_cores)


def _figure(what: str, found: Spread, least: float | None, on: list[Any]) -> dict[str, Any]:
    """A line of the figures; none is asked of a CPU, nor of what has no least fraction."""
    asked = least is not None and on[0].platform != "cpu"
    return {
        "figure": what,
        "measured": cell(found, "ratio"),
        "asked": f"≥ {least:g}×" if asked else "no target",
        "reached": found["median"] >= least if least is not None and asked else None,
    }
