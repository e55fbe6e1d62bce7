"""Problems beyond the growth laws' own suite, on all cores: Lorenz's equations at a fixed step, a law in plain time close to its blow-up,
and a law with noise, each contender beside its peers.

Each is measured at one achieved error, which is said beside its rate together with the steps that a trajectory takes; one that does not
reach the error gets no ratio. A peer that is not installed is left out, and named.
"""

from __future__ import annotations

import importlib.util
import itertools
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from numpy.typing import NDArray

from benchmarks import blow_up, lorenz, noisy_law
from benchmarks.bare import Bare, Batches, devices
from benchmarks.environment import cores, environment
from benchmarks.laws import TOLERANCE
from benchmarks.peers import numpy_lorenz, numpy_noise
from benchmarks.peers.c_library import HOW, compiler
from benchmarks.peers.scipy_in_time import ScipyInTime
from benchmarks.peers.scipy_laws import ScipyLaw
from benchmarks.peers.simd_laws import SimdLaw
from benchmarks.peers.simd_lorenz import SimdLorenz
from benchmarks.peers.simd_noise import SimdNoise
from benchmarks.record import FIGURES, Column, Record, Table
from benchmarks.studies import Precision
from benchmarks.suites.laws import C_ASKED, SOLVERS, figure, worst_error
from benchmarks.timing import Rounds, interleaved, rates, ratio, spread

_PRECISIONS: tuple[Precision, ...] = ("float32", "float64")
_C, _SMALL_STEPS = "C, by hand", "kernel's random numbers"
"""Contenders that take steps alike."""
_COLUMNS = (
    Column("what", "kernel or peer"),
    Column("rate", "trajectories/s, all cores", "rate"),
    Column("steps", "steps a trajectory"),
    Column("step_rate", "steps/s", "rate"),
    Column("error", "worst error", "error"),
    Column("ratio", "kernel / peer", "ratio"),
    Column("why", "settings"),
)


@dataclass(frozen=True)
class _Size:
    """Trajectories of Lorenz's equations, of compiled contenders, of diffrax and of NumPy; how many are checked; rounds; batches tried;
    and trajectories of a law of the kernels, of diffrax and of SciPy, and diffrax's solvers;
    and trajectories with noise, of diffrax and of the others."""

    lorenz: int
    lorenz_diffrax: int
    lorenz_numpy: int
    checked: int
    rounds: Rounds
    batches: tuple[int, ...]
    law: int
    law_diffrax: int
    law_scipy: int
    solvers: tuple[str, ...]
    noise: int
    noise_diffrax: int
    precisions: tuple[Precision, ...]


_FULL = _Size(1 << 17, 1 << 13, 1 << 16, 32, Rounds(5), (64, 128, 512), 1 << 20, 1 << 13, 16, SOLVERS, 1 << 18, 1 << 14, _PRECISIONS)
_SMALL = _Size(1 << 10, 1 << 7, 1 << 9, 8, Rounds(2, 0), (64,), 1 << 11, 1 << 7, 4, ("Tsit5",), 1 << 12, 1 << 11, ("float32",))


@dataclass(frozen=True)
class _Contender:
    """Something timed: trajectories of a call, its worst error, the mean steps of a trajectory where they are known, its settings, and what
    of the error may be chance."""

    run: Callable[[], object]
    lanes: int
    error: float
    steps: float | None
    settings: str
    chance: float = 0.0

    def reaches(self, matched: float) -> bool:
        """Whether its error is small enough for a ratio."""
        return self.error <= matched + 3 * self.chance

    def quick_rate(self) -> float:
        """Trajectories a second in the best of three runs that nothing else is beside; its answers were asked for before, so that it is
        compiled."""
        return max(rates(interleaved({"alone": self.run}, 3, warm=False)["alone"], self.lanes))


_Measured = tuple[Table, list[dict[str, Any]]]
"""A table, and lines of the figures."""


def measure(small: bool = False) -> Record:
    """Run the suite."""
    held = environment()
    size, on = _SMALL if small else _FULL, devices()
    tables: list[Table] = []
    figures: list[dict[str, Any]] = []
    for problem in (_lorenz, _blow_up, _noise):
        for precision in size.precisions:
            table, found = problem(precision, size, on)
            tables.append(table)
            figures += found
    return Record("problems", small, (Table("Figures asked on two cores", FIGURES, tuple(figures)), *tables), held)


def _lorenz(precision: Precision, size: _Size, on: list[Any]) -> _Measured:
    """Lorenz's equations in 1,000 steps of one method."""
    rho = lorenz.draws(size.lorenz).astype(precision)
    truth = lorenz.reference(rho[: size.checked])

    def one(run: Callable[[], object], answers: Callable[[], NDArray[Any]], lanes: int, settings: str) -> _Contender:
        error = lorenz.worst_error(answers()[:, : size.checked], truth)
        return _Contender(run, lanes, error, lorenz.STEPS, settings)

    def on_devices(function: Callable[[Any], Any], given: NDArray[Any], settings: str) -> _Contender:
        tried = [(batch, Batches(function, given[None], on, batch)) for batch in size.batches]
        return _fastest(one(peer.run, peer.answers, peer.lanes, f"{settings}, batches of {batch}") for batch, peer in tried)

    contenders = {"kernel": on_devices(lorenz.by_kernel, rho, "the clock's Runge–Kutta step, in time")}
    if compiler() is not None:
        by_hand = SimdLorenz(rho, cores())
        contenders[_C] = one(by_hand.run, by_hand.run, by_hand.lanes, HOW)
    if _installed("numba"):
        from benchmarks.peers import numba_lorenz

        compiled = partial(numba_lorenz.solved, rho)
        contenders["numba"] = one(compiled, compiled, len(rho), "prange over blocks of trajectories")
    if _installed("diffrax"):
        from benchmarks.peers import diffrax_lorenz

        contenders["diffrax"] = on_devices(diffrax_lorenz.solved, rho[: size.lorenz_diffrax], "Tsit5, ConstantStepSize")
    blocked = partial(numpy_lorenz.solved, rho[: size.lorenz_numpy])
    contenders["NumPy"] = one(blocked, blocked, size.lorenz_numpy, "blocks of trajectories, in place, one thread a core")
    asked = (
        f"{lorenz.STEPS:,} steps of {lorenz.STEP:g} of Tsitouras' method of order 5, ρ between 0 and 21. The error is that of the state."
    )
    return _measured(f"Lorenz at a fixed step, {precision}", contenders, lorenz.TOLERANCE[precision], size.rounds, asked)


def _blow_up(precision: Precision, size: _Size, on: list[Any]) -> _Measured:
    """Dates of doublings close to a blow-up, over software and in time."""
    law, clock = blow_up.LAW, blow_up.IN_THE_CLOCK
    drawn = law.draws(size.law).astype(precision)
    truth = blow_up.dates(drawn)
    study, clock_study = law.study(precision), clock.study(precision)
    over, stepped = Bare(study, drawn, on), Bare(clock_study, drawn, on)
    steps = float(blow_up.clock_steps(clock_study, drawn[:, : size.batches[-1]]).mean())

    def error(answers: NDArray[Any]) -> float:
        return worst_error(answers, truth)

    contenders = {
        "kernel": _Contender(over.run, over.lanes, error(over.outcomes()), blow_up.points(study), "points of quadrature over software"),
        "kernel, mixed clock": _Contender(stepped.run, stepped.lanes, error(stepped.outcomes()), steps, 'solver = "clock"'),
    }

    def by_diffrax(make: Callable[..., Any]) -> Iterator[_Contender]:
        for solver in size.solvers:
            tolerances = _tolerances(precision)
            for batch in size.batches:
                for tolerance in tolerances:
                    peer = make(law, drawn[:, : size.law_diffrax], on, solver, tolerance, batch)
                    found, settings = error(peer.answers()), f"{solver}, tolerance {tolerance:g}, batches of {batch}"
                    if found <= TOLERANCE[precision] or tolerance == tolerances[-1]:
                        yield _Contender(peer.run, peer.lanes, found, peer.steps(), settings)
                        # What one batch needs, others need, too.
                        tolerances = (tolerance,)
                        break

    def by_numba() -> Iterator[_Contender]:
        from benchmarks.peers.numba_laws import SOLVERS as TABLEAUS
        from benchmarks.peers.numba_laws import NumbaLaw

        for tableau in TABLEAUS:
            for tolerance in _tolerances(precision):
                peer = NumbaLaw(law, drawn, tableau, tolerance)
                found = error(peer.run())
                if found <= TOLERANCE[precision] or tolerance == _tolerances(precision)[-1]:
                    yield _Contender(peer.run, peer.lanes, found, None, f"{tableau}, tolerance {tolerance:g}")
                    break

    def by_scipy(make: Callable[..., Any]) -> Iterator[_Contender]:
        for method in ("RK45", "DOP853", "LSODA"):
            for tolerance in _tolerances(precision):
                peer = make(law, drawn[:, : size.law_scipy], method, tolerance)
                found = error(peer.run())
                if found <= TOLERANCE[precision] or tolerance == _tolerances(precision)[-1]:
                    settings = f"solve_ivp, {method}, tolerance {tolerance:g}; one core, times {cores()}"
                    # As if it ran on every core at no loss: a call counts for so many trajectories more.
                    yield _Contender(peer.run, peer.lanes * cores(), found, peer.steps(), settings)
                    break

    if compiler() is not None:
        by_hand = SimdLaw(law, drawn, precision, study.work, cores())
        contenders[_C] = _Contender(
            by_hand.run, by_hand.lanes, error(by_hand.answers()), blow_up.points(study), f"the kernel's points, {HOW}"
        )
    if _installed("numba"):
        contenders["numba, over software"] = _best(by_numba(), precision)
    if _installed("diffrax"):
        from benchmarks.peers.diffrax_in_time import DiffraxInTime
        from benchmarks.peers.diffrax_laws import DiffraxLaw

        contenders["diffrax, over software"] = _best(by_diffrax(DiffraxLaw), precision)
        contenders["diffrax, in time"] = _best(by_diffrax(DiffraxInTime), precision)
    contenders["SciPy, over software"] = _best(by_scipy(ScipyLaw), precision)
    contenders["SciPy, in time"] = _best(by_scipy(ScipyInTime), precision)
    asked = f"Asked: dates of doublings {law.levels}, of which the blow-up is the limit; the error is that of the known solution."
    return _measured(f"Close to a blow-up, {precision}", contenders, TOLERANCE[precision], size.rounds, asked)


def _noise(precision: Precision, size: _Size, on: list[Any]) -> _Measured:
    """A pace that wanders: an exact path and steps by tolerance, and steps of Euler and Maruyama."""
    given = noisy_law.given(size.noise, precision)

    def one(run: Callable[[], object], answers: NDArray[Any], settings: str, steps: float = noisy_law.STEPS) -> _Contender:
        mean, spread, chance = noisy_law.errors(answers, given)
        return _Contender(run, len(answers), max(mean, spread), steps, settings, chance)

    def in_batches(function: Callable[[Any], Any], lanes: int, settings: str) -> Iterator[_Contender]:
        for batch in size.batches:
            peer = Batches(function, given[:, :lanes], on, batch)
            software, *steps = peer.answers()
            yield one(peer.run, software, f"{settings}, batches of {batch}", *(float(row.mean()) for row in steps))

    exact, own = "an exact path on a grid, steps between its points by tolerance", "Euler–Maruyama, normals by counter"
    contenders = {
        "kernel": _fastest(in_batches(noisy_law.Kernel(precision), size.noise, exact)),
        _SMALL_STEPS: _fastest(in_batches(noisy_law.by_steps, size.noise, own)),
    }
    if compiler() is not None:
        by_hand = SimdNoise(given, cores())
        how = f"Euler–Maruyama, xoroshiro128+ and normals of Box and Muller, {HOW}"
        contenders[_C] = one(by_hand.run, by_hand.run(), how)
    if _installed("numba"):
        from benchmarks.peers import numba_noise

        compiled = partial(numba_noise.solved, given)
        contenders["numba"] = one(compiled, compiled(), "Euler–Maruyama, prange, xoroshiro128+ and polar normals")
    if _installed("diffrax"):
        from benchmarks.peers.diffrax_noise import PATHS, DiffraxNoise

        tried = (in_batches(DiffraxNoise(path), size.noise_diffrax, f"Euler, {path}") for path in tuple(PATHS)[: len(size.solvers)])
        contenders["diffrax"] = _fastest(itertools.chain.from_iterable(tried))
    blocked = partial(numpy_noise.solved, given)
    contenders["NumPy"] = one(blocked, blocked(), "Euler–Maruyama, blocks of trajectories, SFC64, in place, one thread a core")
    asked = (
        f"Software at month {noisy_law.MONTHS:g}, σ = {noisy_law.DEVIATION:g}, τ = {noisy_law.CORRELATION_TIME:g} months. "
        f"Euler–Maruyama takes {noisy_law.STEPS} steps in all contenders. The error is a weak one: that of the mean or of the spread, "
        "whichever is larger, of the months of progress without noise that x amounts to, both known exactly; what chance makes of so many "
        "trajectories is allowed for, three standard errors."
    )
    return _measured(f"A pace that wanders, {precision}", contenders, noisy_law.TOLERANCE, size.rounds, asked, _SMALL_STEPS)


def _tolerances(precision: Precision) -> tuple[float, ...]:
    """What a peer's tolerance is tightened to until its error is within what is asked."""
    return tuple(TOLERANCE[precision] / 10**power for power in range(4))


def _best(tried: Iterator[_Contender], precision: Precision) -> _Contender:
    """The fastest of those that reach the error of the laws."""
    return max(tried, key=lambda one: (one.reaches(TOLERANCE[precision]), one.quick_rate()))


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _fastest(tried: Iterator[_Contender]) -> _Contender:
    return max(tried, key=_Contender.quick_rate)


def _measured(
    title: str, contenders: Mapping[str, _Contender], matched: float, rounds: Rounds, asked: str, equal: str = "kernel"
) -> _Measured:
    """The table of some contenders, of which one is called "kernel", run in turn, and the line of the one that does what C by hand does,
    in `equal` steps, beside that."""
    sys.stderr.write(f"problems: {title}\n")
    seconds = interleaved({name: contender.run for name, contender in contenders.items()}, rounds)
    taken = {name: rates(seconds[name], contender.lanes) for name, contender in contenders.items()}
    rows = []
    for name, contender in contenders.items():
        reaches, compared = contender.reaches(matched), name != "kernel" and contenders["kernel"].reaches(matched)
        rows.append(
            {
                "what": name,
                "rate": spread(taken[name]),
                "steps": "–" if contender.steps is None else f"{contender.steps:,.0f}",
                "step_rate": None if contender.steps is None else spread(rates(seconds[name], contender.lanes * contender.steps)),
                "error": contender.error,
                "ratio": ratio(taken["kernel"], taken[name]) if compared and reaches else None,
                "why": contender.settings + ("" if reaches else "; does not reach the matched error"),
            }
        )
    notes = [asked, f"Matched error {matched:g}; the ratio's range is over rounds in which all ran in turn."]
    missing = [package for package in ("diffrax", "numba") if not _installed(package)]
    missing += ["a C compiler"] if compiler() is None else []
    if missing:
        notes.append(f"Not installed, and left out: {', '.join(missing)}.")
    return Table(title, _COLUMNS, tuple(rows), tuple(notes)), [
        _by_hand(title, contenders, taken, matched, equal)
    ] if _C in contenders else []


def _by_hand(
    title: str, contenders: Mapping[str, _Contender], taken: Mapping[str, list[float]], matched: float, equal: str
) -> dict[str, Any]:
    reach = contenders[equal].reaches(matched) and contenders[_C].reaches(matched)
    return figure(f"{title}: {equal} / {_C}", ratio(taken[equal], taken[_C]) if reach else None, *C_ASKED)
