"""Outcomes: a solution turned into the numbers that a sweep reports, one value a trajectory and label.

A flag is true or false (its statistic is a probability); a number has a unit and a scale, by which it is binned:

    duration  months, ≥ 0      ratio  a pace, ≥ 0, over many powers of two      signed  any sign, e.g. doublings      count  whole numbers

A date that is not reached is +inf, an outcome of a failed lane NaN.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from kernels.models.model import Model, ModelError, Options
from kernels.solvers.recursion import RecursionSolution
from kernels.solvers.solution import Solution

Scale = Literal["duration", "ratio", "signed", "count"]
REGIMES = ("explosion", "exponential", "fizzle", "reached_ceiling")


@dataclass(frozen=True)
class Label:
    """An outcome: its name, what to print it as, and for a number (not a flag) its unit and scale."""

    name: str
    long_name: str
    kind: Literal["flag", "numeric"] = "numeric"
    unit: str = "1"
    scale: Scale = "signed"


@dataclass(frozen=True)
class Window:
    """Whether so much progress is ever made within `months`: exactly one of `doublings`, `years` of progress, `speedup` (× recent pace).

    rule "published": from a knot of the recursion to another, in strictly less time, the amount truncated to whole doublings.
    rule "continuous": from any time to any other within the horizon.
    """

    name: str
    months: float
    doublings: float | None = None
    years: float | None = None
    speedup: float | None = None
    rule: Literal["published", "continuous"] = "continuous"

    def amount(self, doublings_per_year: float | jax.Array | None) -> float | jax.Array:
        """Doublings that must be made. Evaluated from the left in the order of the published code, whose truncation depends on it."""
        if self.doublings is not None:
            return self.doublings
        assert doublings_per_year is not None
        speedup = self.speedup if self.speedup is not None else (self.years or 0.0) * 12 / self.months
        scaled = (self.months / 12) * doublings_per_year
        if isinstance(scaled, jax.Array):
            # The barrier keeps the compiler from multiplying the two constants first.
            barrier: Any = lax.optimization_barrier
            scaled = barrier(scaled)
        return scaled * speedup


@dataclass(frozen=True)
class Outcomes:
    """What is asked of every trajectory. `regime` is the factor in pace that makes an explosion or a fizzle; None asks for no regime."""

    times: tuple[float, ...] = ()
    doublings: tuple[float, ...] = ()
    levels_oom: tuple[float, ...] = ()
    years_of_progress: tuple[float, ...] = ()
    windows: tuple[Window, ...] = ()
    peak: bool = False
    regime: float | None = None
    most_doublings_in: tuple[float, ...] = ()
    diagnostics: bool = False

    def labels(self, model: Model, options: Options) -> tuple[Label, ...]:
        """The outcomes in the order in which they are reported: flags, then numbers."""
        labels = [Label(window.name, _window_words(window), "flag") for window in self.windows]
        if self.regime is not None:
            labels += [Label(name, name.replace("_", " "), "flag") for name in REGIMES]
        labels += [_date(f"doubling_{n:g}", f"date of doubling {n:g}") for n in self.doublings]
        labels += [_date(f"level_{k:g}_oom", f"date at which software is 10^{k:g} times better") for k in self.levels_oom]
        labels += [Label(f"doublings_at_{t:g}_months", f"doublings made by month {t:g}", unit="doublings") for t in self.times]
        labels += [
            Label(f"years_of_progress_at_{t:g}_months", f"years of progress made by month {t:g}", unit="years of progress")
            for t in self.years_of_progress
        ]
        if self.peak:
            labels.append(Label("peak_pace", "highest pace of software progress", unit="× recent pace", scale="ratio"))
            labels.append(_date("peak_pace", "date of the highest pace"))
        labels += [
            Label(f"most_doublings_in_{m:g}_months", f"most doublings made in less than {m:g} months", unit="doublings", scale="count")
            for m in self.most_doublings_in
        ]
        if self.diagnostics:
            labels += [Label(name, name.replace("_", " ")) for name in model.diagnostic_names(options)]
        return tuple(labels)

    def check(self, model: Model, options: Options, fixed: Mapping[str, float]) -> None:
        """Raise ModelError for outcomes that the model does not have under these options. `fixed` holds the parameters that do not vary."""
        recursive = options.get("time", "recursion") == "recursion" and model.published_windows
        per_year = doublings_per_year(model, fixed)
        for window in self.windows:
            if window.rule == "published" and not recursive:
                raise ModelError(f"windows.{window.name}.rule", f"{model.name} has no published rule here", 'write rule = "continuous"')
            if window.doublings is None and not model.has_years_of_progress:
                raise ModelError(f"windows.{window.name}", f"{model.name} has no year of progress", "give the window in doublings")
            if window.rule == "continuous" and recursive and window.doublings is None and per_year is None:
                raise ModelError(
                    f"windows.{window.name}.rule",
                    "the continuous rule on a recursion needs one length of a year of progress for all trajectories",
                    'fix the parameters that it depends on, or use time = "continuous"',
                )
        if self.years_of_progress and not model.has_years_of_progress:
            raise ModelError("years_of_progress", f"{model.name} has no year of progress", "use times")
        if self.most_doublings_in and not recursive:
            raise ModelError("most_doublings_in", f"{model.name} has no knots to count here", "use windows")


class Evaluation(NamedTuple):
    """`values[label]` (lanes,): bool for flags, else the float type of the solution. `scales[label]`: by what an error in it is divided."""

    values: dict[str, jax.Array]
    scales: dict[str, jax.Array]
    cut_off: jax.Array


def doublings_per_year(model: Model, fixed: Mapping[str, float]) -> float | None:
    """Doublings in a year of progress where that is one number for all trajectories, else None."""
    try:
        value = model.doublings_per_year_of_progress(fixed)
    except KeyError:
        return None
    return None if value is None else float(value)


def evaluate(
    outcomes: Outcomes,
    model: Model,
    options: Options,
    parameters: Mapping[str, jax.Array],
    fixed: Mapping[str, float],
    solution: Solution,
) -> Evaluation:
    """All outcomes of a solution. `parameters` are arrays of shape (lanes,); `fixed` those that are one number for all trajectories."""
    values: dict[str, jax.Array] = {}
    scales: dict[str, jax.Array] = {}
    static_year = doublings_per_year(model, fixed)
    year = static_year if static_year is not None else model.doublings_per_year_of_progress(parameters)
    values.update(_published_windows(outcomes.windows, model, parameters, static_year, solution))
    values.update(_continuous_windows(outcomes.windows, solution, year))
    # The date of a flat maximum, or what a count changes with it, is not determined to the last digits of the pace: it is not judged.
    undetermined = jnp.full_like(solution.horizon, jnp.inf)

    if outcomes.regime is not None or outcomes.peak:
        paces = solution.paces()
        if outcomes.regime is not None:
            explosion = paces.highest >= outcomes.regime * paces.at_start
            slower = (paces.lowest < paces.at_start / outcomes.regime) | (paces.at_horizon < (1 - 1e-6) * paces.at_start)
            values["explosion"] = explosion
            values["exponential"] = ~explosion & ~slower
            values["fizzle"] = ~explosion & slower
            ceiling = model.ceiling(parameters, options)
            at_end = solution.level_at_horizon()
            values["reached_ceiling"] = jnp.zeros_like(explosion) if ceiling is None else at_end >= 0.99 * ceiling

    levels = (*outcomes.doublings, *(oom * math.log2(10) for oom in outcomes.levels_oom))
    if levels:
        names = [f"date_of_doubling_{n:g}" for n in outcomes.doublings] + [f"date_of_level_{k:g}_oom" for k in outcomes.levels_oom]
        for name, date in zip(names, solution.dates(levels), strict=True):
            values[name] = scales[name] = date

    times = tuple(dict.fromkeys((*outcomes.times, *outcomes.years_of_progress)))
    if times:
        made, pace = solution.levels(times)
        for index, time in enumerate(times):
            # An error in a level is one in time, too: what the pace makes of a relative error of the elapsed time is not the solver's.
            scale = jnp.maximum(made[index], time * pace[index])
            if time in outcomes.times:
                name = f"doublings_at_{time:g}_months"
                values[name], scales[name] = made[index], scale
            if time in outcomes.years_of_progress:
                name = f"years_of_progress_at_{time:g}_months"
                assert year is not None
                values[name], scales[name] = made[index] / year, scale / year

    if outcomes.peak:
        unit = model.recent_doubling_time(parameters)
        values["peak_pace"] = scales["peak_pace"] = paces.highest * unit
        values["date_of_peak_pace"], scales["date_of_peak_pace"] = paces.date_of_highest, undetermined
    if outcomes.most_doublings_in:
        assert isinstance(solution, RecursionSolution)
        for months, most in zip(outcomes.most_doublings_in, solution.most_doublings_within(outcomes.most_doublings_in), strict=True):
            name = f"most_doublings_in_{months:g}_months"
            values[name], scales[name] = most, undetermined
    if outcomes.diagnostics:
        for name, value in model.diagnostics(parameters, options, solution).items():
            values[name], scales[name] = value, undetermined
    ordered = [label.name for label in outcomes.labels(model, options)]
    return Evaluation({name: values[name] for name in ordered}, scales, solution.cut_off)


def _published_windows(
    windows: tuple[Window, ...], model: Model, parameters: Mapping[str, jax.Array], static_year: float | None, solution: Solution
) -> dict[str, jax.Array]:
    published = [window for window in windows if window.rule == "published"]
    if not published:
        return {}
    assert isinstance(solution, RecursionSolution)
    # Truncation turns on the last digit, so what is truncated is computed in float64 whatever the working type.
    year = static_year if static_year is not None else model.doublings_per_year_of_progress(_widened(parameters))
    doublings = tuple(_whole(window.amount(year)) for window in published)
    durations = solution.shortest_knot_durations(doublings)
    return {window.name: least < window.months for window, least in zip(published, durations, strict=True)}


def _continuous_windows(windows: tuple[Window, ...], solution: Solution, year: float | jax.Array | None) -> dict[str, jax.Array]:
    continuous = [window for window in windows if window.rule == "continuous"]
    if not continuous:
        return {}
    # Windows of one length share their search; lengths that vary among lanes are arrays and are searched one by one.
    unique: dict[float, int] = {}
    asked: list[float | jax.Array] = []
    places = []
    for window in continuous:
        amount = window.amount(year)
        if isinstance(amount, float) and amount in unique:
            places.append(unique[amount])
            continue
        if isinstance(amount, float):
            unique[amount] = len(asked)
        places.append(len(asked))
        asked.append(amount)
    durations = solution.shortest_durations(tuple(asked))
    return {window.name: durations[place] <= window.months for window, place in zip(continuous, places, strict=True)}


def _widened(parameters: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
    return {name: value.astype(jnp.float64) for name, value in parameters.items()}


def _whole(amount: float | jax.Array) -> int | jax.Array:
    return amount.astype(jnp.int32) if isinstance(amount, jax.Array) else int(amount)


def _date(of: str, long_name: str) -> Label:
    return Label(f"date_of_{of}", long_name, unit="months", scale="duration")


def _window_words(window: Window) -> str:
    if window.years is not None:
        amount = f"{window.years:g} years of progress"
    elif window.speedup is not None:
        amount = f"{window.speedup:g} times the recent pace"
    else:
        amount = f"{window.doublings:g} doublings"
    return f"{amount} within {window.months:g} months"
