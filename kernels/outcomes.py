"""Outcomes: a solution turned into the numbers that a sweep reports, one value a trajectory and label.

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

from kernels.labels import Label as Label
from kernels.labels import date_of, gradient_of, warning_label
from kernels.models.model import PATH, Model, ModelError, Options
from kernels.solvers.recursion import RecursionSolution
from kernels.solvers.solution import MOST_DOUBLINGS, Solution

_NEARBY = 3e-5
"""A relative difference that float32 tells from none: so near to a step nobody can say on which side of it a trajectory lies."""
REGIMES = ("explosion", "exponential", "fizzle", "reached_ceiling")


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
    """What is asked of every trajectory. `regime` is the factor in pace that makes an explosion or a fizzle; None asks for no regime.
    `warning` are pairs of multiples of the recent pace, `gradients` the parameters by whose logarithms numbers are differentiated."""

    times: tuple[float, ...] = ()
    doublings: tuple[float, ...] = ()
    levels_oom: tuple[float, ...] = ()
    years_of_progress: tuple[float, ...] = ()
    windows: tuple[Window, ...] = ()
    peak: bool = False
    regime: float | None = None
    most_doublings_in: tuple[float, ...] = ()
    diagnostics: bool = False
    warning: tuple[tuple[float, float], ...] = ()
    gradients: tuple[str, ...] = ()

    @property
    def multiples(self) -> tuple[float, ...]:
        """The multiples of the recent pace whose dates are asked for."""
        return tuple(sorted({multiple for pair in self.warning for multiple in pair}))

    @property
    def furthest(self) -> float:
        """The doublings beyond which nothing is asked: those of the last date, where only dates are asked for."""
        if self != Outcomes(doublings=self.doublings, levels_oom=self.levels_oom, gradients=self.gradients):
            return math.inf
        return max((*self.doublings, *(oom * math.log2(10) for oom in self.levels_oom)))

    def labels(self, model: Model, options: Options) -> tuple[Label, ...]:
        """The outcomes in the order in which they are reported: flags, then numbers, then their gradients."""
        return (
            *self.own_labels(model, options),
            *(gradient_of(label, parameter) for label in self.differentiable(model, options) for parameter in self.gradients),
        )

    def differentiable(self, model: Model, options: Options) -> tuple[Label, ...]:
        """The numbers that have gradients: all but counts, and what the model's authors report beside them."""
        others = model.diagnostic_labels(options) if self.diagnostics else ()
        labels = self.own_labels(model, options)
        return tuple(label for label in labels if label.kind == "numeric" and label.scale != "count" and label not in others)

    def own_labels(self, model: Model, options: Options) -> tuple[Label, ...]:
        """The outcomes without their gradients."""
        labels = [Label(window.name, _window_words(window), "flag") for window in self.windows]
        if self.regime is not None:
            labels += [Label(name, name.replace("_", " "), "flag") for name in REGIMES]
        labels += [date_of(f"doubling_{n:g}", f"date of doubling {n:g}") for n in self.doublings]
        labels += [date_of(f"level_{k:g}_oom", f"date at which software is 10^{k:g} times better") for k in self.levels_oom]
        labels += [Label(f"doublings_at_{t:g}_months", f"doublings made by month {t:g}", unit="doublings") for t in self.times]
        labels += [
            Label(f"years_of_progress_at_{t:g}_months", f"years of progress made by month {t:g}", unit="years of progress")
            for t in self.years_of_progress
        ]
        if self.peak:
            labels.append(Label("peak_pace", "highest pace of software progress", unit="× recent pace", scale="ratio"))
            labels.append(date_of("peak_pace", "date of the highest pace"))
        labels += [date_of(f"pace_{m:g}x", f"first date at {m:g} times the recent pace") for m in self.multiples]
        labels += [warning_label(start, end) for start, end in self.warning]
        labels += [
            Label(f"most_doublings_in_{m:g}_months", f"most doublings made in less than {m:g} months", unit="doublings", scale="count")
            for m in self.most_doublings_in
        ]
        if self.diagnostics:
            labels += model.diagnostic_labels(options)
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
    """`values[label]` (lanes,): bool for flags, else the float type of the solution. `scales[label]`: by what an error in it is divided.
    `ends[label]`, of what a blow-up makes infinite: the relative error in time of whoever has it infinite where it is not, or the other
    way round. `cut_off` and `failed` are the solution's."""

    values: dict[str, jax.Array]
    scales: dict[str, jax.Array]
    ends: dict[str, jax.Array]
    cut_off: jax.Array
    failed: jax.Array


class Rows(NamedTuple):
    """Outcomes in the order of their labels: `flags` (flags, lanes) bool, false where the trajectory failed, `numbers` (numbers, lanes),
    NaN there; and whether it has no answer, `failed`, or the steps were not enough, `cut_off`, both (lanes,) bool."""

    flags: jax.Array
    numbers: jax.Array
    failed: jax.Array
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
    ends: dict[str, jax.Array] = {}
    static_year = doublings_per_year(model, fixed)
    year = static_year if static_year is not None else model.doublings_per_year_of_progress(parameters)
    # A gradient sees what a year of progress depends on, fixed or not.
    unit_year = model.doublings_per_year_of_progress(parameters) if outcomes.gradients else year
    values.update(_published_windows(outcomes.windows, model, parameters, static_year, solution))
    values.update(_continuous_windows(outcomes.windows, solution, year))
    # The date of a flat maximum, or what a count changes with it, is not determined to the last digits of the pace: it is not judged.
    undetermined = jnp.full_like(solution.horizon, jnp.inf)

    def end_beside(time: float | jax.Array, made: jax.Array, pace: jax.Array) -> jax.Array:
        """How far from a time the trajectory's blow-up is, or if it is not within the horizon how long the pace that there is then takes to
        the last doubling: so wrong is, in time, one who does not agree on which side it is."""
        ahead = time + jnp.maximum(MOST_DOUBLINGS - made, 0) / pace
        end = jnp.where(solution.blow_up <= solution.horizon, solution.blow_up, ahead)
        return jnp.abs(end - time) / time

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
            values[name], scales[name] = date, jnp.where(date < jnp.inf, date, solution.horizon)

    times = tuple(dict.fromkeys((*outcomes.times, *outcomes.years_of_progress)))
    if times:
        made, pace = solution.levels(times)
        for index, time in enumerate(times):
            # An error in a level is one in time, too: what the pace makes of a relative error of the elapsed time is not the solver's.
            scale = jnp.maximum(made[index], time * pace[index])
            if outcomes.gradients:
                scale = jnp.maximum(made[index], _change_with_time(solution, time))
            end = end_beside(time, made[index], pace[index])
            if time in outcomes.times:
                name = f"doublings_at_{time:g}_months"
                values[name], scales[name], ends[name] = made[index], scale, end
            if time in outcomes.years_of_progress:
                name = f"years_of_progress_at_{time:g}_months"
                assert unit_year is not None
                values[name], scales[name], ends[name] = made[index] / unit_year, scale / unit_year, end

    if outcomes.peak:
        unit = model.recent_doubling_time(parameters)
        values["peak_pace"] = scales["peak_pace"] = paces.highest * unit
        ends["peak_pace"] = end_beside(solution.horizon, solution.level_at_horizon(), paces.at_horizon)
        values["date_of_peak_pace"], scales["date_of_peak_pace"] = paces.date_of_highest, undetermined
    if outcomes.warning:
        dates, date_scales = _dates_at_multiples(outcomes.multiples, solution, model.recent_doubling_time(parameters))
        for multiple, date, scale in zip(outcomes.multiples, dates, date_scales, strict=True):
            values[f"date_of_pace_{multiple:g}x"], scales[f"date_of_pace_{multiple:g}x"] = date, scale
        for pair in outcomes.warning:
            (start, start_scale), (end, end_scale) = ((dates[place], date_scales[place]) for place in map(outcomes.multiples.index, pair))
            name = warning_label(*pair).name
            values[name] = jnp.where(end < jnp.inf, end - start, end)
            # A difference of dates has their errors, however short it is.
            scales[name] = jnp.maximum(start_scale, end_scale)
    if outcomes.most_doublings_in:
        assert isinstance(solution, RecursionSolution)
        for months, most in zip(outcomes.most_doublings_in, solution.most_doublings_within(outcomes.most_doublings_in), strict=True):
            name = f"most_doublings_in_{months:g}_months"
            values[name], scales[name] = most, undetermined
    if outcomes.diagnostics:
        for name, value in model.diagnostics(parameters, options, solution).items():
            values[name], scales[name] = value, undetermined
    ordered = [label.name for label in outcomes.own_labels(model, options)]
    return Evaluation({name: values[name] for name in ordered}, scales, ends, solution.cut_off, solution.failed)


def _dates_at_multiples(multiples: tuple[float, ...], solution: Solution, unit: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The first dates at multiples of the recent pace 1/`unit`, and by what errors in them are divided, each (multiples, lanes)."""
    dates = solution.first_dates_at_pace(tuple(multiple / unit for multiple in multiples))
    # An error in such a date is one in the pace, too, which near its highest changes little in time, or jumps from knot to knot.
    nearby = (multiple * factor / unit for multiple in multiples for factor in (1 - _NEARBY, 1 + _NEARBY))
    around = solution.first_dates_at_pace(tuple(nearby)).reshape(len(multiples), 2, *unit.shape)
    spread = (around[:, 1] - around[:, 0]) / (2 * _NEARBY)
    # Of a date that is not reached nothing is judged but that.
    unreached = jnp.where(around[:, 0] < jnp.inf, jnp.inf, solution.horizon)
    scales = jnp.where(around[:, 1] < jnp.inf, jnp.maximum(dates, spread), unreached)
    return dates, scales


def _change_with_time(solution: Solution, time: float) -> jax.Array:
    """Doublings by which a level changes for a change of 1 in ln time, across a knot if there is one, (lanes,)."""
    (before, after), _ = solution.levels((time * (1 - _NEARBY), time * (1 + _NEARBY)))
    return jnp.where(after < jnp.inf, (after - before) / (2 * _NEARBY), jnp.inf)


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
    return {name: value.astype(jnp.float64) for name, value in parameters.items() if name not in PATH}


def _whole(amount: float | jax.Array) -> int | jax.Array:
    return amount.astype(jnp.int32) if isinstance(amount, jax.Array) else int(amount)


def _window_words(window: Window) -> str:
    if window.years is not None:
        amount = f"{window.years:g} years of progress"
    elif window.speedup is not None:
        amount = f"{window.speedup:g} times the recent pace"
    else:
        amount = f"{window.doublings:g} doublings"
    return f"{amount} within {window.months:g} months"
