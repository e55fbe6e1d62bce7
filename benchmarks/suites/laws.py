"""Growth laws on all cores: the kernels beside diffrax, heyoka, numba, SciPy and C by hand, each at the settings that reach one error
soonest.

The error is the worst relative one of all that is asked (dates of doublings, or doublings by given months), over trajectories that are
checked against SciPy's DOP853 at a tolerance of 1e-13. A contender's tolerance, the kernels' too, is tightened until it is within the
matched error; of the settings that are, the fastest counts. One that never is gets no ratio.
"""

from __future__ import annotations

import importlib.util
import itertools
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.bare import Bare, devices
from benchmarks.environment import cores, environment
from benchmarks.laws import LAWS, TOLERANCE, Law
from benchmarks.peers import scipy_laws, simd_laws
from benchmarks.peers.c_library import HOW, compiler
from benchmarks.record import FIGURES, Column, Record, Table
from benchmarks.show import cell
from benchmarks.studies import Precision
from benchmarks.timing import Rounds, Spread, interleaved, rates, ratio, spread
from kernels.solvers.clock import Stepping

_PRECISIONS: tuple[Precision, ...] = ("float32", "float64")
_COMPILED = (
    Column("law", "law"),
    Column("float32", "float32", "seconds"),
    Column("float64", "float64", "seconds"),
)

C_ASKED = (0.7, 0.85)
"""Of the rate of C by hand at equal steps: at least, and the aim."""
SOLVERS = ("Tsit5", "Dopri8")
"""diffrax's, of which the faster at the matched error counts."""
_FIRST = "Steps counted, program traced and compiled, and 1,024 trajectories on one core."


@dataclass(frozen=True)
class _Size:
    """Trajectories of the kernel where a law is solved in software and where it is stepped, so that a call takes long enough; those of
    diffrax (which tries several), of heyoka, of numba and of SciPy; how many are checked; rounds; and batches that diffrax tries. The
    kernels' tolerance begins at the matched error times ten to the power `loosest`: of what a step may be wrong by little is left in the
    end."""

    straight: int
    stepped: int
    diffrax: tuple[int, ...]
    heyoka: int
    numba: int
    scipy: int
    checked: int
    rounds: Rounds
    batches: tuple[int, ...]
    solvers: tuple[str, ...]
    laws: int
    loosest: int


_FULL = _Size(1 << 21, 1 << 18, (1 << 10, 1 << 13), 1 << 15, 1 << 15, 4, 128, Rounds(5), (512,), SOLVERS, len(LAWS), 3)
_SMALL = _Size(1 << 11, 1 << 11, (1 << 7,), 1 << 7, 1 << 9, 2, 16, Rounds(2, 0), (64,), ("Tsit5",), 1, 0)


@dataclass(frozen=True)
class Contender:
    """Something timed: how many trajectories a call makes, its worst error, and its settings."""

    run: Callable[[], object]
    lanes: int
    error: float
    settings: str

    def reaches(self, precision: Precision) -> bool:
        return self.error <= TOLERANCE[precision]

    def quick_rate(self) -> float:
        """Trajectories a second in the best of three runs that nothing else is beside; its answers were asked for before, so that it is
        compiled."""
        return max(rates(interleaved({"alone": self.run}, 3, warm=False)["alone"], self.lanes))


def columns(rate: str) -> tuple[Column, ...]:
    """Columns of what `compared` gives, with the heading of the rate."""
    return (
        Column("what", "kernel or peer"),
        Column("rate", rate, "rate"),
        Column("error", "worst error", "error"),
        Column("ratio", "kernel / peer", "ratio"),
        Column("why", "settings"),
    )


def best(tried: list[Contender], precision: Precision) -> Contender:
    """Of several settings, the fastest of those that reach the matched error, or of all where none does."""
    return max(tried, key=lambda one: (one.reaches(precision), one.quick_rate()))


def compared(
    contenders: dict[str, Contender], precision: Precision, rounds: Rounds
) -> tuple[tuple[dict[str, Any], ...], dict[str, Spread | None], dict[str, list[float]]]:
    """Contenders in turn, the "kernel" among them: rows, its ratios to the others where both reach the matched error, and rates."""
    seconds = interleaved({name: contender.run for name, contender in contenders.items()}, rounds)
    taken = {name: rates(seconds[name], contender.lanes) for name, contender in contenders.items()}
    reached = {name: contender.reaches(precision) for name, contender in contenders.items()}
    ratios: dict[str, Spread | None] = {
        name: ratio(taken["kernel"], taken[name]) if reached[name] and reached["kernel"] else None
        for name in contenders
        if name != "kernel"
    }
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
    return rows, ratios, taken


def measure(small: bool = False) -> Record:
    """Run the suite."""
    held = environment()
    size, on = _SMALL if small else _FULL, devices()
    tables, figures = [], []
    compiled: list[dict[str, Any]] = []
    for law in LAWS[: size.laws]:
        drawn = law.draws(size.straight if law.levels else size.stepped)
        took: dict[str, float] = {}
        for precision in _PRECISIONS:
            table, found, took[precision] = _measured(law, drawn, precision, size, on)
            tables.append(table)
            figures += _figures(law, precision, found)
        compiled.append({"law": law.name, **took})
    tables += [_off(size, on), Table("Compile and first result", _COMPILED, tuple(compiled), (_FIRST,))]
    return Record("laws", small, (Table("Figures asked on two cores", FIGURES, tuple(figures)), *tables), held)


def _measured(
    law: Law, drawn: NDArray[np.float64], precision: Precision, size: _Size, on: list[Any]
) -> tuple[Table, dict[str, Spread | None], float]:
    """A law beside its peers: the table, the ratios by peer, and the seconds to the first result."""
    rounded = drawn.astype(precision)
    _tell(f"{law.name}, {precision}: the reference")
    truth = scipy_laws.reference(law, rounded[:, : size.checked])
    started = time.perf_counter()
    # The fewest that make whole sub-blocks.
    Bare(law.study(precision), rounded[:, : 1 << 10], on[:1]).run()
    first = time.perf_counter() - started

    def error(answers: NDArray[Any]) -> float:
        return worst_error(np.asarray(answers)[:, : size.checked], truth)

    contenders = {}
    for power in range(size.loosest, -1, -1):
        study = law.study(precision, tolerance=TOLERANCE[precision] * 10**power)
        bare = Bare(study, rounded, on)
        contenders["kernel"] = Contender(bare.run, bare.lanes, error(bare.outcomes()), _work(study.work))
        if contenders["kernel"].reaches(precision):
            break
    for name, candidates in (
        ("C, by hand", _by_hand(law, rounded, precision, study.work)),
        ("diffrax", diffrax_candidates(law, rounded, size.diffrax, truth, precision, size.solvers, size.batches, on)),
        ("heyoka", _heyoka(law, drawn[:, : size.heyoka], precision)),
        ("numba", _numba(law, rounded[:, : size.numba], truth, precision, len(size.solvers))),
        ("SciPy", _scipy(law, rounded[:, : size.scipy], truth, precision)),
    ):
        _tell(f"{law.name}, {precision}: {name}")
        tried = [Contender(run, lanes, error(answers()), settings) for run, answers, lanes, settings in candidates]
        if tried:
            contenders[name] = best(tried, precision)
    _tell(f"{law.name}, {precision}: all in turn")
    rows, ratios, _ = compared(contenders, precision, size.rounds)
    asked = f"dates of doublings {law.levels}" if law.levels else f"doublings by months {law.times}"
    note = f"Asked: {asked}. Matched error {TOLERANCE[precision]:g}; the ratio's range is over rounds in which all ran in turn."
    return Table(f"{law.name}, {precision}", columns("trajectories/s, all cores"), rows, (note.replace(",)", ")"),)), ratios, first


def _tell(message: str) -> None:
    """Say how far the suite is."""
    sys.stderr.write(f"laws: {message}\n")
    sys.stderr.flush()


def worst_error(answers: NDArray[Any], truth: NDArray[Any]) -> float:
    """The worst relative error; what is reached for only one of them counts as 1."""
    ours, theirs = answers.astype(np.float64), truth[:, : answers.shape[1]]
    both = np.isfinite(ours) & np.isfinite(theirs)
    with np.errstate(invalid="ignore", divide="ignore"):
        errors = np.where(both, np.abs(ours / theirs - 1), np.where(np.isfinite(ours) == np.isfinite(theirs), 0.0, 1.0))
    return float(np.nan_to_num(errors, nan=1.0).max())


def _work(budget: Any) -> str:
    if budget.tolerance:
        return f"at most {budget.steps} steps of a tolerance of {budget.tolerance / 10:g}"
    return f"at most {budget.steps} panels of {budget.nodes} points"


Candidate = tuple[Callable[[], object], Callable[[], NDArray[Any]], int, str]


def _by_hand(law: Law, drawn: NDArray[Any], precision: Precision, budget: Any) -> Iterator[Candidate]:
    # The steps in C are of order 5; at a tight tolerance the kernel takes others.
    same = not budget.tolerance or Stepping(budget.steps, budget.tolerance / 10).tableau.order == 5
    if same and compiler() is not None and law.name in simd_laws.LAWS:
        peer = simd_laws.SimdLaw(law, drawn, precision, budget, cores())
        yield peer.run, peer.answers, peer.lanes, f"the kernel's panels or steps, {HOW}"


def diffrax_candidates(
    law: Law,
    drawn: NDArray[Any],
    counts: tuple[int, ...],
    truth: NDArray[Any],
    precision: Precision,
    solvers: tuple[str, ...],
    batches: tuple[int, ...],
    on: list[Any],
) -> Iterator[Candidate]:
    """diffrax's solvers at the loosest tolerance with which the first trajectories are as near to `truth` as is asked, in calls of several
    `counts` of trajectories and `batches`; none if it is not installed."""
    if importlib.util.find_spec("diffrax") is None:
        return
    from benchmarks.peers.diffrax_laws import DiffraxLaw

    for solver in solvers:
        for power in range(4):
            tolerance = TOLERANCE[precision] / 10**power
            peer = DiffraxLaw(law, drawn[:, : counts[0]], on, solver, tolerance, batches[-1])
            within = worst_error(peer.answers()[:, : truth.shape[1]], truth) <= TOLERANCE[precision]
            yield peer.run, peer.answers, peer.lanes, f"{solver}, tolerance {tolerance:g}, {peer.lanes:,} in batches of {batches[-1]}"
            if within:
                for count, batch in tuple(itertools.product(counts, reversed(batches)))[1:]:
                    other = DiffraxLaw(law, drawn[:, :count], on, solver, tolerance, batch)
                    yield other.run, other.answers, other.lanes, f"{solver}, tolerance {tolerance:g}, {other.lanes:,} in batches of {batch}"
                break


def _heyoka(law: Law, drawn: NDArray[np.float64], precision: Precision) -> Iterator[Candidate]:
    if precision == "float32" or not law.levels or importlib.util.find_spec("heyoka") is None:
        return
    from benchmarks.peers.heyoka_laws import HeyokaLaw

    for power in (0, 1, 2, 3):
        tolerance = TOLERANCE[precision] / 10**power
        peer = HeyokaLaw(law, drawn, tolerance, cores())
        yield peer.run, peer.run, peer.lanes, f"Taylor series, tolerance {tolerance:g}, batch mode"


def _numba(law: Law, drawn: NDArray[Any], truth: NDArray[Any], precision: Precision, solvers: int) -> Iterator[Candidate]:
    if importlib.util.find_spec("numba") is None:
        return
    from benchmarks.peers.numba_laws import SOLVERS, NumbaLaw

    for solver in tuple(SOLVERS)[:solvers]:
        for power in range(4):
            tolerance = TOLERANCE[precision] / 10**power
            peer = NumbaLaw(law, drawn, solver, tolerance)
            if power < 3 and worst_error(peer.run()[:, : truth.shape[1]], truth) > TOLERANCE[precision]:
                continue
            yield peer.run, peer.run, peer.lanes, f"{solver}, tolerance {tolerance:g}, prange"
            break


def _scipy(law: Law, drawn: NDArray[Any], truth: NDArray[Any], precision: Precision) -> Iterator[Candidate]:
    for method in ("RK45", "DOP853", "LSODA"):
        for power in (0, 1, 2):
            tolerance = TOLERANCE[precision] / 10**power
            peer = scipy_laws.ScipyLaw(law, drawn, method, tolerance)
            if power < 2 and worst_error(peer.run(), truth) > TOLERANCE[precision]:
                continue
            # As if it ran on every core at no loss: a call counts for so many trajectories more.
            yield peer.run, peer.run, peer.lanes * cores(), f"solve_ivp, {method}, tolerance {tolerance:g}; one core, times {cores()}"
            break


def _off(size: _Size, on: list[Any]) -> Table:
    """The growth law with every factor off beside the returns law, a model without them, asked the same."""
    rows = []
    law = LAWS[0]
    drawn = law.draws(size.straight)
    for precision in _PRECISIONS:
        whole, lone = (Bare(law.study(precision, model), drawn.astype(precision), on) for model in ("growth_law", "returns_law"))
        seconds = interleaved({"whole": whole.run, "lone": lone.run}, size.rounds)
        taken = {name: rates(seconds[name], bare.lanes) for name, bare in (("whole", whole), ("lone", lone))}
        rows.append({"what": precision, "rate": spread(taken["whole"]), "lone": spread(taken["lone"]), "ratio": ratio(*taken.values())})
    columns = (
        Column("what", "precision"),
        Column("rate", "growth law, all factors off", "rate"),
        Column("lone", "returns law", "rate"),
        Column("ratio", "ratio", "ratio"),
    )
    return Table("What factors that are off cost: the same law and dates by a model with them and by one without", columns, tuple(rows))


def _figures(law: Law, precision: Precision, found: dict[str, Spread | None]) -> list[dict[str, Any]]:
    scalar = bool(law.levels)
    asked: dict[str, tuple[float, float | None]] = {"C, by hand": C_ASKED}
    if precision == "float32":
        asked |= {"diffrax": (50, 100) if scalar else (15, 30)}
        asked |= {} if scalar else {"SciPy": (5000, None)}
    else:
        asked |= {"diffrax": (25, None) if scalar else (8, 20)}
        asked |= {"heyoka": (10, None)} if scalar else {"SciPy": (1000, None)}
    return [
        figure(f"{law.name}, {precision}: kernel / {peer}", found[peer], least, aim)
        for peer, (least, aim) in asked.items()
        if peer in found
    ]


def figure(what: str, measured: Spread | None, least: float, aim: float | None) -> dict[str, Any]:
    """A line of FIGURES: a ratio, or None where there is none, and what it should be at least and is aimed to be."""
    return {
        "figure": what,
        "measured": cell(measured, "ratio"),
        "asked": f"≥ {least:g}×" + (f", aim {aim:g}×" if aim else ""),
        "reached": None if measured is None else measured["median"] >= least,
    }
