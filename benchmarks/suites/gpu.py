"""The kernels on an accelerator: trajectories a second of kernels and whole tile programs, their errors, diffrax, CUDA C and numba-cuda
beside them, what the compiled tile programs are made of, and whether the device waits for the host. Needs JAX, NumPy and SciPy alone.

On a machine without an accelerator only the small mode runs, on the CPU, which tests the suite. One device is measured, the first.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from benchmarks import made_of, references, studies
from benchmarks.bare import Bare, Tiles, devices
from benchmarks.environment import environment
from benchmarks.laws import LAWS, NOISY, TOLERANCE, Law
from benchmarks.peers import cuda_laws, numpy_blocked, scipy_laws
from benchmarks.record import FIGURES, Column, Kind, NothingToMeasure, Record, Table
from benchmarks.show import cell
from benchmarks.studies import Precision
from benchmarks.suites.kernels import draws
from benchmarks.suites.laws import SOLVERS, Candidate, Contender, best, columns, compared, diffrax_candidates, worst_error
from benchmarks.timing import Rounds, Spread, interleaved, rates, ratio, spread
from kernels.outcomes import Outcomes
from kernels.program import TileProgram, TileShape
from kernels.sampling import seed_key
from kernels.solvers.clock_solution import ClockSolution
from kernels.study import Study

_NOISY = (
    Column("what", "law"),
    Column("rate", "trajectories/s", "rate"),
    Column("steps", "steps a trajectory", "count"),
    Column("step_rate", "steps/s", "rate"),
)
_TIMELINE = (
    Column("what", "tiles"),
    Column("seconds", "time", "seconds"),
    Column("busy", "device busy", "ratio"),
)
_COUNTED = 512
"""Draws whose steps are counted."""
_SLOWER = 1.3
"""How many times as fast CUDA C must be for a whole-loop kernel of our own to be wanted."""


@dataclass(frozen=True)
class _Size:
    """Trajectories of a kernel, of diffrax and of kernels by hand, how many are checked (in the recursion, which is quick to check, and in
    laws), draws of a block, blocks of a tile, tiles of the timeline, rounds and laws."""

    kernel: int
    diffrax: int
    by_hand: int
    checked: int
    checked_law: int
    block: int
    blocks: int
    tiles: int
    rounds: Rounds
    laws: int

    def cut(self, study: Study) -> Study:
        """A study in blocks of this size."""
        return replace(study, design=replace(study.design, block=self.block))


_FULL = _Size(1 << 22, 1 << 20, 1 << 22, 1 << 15, 32, 1 << 16, 64, 16, Rounds(5), len(LAWS))
_SMALL = _Size(1 << 12, 1 << 8, 1 << 6, 1 << 5, 8, 1 << 10, 1, 3, Rounds(1, 0), 1)


@dataclass(frozen=True)
class _Problem:
    """A study, the parameters that its bare kernel is given, and the true answers of the first of them. Without a law it is the recursion,
    asked for dates or, with `windows`, for flags."""

    name: str
    study: Study
    drawn: NDArray[Any]
    truth: NDArray[Any]
    law: Law | None = None
    windows: bool = False

    def error(self, answers: NDArray[Any]) -> float:
        """The worst relative error of a number, or the share of flags that differ, in the trajectories that are checked."""
        checked = np.asarray(answers)[:, : self.truth.shape[1]]
        return float(np.mean(checked != self.truth[:, : checked.shape[1]])) if self.windows else worst_error(checked, self.truth)


def measure(small: bool = False) -> Record:
    """Run the suite. Raises NothingToMeasure where there is no accelerator."""
    held = environment()
    size, on = _SMALL if small else _FULL, devices()[:1]
    if on[0].platform == "cpu" and not small:
        raise NothingToMeasure("JAX sees no accelerator here")
    held["hardware"]["accelerator"] = on[0].device_kind
    missing = _missing(on[0])
    tables, programs, figures = [], [], []
    precisions: tuple[Precision, ...] = ("float32",) if small else ("float32", "float64")
    for precision in precisions:
        for problem in _problems(precision, size):
            sys.stderr.write(f"gpu: {problem.name}\n")
            tiles = Tiles(size.cut(problem.study), size.blocks, on)
            program = tiles.program
            # What is compiled here then runs as it is.
            programs.append(made_of.row(problem.name, partial(program.compile, on[0]), program.solved_at_once))
            table, found = _measured(problem, tiles, precision, size, on, missing)
            tables.append(table)
            # The whole takes many minutes: what there is already is told.
            sys.stderr.writelines(f"gpu:   {row['what']}: {cell(row['rate'], 'rate')}, error {row['error']:.1e}\n" for row in table.rows)
            if precision == "float32":
                figures += _figures(problem, found)
    sys.stderr.write("gpu: the noisy law and the timeline\n")
    noisy, step_rate = _noisy(size, on)
    timeline, busy = _timeline(size, on)
    figures += [
        _figure("noisy law, float32: steps a second", step_rate, "rate", 5e10),
        _figure("device busy while tiles are queued, of the time that passes", busy, "ratio", 0.95),
    ]
    whole = Table("What the tile programs are made of", made_of.COLUMNS, tuple(programs), (made_of.NOTE,))
    return Record("gpu", small, (Table("Figures asked of one H100", FIGURES, tuple(figures)), *tables, whole, noisy, timeline), held)


def _missing(device: Any) -> dict[str, str]:
    """Contenders that are left out, and why."""
    found = {} if importlib.util.find_spec("diffrax") else {"diffrax": "not installed"}
    if device.platform != "gpu":
        return found | {"CUDA C": "no CUDA device", "numba-cuda": "no CUDA device"}
    lacks = cuda_laws.missing()
    if lacks:
        found["CUDA C"] = lacks
    if importlib.util.find_spec("numba") is None:
        return found | {"numba-cuda": "not installed"}
    from benchmarks.peers import numba_cuda_laws

    lacks = numba_cuda_laws.missing()
    return found | ({"numba-cuda": lacks} if lacks else {})


def _problems(precision: Precision, size: _Size) -> Iterator[_Problem]:
    drawn = draws(size.kernel).astype(precision)
    checked = drawn[:, : size.checked].astype(np.float64)
    dates = references.recursion_dates(checked, [int(level) for level in studies.DATES])
    study = studies.study(precision, "recursion", Outcomes(doublings=studies.DATES))
    yield _Problem(f"Davidson–Houlden's recursion, {precision}", study, drawn, dates)
    flags = numpy_blocked.windows(checked[0], checked[1], checked[2], checked[3], np.float64)
    study = studies.study(precision, "recursion", Outcomes(windows=studies.PUBLISHED_WINDOWS))
    yield _Problem(f"Davidson–Houlden's recursion, four windows, {precision}", study, drawn, flags, windows=True)
    for law in LAWS[: size.laws]:
        drawn = law.draws(size.kernel).astype(precision)
        truth = scipy_laws.reference(law, drawn[:, : size.checked_law])
        yield _Problem(f"{law.name}, {precision}", law.study(precision), drawn, truth, law)


def _measured(
    problem: _Problem, tiles: Tiles, precision: Precision, size: _Size, on: list[Any], missing: dict[str, str]
) -> tuple[Table, dict[str, Spread | None]]:
    """A problem's table; and the kernel's rate, and its ratios to others where both reach the error."""
    bare = Bare(problem.study, problem.drawn, on)
    error, differ = tiles.audit()
    contenders = {
        "kernel": Contender(bare.run, bare.lanes, problem.error(bare.outcomes()), f"{bare.lanes:,} trajectories a call"),
        "whole tile program": Contender(
            tiles.run, tiles.lanes, differ if problem.windows else error, "sampling, statistics and audit; the audit's error"
        ),
    }
    notes = []
    for name, form in _other_form(problem.study).items():
        try:
            other = Bare(form, problem.drawn, on)
            contenders[name] = Contender(other.run, other.lanes, problem.error(other.outcomes()), f"{other.lanes:,} trajectories a call")
        except Exception as error:
            # What keeps one form from running here is a result as well.
            notes.append(f"Not run: {name} ({type(error).__name__}: {str(error).splitlines()[0]}).")
    for name, candidates in (
        ("diffrax", _diffrax(problem, precision, size, on)),
        ("CUDA C", _cuda(problem, precision, size)),
        ("numba-cuda", _numba(problem, precision, size)),
    ):
        tried = [] if name in missing else [Contender(run, lanes, problem.error(answers()), why) for run, answers, lanes, why in candidates]
        if tried:
            contenders[name] = best(tried, precision)
    rows, ratios, taken = compared(contenders, precision, size.rounds)
    what = "the share of flags that differ" if problem.windows else "the worst relative error"
    notes.insert(0, f"Matched error {TOLERANCE[precision]:g}: {what}; the ratio's range is over rounds in which all ran in turn.")
    if missing:
        notes.append("Left out: " + ", ".join(f"{name} ({why})" for name, why in missing.items()) + ".")
    return Table(problem.name, columns("trajectories/s"), rows, tuple(notes)), {"rate": spread(taken["kernel"]), **ratios}


def _other_form(study: Study) -> dict[str, Study]:
    """A study whose trajectories choose their steps in the form that was not chosen for a GPU: in a loop, or in one kernel."""
    count = study.step_count
    if count is None or jax.default_backend() != "gpu":
        return {}
    name = "kernel, in a loop" if count.one_kernel else "kernel, all steps in one"
    return {name: replace(study, counted=count._replace(one_kernel=not count.one_kernel))}


def _diffrax(problem: _Problem, precision: Precision, size: _Size, on: list[Any]) -> Iterator[Candidate]:
    if problem.law is not None:
        # All at once, as suits an accelerator.
        yield from diffrax_candidates(problem.law, problem.drawn, (size.diffrax,), problem.truth, precision, SOLVERS, (size.diffrax,), on)


def _cuda(problem: _Problem, precision: Precision, size: _Size) -> Iterator[Candidate]:
    """With and without the device's own approximations; steps at the loosest tolerance that is near enough."""
    law, drawn = problem.law, problem.drawn[:, : size.by_hand]
    if law is not None and law.name not in cuda_laws.LAWS:
        return
    for fast in (False, True):
        library = cuda_laws.library(precision, fast)
        how = "one thread a trajectory, nvcc -O3" + (" --use_fast_math" if fast else "")
        if law is None:
            early, late = (int(level) for level in studies.DATES)
            one = (
                cuda_laws.CudaWindows(library, drawn, precision)
                if problem.windows
                else cuda_laws.CudaDates(library, drawn, precision, early, late)
            )
            yield one.run, one.answers, one.lanes, how
            continue
        for power in range(4 if law.times else 1):
            tolerance = TOLERANCE[precision] / 10**power
            peer = cuda_laws.CudaLaw(library, law, drawn, precision, problem.study.budget, tolerance)
            work = f"Tsit5, tolerance {tolerance:g}" if law.times else "the kernel's points"
            yield peer.run, peer.answers, peer.lanes, f"{work}, {how}"
            if problem.error(peer.answers()) <= TOLERANCE[precision]:
                break


def _numba(problem: _Problem, precision: Precision, size: _Size) -> Iterator[Candidate]:
    from benchmarks.peers import numba_cuda_laws

    law, drawn = problem.law, problem.drawn[:, : size.by_hand]
    if problem.windows or (law is not None and law.name not in numba_cuda_laws.LAWS):
        return
    for fast in (False, True):
        how = "one thread a trajectory" + (", fastmath" if fast else "")
        if law is None:
            early, late = (int(level) for level in studies.DATES)
            dates = numba_cuda_laws.NumbaDates(drawn, precision, early, late, fast)
            yield dates.run, dates.answers, dates.lanes, how
        else:
            peer = numba_cuda_laws.NumbaLaw(law, drawn, precision, problem.study.budget, fast)
            yield peer.run, peer.answers, peer.lanes, f"the kernel's points, {how}"


def _noisy(size: _Size, on: list[Any]) -> tuple[Table, Spread]:
    """The noisy law's whole tile program: trajectories and steps a second."""
    study = size.cut(NOISY.study("float32"))
    tiles = Tiles(study, size.blocks, on)

    @jax.jit
    def steps() -> jax.Array:
        drawn = study.parameters(jnp.asarray(seed_key(1)), jnp.arange(_COUNTED, dtype=jnp.uint32), jnp.zeros(0))
        solution = study.model.solve(drawn, study.options, study.work)
        assert isinstance(solution, ClockSolution)
        return jnp.mean(solution.steps_taken)

    _ = study.work
    count = float(steps())
    taken = rates(interleaved({"tiles": tiles.run}, size.rounds)["tiles"], tiles.lanes)
    step_rate = spread([rate * count for rate in taken])
    row = {"what": NOISY.name, "rate": spread(taken), "steps": round(count), "step_rate": step_rate}
    notes = (
        "The whole tile program: sampling, statistics and audit are in its time.",
        f"Steps are those that {_COUNTED} trajectories took on average, some of them again; waiting for slower ones does not count.",
    )
    return Table("The noisy law, float32", _NOISY, (row,), notes), step_rate


def _timeline(size: _Size, on: list[Any]) -> tuple[Table, Spread]:
    """How much of the time the device computes while tiles follow each other: so many times the time of one alone, over what passes."""
    study = size.cut(studies.study("float32", "recursion", studies.BASE))
    program, key, cells, draws_in_all = TileProgram(study, TileShape(1, size.blocks)), seed_key(1), np.zeros((1, 0)), 1 << 62
    program.compile(on[0])
    wait: Callable[[Any], Any] = jax.block_until_ready

    def tile(number: int) -> dict[str, jax.Array]:
        return program(cells, number * size.blocks, size.blocks, draws_in_all, key, on[0])

    def brought(number: int) -> None:
        for array in tile(number).values():
            np.asarray(array)

    def by_threads(count: int) -> None:
        with ThreadPoolExecutor(count) as pool:
            list(pool.map(brought, range(size.tiles)))

    alone, queued = "one alone", f"{size.tiles} queued at once"
    one_thread, two_threads = "each brought to the host before the next is queued", "the next queued while one is brought to the host"
    seconds = interleaved(
        {
            alone: lambda: wait(tile(0)),
            queued: lambda: wait([tile(number) for number in range(size.tiles)]),
            one_thread: lambda: by_threads(1),
            two_threads: lambda: by_threads(2),
        },
        size.rounds,
    )
    busy = {name: ratio([size.tiles * one for one in seconds[alone]], seconds[name]) for name in (queued, one_thread, two_threads)}
    rows = tuple({"what": name, "seconds": spread(taken), "busy": busy.get(name)} for name, taken in seconds.items())
    notes = (
        "Tiles of the recursion with all that the demo asks. Busy is their number times the time of one alone, over the time that passes: "
        "1 where the device never waits. One alone begins and ends with the host, which a tile of a queue need not, so it may be more.",
        "The engine has two threads for an accelerator, as in the last row.",
    )
    return Table("Timeline: whether the device waits for the host", _TIMELINE, rows, notes), busy[two_threads]


def _figures(problem: _Problem, found: dict[str, Spread | None]) -> list[dict[str, Any]]:
    figures = []
    if problem.law is None and not problem.windows:
        figures.append(_figure(f"{problem.name}: trajectories a second", found["rate"], "rate", 1e9))
    if problem.law is not None and problem.law.times:
        figures.append(_figure(f"{problem.name}: kernel / diffrax", found.get("diffrax"), "ratio", 20.0))
    if problem.law is None or problem.law.name in cuda_laws.LAWS:
        # Below it a kernel that holds the whole loop is wanted.
        figures.append(_figure(f"{problem.name}: kernel / CUDA C", found.get("CUDA C"), "ratio", 1 / _SLOWER))
    return figures


def _figure(what: str, measured: Spread | None, kind: Kind, least: float) -> dict[str, Any]:
    return {
        "figure": what,
        "measured": cell(measured, kind),
        "asked": f"≥ {cell(least, kind)}",
        "reached": None if measured is None else measured["median"] >= least,
    }
