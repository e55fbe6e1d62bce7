"""Davidson & Houlden's (2025) kernels on all cores: against NumPy and numba on the same cores, and the continuous limit against the
recursion.

Bare kernels get their parameters and give outcomes, as the peers do; the whole tile program draws its parameters, too, and makes the
statistics and the audit. Needs JAX and NumPy only; numba takes part where it is installed. Achieved errors are against NumPy float64 (see
`references.py`), for parameters rounded alike.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from benchmarks import references, studies
from benchmarks.bare import Bare, Tiles, devices
from benchmarks.environment import cores, environment
from benchmarks.peers import numpy_blocked, numpy_davidson_houlden
from benchmarks.peers.processes import Processes
from benchmarks.record import FIGURES, Column, Record, Table
from benchmarks.show import cell
from benchmarks.steps import cases, steps
from benchmarks.steps import figures as step_figures
from benchmarks.studies import Precision, Time
from benchmarks.timing import Rounds, Spread, interleaved, rates, ratio, spread
from kernels.outcomes import Outcomes

MATCHED = {"float32": (2e-5, 1e-4), "float64": (1e-9, 1e-6)}
"""What two contenders must both reach for a ratio: the worst relative error of a date, and the share of flags decided otherwise."""
_ON_CORES = ("NumPy", "numba")
"""What runs on the CPU even where there is an accelerator."""
_LEVELS = [int(level) for level in studies.DATES]
_COLUMNS = (
    Column("what", "kernel"),
    Column("rate", "trajectories/s, all cores", "rate"),
    Column("per_core", "a core", "rate"),
    Column("date_error", "worst error of a number", "error"),
    Column("usual_error", "99.9 % within", "error"),
    Column("flags_differ", "flags that differ", "error"),
)
_RATIOS = (
    Column("what", "ratio"),
    Column("ratio", "median (range over rounds)", "ratio"),
    Column("why", "what is alike"),
)


@dataclass(frozen=True)
class _Size:
    """How much is measured: trajectories a run of each contender, trajectories whose error is taken, blocks of a tile, rounds; cases whose
    steps are timed, and their draws."""

    kernel: int
    searched: int
    sorted_peer: int
    blocked_peer: int
    checked: int
    blocks: int
    rounds: Rounds
    cases: int
    stepped: int
    precisions: tuple[Precision, ...]


_FULL = _Size(
    kernel=1 << 22,
    searched=1 << 18,
    sorted_peer=1 << 22,
    blocked_peer=1 << 21,
    checked=1 << 15,
    blocks=16,
    rounds=Rounds(9),
    cases=3,
    stepped=1 << 18,
    precisions=("float32", "float64"),
)
_SMALL = _Size(
    kernel=1 << 14,
    searched=1 << 12,
    sorted_peer=1 << 14,
    blocked_peer=1 << 13,
    checked=1 << 11,
    blocks=1,
    rounds=Rounds(2, 0),
    cases=1,
    stepped=1,
    precisions=("float32",),
)


@dataclass(frozen=True)
class _Contender:
    """Something timed: how many trajectories a call makes, and its errors (None where there is no such outcome)."""

    run: Callable[[], object]
    lanes: int
    date_error: float | None = None
    usual_error: float | None = None
    flags_differ: float | None = None

    def reaches(self, precision: Precision) -> bool:
        """Whether its errors are small enough for a ratio."""
        date, flag = MATCHED[precision]
        return (self.date_error or 0.0) <= date and (self.flags_differ or 0.0) <= flag


def measure(small: bool = False) -> Record:
    """Run the suite."""
    held = environment()
    size, on = _SMALL if small else _FULL, devices()
    tables, figures = [], []
    for precision in size.precisions:
        drawn = draws(size.kernel).astype(precision)
        base = _against_numpy(precision, drawn, size, on)
        limit = _continuous(precision, drawn, size, on)
        tables += [base[0], base[1], limit[0], limit[1]]
        if precision == "float32":
            figures = [*base[2], *limit[2]]
    for case in cases()[: size.cases]:
        table, found = steps(case, size.stepped, size.rounds, on)
        tables.append(table)
        figures += step_figures(case, found, on)
    if on[0].platform != "cpu":
        held["hardware"]["accelerator"] = f"{len(on)} × {on[0].device_kind}"
    return Record("kernels", small, (Table("Figures asked of float32 on the CPU", FIGURES, tuple(figures)), *tables), held)


def draws(lanes: int) -> NDArray[Any]:
    """Parameters from the priors of the study, (parameters, lanes)."""
    random = np.random.default_rng(20250804)

    def log_uniform(low: float, high: float) -> NDArray[Any]:
        return np.exp(random.uniform(np.log(low), np.log(high), lanes))

    # In the order of `studies.DRAWN`.
    return np.stack([log_uniform(2, 32), log_uniform(0.4, 3.6), random.uniform(6, 16, lanes), log_uniform(0.15, 0.6)])


def _against_numpy(precision: Precision, drawn: NDArray[Any], size: _Size, on: list[Any]) -> tuple[Table, Table, list[dict[str, Any]]]:
    """The base recursion with its four published windows, beside its peers."""
    truth = _blocked(drawn[:, : size.checked])

    def flags_differ(flags: NDArray[Any]) -> float:
        return float(np.mean(flags[:, : size.checked].astype(bool) != truth))

    bare = Bare(studies.study(precision, "recursion", Outcomes(windows=studies.PUBLISHED_WINDOWS)), drawn, on)
    tiles = Tiles(studies.study(precision, "recursion", studies.BASE), size.blocks, on)
    date_error, tile_flags = tiles.audit()
    demo = Bare(studies.study(precision, "recursion", studies.BASE), drawn, on)
    asked, windows = demo.outcomes()[:, : size.checked], len(truth)
    dates = references.recursion_dates(drawn[:, : size.checked].astype(np.float64), _LEVELS)
    contenders = {
        "bare kernel": _Contender(bare.run, bare.lanes, flags_differ=flags_differ(bare.outcomes())),
        "bare kernel, all outcomes of the demo": _Contender(
            demo.run, demo.lanes, flags_differ=flags_differ(asked[:windows]), **_date_errors(asked[windows : windows + len(dates)], dates)
        ),
        "whole tile program": _Contender(tiles.run, tiles.lanes, date_error=date_error, flags_differ=tile_flags),
    }
    peers = (
        ("NumPy, sorted and in panels", numpy_davidson_houlden.windows, size.sorted_peer),
        ("NumPy, blocked", numpy_blocked.windows, size.blocked_peer),
    )
    names = [name for name, *_ in peers]
    with ExitStack() as stack:
        for name, function, lanes in peers:
            peer = stack.enter_context(Processes(function, drawn[:, :lanes], 4, precision, cores()))
            contenders[name] = _Contender(peer, lanes, flags_differ=flags_differ(peer()))
        has_numba = importlib.util.find_spec("numba") is not None
        if has_numba:
            from benchmarks.peers import numba_davidson_houlden

            names.append("numba")
            speedup, returns, distance, exponent = drawn[:, : size.sorted_peer]
            run = partial(numba_davidson_houlden.windows, speedup, returns, distance, exponent, precision)
            contenders["numba"] = _Contender(run, len(speedup), flags_differ=flags_differ(run()))
        taken = _taken(contenders, size.rounds)
    ratios, figures = [], []
    for kernel in ("bare kernel", "whole tile program"):
        for peer_name in names:
            alike = "recursion, windows, type and cores" + ("; ours draws, sums and audits besides" if kernel != "bare kernel" else "")
            found = _ratio(kernel, peer_name, contenders, taken, precision, alike, on)
            ratios.append(found)
            if kernel == "bare kernel":
                figures.append(_figure(f"base recursion against {peer_name}", found["ratio"], 20, 30, peer_name == "NumPy, blocked"))
    notes = (
        "The tile program is held against its own float64 audit, the others against the blocked NumPy version in float64.",
        "NumPy and the bare kernel find the windows; the demo asks for dates and years of progress besides.",
        "NumPy runs in one process a core on parameters in shared memory; the kernels in one thread a core.",
        "numba runs in one thread a core, each trajectory in a loop of its own." if has_numba else "numba is not installed: left out.",
    )
    title = f"Base recursion, four published windows, {precision}"
    table = Table(title, _COLUMNS, _rows(contenders, taken, on), notes)
    return table, _ratio_table(title, precision, ratios), figures


def _continuous(precision: Precision, drawn: NDArray[Any], size: _Size, on: list[Any]) -> tuple[Table, Table, list[dict[str, Any]]]:
    """The continuous limit and the recursion, asked the same: dates of two doublings, then four windows by the continuous rule."""
    checked = drawn[:, : size.checked].astype(np.float64)
    dates, windows = Outcomes(doublings=studies.DATES), Outcomes(windows=studies.CONTINUOUS_WINDOWS)
    amounts, months = (24, 24, 80, 80), np.array([window.months for window in studies.CONTINUOUS_WINDOWS])[:, None]
    questions: tuple[tuple[str, Outcomes, dict[Time, NDArray[Any]]], ...] = (
        (
            "dates of doublings 8 and 24",
            dates,
            {"recursion": references.recursion_dates(checked, _LEVELS), "continuous": references.continuous_dates(checked, _LEVELS)},
        ),
        (
            "four windows by the continuous rule",
            windows,
            {
                "recursion": references.recursion_durations(checked, amounts) <= months,
                "continuous": references.continuous_durations(checked, amounts) <= months,
            },
        ),
    )
    contenders: dict[str, _Contender] = {}
    for question, outcomes, truths in questions:
        for time, truth in truths.items():
            bare = Bare(studies.study(precision, time, outcomes), drawn if outcomes is dates else drawn[:, : size.searched], on)
            found = bare.outcomes()[:, : size.checked]
            errors = _date_errors(found, truth) if outcomes is dates else {"flags_differ": float(np.mean(found.astype(bool) != truth))}
            contenders[f"{time}: {question}"] = _Contender(bare.run, bare.lanes, **errors)
    published = Bare(studies.study(precision, "recursion", Outcomes(windows=studies.PUBLISHED_WINDOWS)), drawn, on)
    differ = float(np.mean(published.outcomes()[:, : size.checked].astype(bool) != _blocked(checked)))
    contenders["recursion: four windows by the published rule"] = _Contender(published.run, published.lanes, flags_differ=differ)
    taken = _taken(contenders, size.rounds)
    ratios, figures = [], []
    for question, *_ in questions:
        alike = "outcomes asked, type and cores"
        found_ratio = _ratio(f"continuous: {question}", f"recursion: {question}", contenders, taken, precision, alike, on)
        ratios.append(found_ratio)
        figures.append(_figure(f"continuous limit against the recursion: {question}", found_ratio["ratio"], 3, 5, True))
    alike = "type and cores; each has its own rule for a window"
    names = (f"continuous: {questions[1][0]}", "recursion: four windows by the published rule")
    ratios.append(_ratio(*names, contenders, taken, precision, alike, on))
    title = f"Continuous limit and recursion, bare, {precision}"
    notes = (
        "The limit is another model than the recursion: each is held against a float64 reference of its own, and ratios are of cost only.",
    )
    table = Table(title, _COLUMNS, _rows(contenders, taken, on), notes)
    return table, _ratio_table(title, precision, ratios), figures


def _blocked(parameters: NDArray[Any]) -> NDArray[np.bool_]:
    """The published windows in float64."""
    speedup, returns, distance, exponent = parameters.astype(np.float64)
    return numpy_blocked.windows(speedup, returns, distance, exponent, np.float64)


def _date_errors(found: NDArray[Any], truth: NDArray[Any]) -> dict[str, float]:
    """Relative errors of dates; one that is reached for only one of them counts by its distance to the horizon."""
    horizon = numpy_davidson_houlden.HORIZON
    ours, theirs = (np.minimum(dates.astype(np.float64), horizon) for dates in (found, truth))
    errors = np.abs(ours / theirs - 1)
    return {"date_error": float(errors.max()), "usual_error": float(np.quantile(errors, 0.999))}


def _taken(contenders: Mapping[str, _Contender], rounds: Rounds) -> dict[str, list[float]]:
    """Trajectories a second of each contender in each round."""
    seconds = interleaved({name: contender.run for name, contender in contenders.items()}, rounds)
    return {name: rates(seconds[name], contender.lanes) for name, contender in contenders.items()}


def _rows(contenders: Mapping[str, _Contender], taken: Mapping[str, list[float]], on: list[Any]) -> tuple[dict[str, Any], ...]:
    rows = []
    for name, contender in contenders.items():
        on_cores = name.startswith(_ON_CORES) or on[0].platform == "cpu"
        rows.append(
            {
                "what": name if on_cores else f"{name}, {on[0].device_kind}",
                "rate": spread(taken[name]),
                "per_core": spread(taken[name])["median"] / cores() if on_cores else None,
                "date_error": contender.date_error,
                "usual_error": contender.usual_error,
                "flags_differ": contender.flags_differ,
            }
        )
    return tuple(rows)


def _ratio(
    first: str,
    second: str,
    contenders: Mapping[str, _Contender],
    taken: Mapping[str, list[float]],
    precision: Precision,
    alike: str,
    on: list[Any],
) -> dict[str, Any]:
    """A ratio, or none and why."""
    found: Spread | None = None
    short = [name for name in (first, second) if not contenders[name].reaches(precision)]
    if short:
        alike = f"no ratio: {' and '.join(short)} does not reach the matched error"
    elif second.startswith(_ON_CORES) and on[0].platform != "cpu":
        alike = f"no ratio: other hardware ({on[0].device_kind})"
    else:
        found = ratio(taken[first], taken[second])
    return {"what": f"{first} / {second}", "ratio": found, "why": alike}


def _ratio_table(title: str, precision: Precision, ratios: list[dict[str, Any]]) -> Table:
    date, flag = MATCHED[precision]
    note = f"A ratio is given where both reach {date:g} in dates and {flag:g} in flags; its range is over rounds in which both ran in turn."
    return Table(f"{title}: ratios", _RATIOS, tuple(ratios), (note,))


def _figure(what: str, found: Spread | None, least: float, aim: float, asked: bool) -> dict[str, Any]:
    """A line of the figures; `asked` is whether the target speaks of this one."""
    reached = None if found is None or not asked or jax.default_backend() != "cpu" else found["median"] >= least
    return {
        "figure": what,
        "measured": cell(found, "ratio"),
        "asked": f"≥ {least}×, aim {aim}×" if asked else "no target",
        "reached": reached,
    }
