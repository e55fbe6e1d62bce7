"""The growth law, one trajectory at a time, by SciPy's DOP853 in plain time: an oracle that shares no code and no clock with `kernels`.

The law itself is in `growth_law_terms`. Time is the independent variable throughout. Every event (a kink of policy or automation) and every
date is found by integrating again from the start of the step that holds it, and the integration starts anew at every event, so that the
right-hand side is smooth wherever it is stepped over.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.integrate import DOP853
from scipy.optimize import brentq, minimize_scalar

from tests.oracles.growth_law_terms import LN_FASTEST, MOST_DOUBLINGS, Law, Moment, Phase


@dataclass(frozen=True)
class Result:
    """Dates (months) of the doublings asked for, infinite past the horizon; x at the times asked for, infinite past a blow-up; and the
    largest pace in [0, horizon], in multiples of the recent pace."""

    dates: list[float]
    levels: list[float]
    peak_pace: float


@dataclass(frozen=True)
class Step:
    """One accepted step: where it starts (month, state, phase) and how long it is, in months."""

    month: Moment
    state: np.ndarray
    phase: Phase
    length: float


class _Run:
    """One trajectory being followed."""

    def __init__(self, law: Law, doublings: Sequence[float], times: Sequence[float]) -> None:
        self.law, self.horizon = law, law.values["horizon"]
        self.doublings, self.times = doublings, times
        if any(time > self.horizon for time in times):
            raise ValueError(f"times beyond the horizon of {self.horizon} months")
        self.dates = {level: 0.0 if level <= 0.0 else math.inf for level in doublings}
        self.levels = dict.fromkeys(times, 0.0)
        self.dated, self.reached = 0.0, 0.0
        self.samples: list[tuple[float, Step]] = []
        self.month, self.state = Moment(0.0), law.start()
        self.generation, self.pause_end = 0, math.inf
        self.paused_before = False
        deployment = {"none": "live", "exponent": "live", "lag": "lag", "generations": "held"}[law.options["training"]]
        self.phase = Phase(deployment, lag=law.values["first_training_time"])
        self.kinks = law.kinks()
        self.side: dict[str, bool] = {}

    def follow(self) -> Result:
        """To the horizon, the ceiling or MOST_DOUBLINGS."""
        self._look(1e-6)
        end = "boundary"
        while end == "boundary" and self.month < self.horizon:
            stop = self._next_boundary()
            end = self._to(stop)
            if end == "boundary" and self.month == stop:
                self._cross_boundary()
        for time in self.levels:
            if time > self.reached:
                self.levels[time] = math.inf if end == "blow-up" else self.law.limit
        if end in ("blow-up", "ceiling"):
            for level, date in self.dates.items():
                if date == math.inf and level <= min(self.law.limit, MOST_DOUBLINGS):
                    self.dates[level] = self.month
        peak = math.inf if end == "blow-up" else self._peak()
        return Result(
            [float(self.dates[level]) for level in self.doublings],
            [float(self.levels[time]) for time in self.times],
            float(peak),
        )

    # Boundaries in time, and thresholds.

    def _training_boundary(self, generation: int) -> float:
        """τ0 (1 − k^n)/(1 − k), or n τ0."""
        first, ratio = self.law.values["first_training_time"], self.law.values["training_time_ratio"]
        return first * (generation if ratio == 1.0 else math.expm1(generation * math.log(ratio)) / (ratio - 1.0))

    def _next_boundary(self) -> float:
        boundaries = [self.horizon, self.pause_end]
        if self.law.options["automation"] == "ramp" and self.law.options["automation_clock"] == "time":
            boundaries += [self.law.values["automation_start_time"], self.law.values["automation_end_time"]]
        if self.phase.deployment != "live":
            boundaries.append(self._training_boundary(self.generation + 1))
        return min(boundary for boundary in boundaries if boundary > self.month)

    def _cross_boundary(self) -> None:
        """The next generation of training, the end of a pause; then thresholds are tested again."""
        values = self.law.values
        if self.month == self.pause_end:
            self.phase, self.pause_end = replace(self.phase, paused=False), math.inf
        while self.phase.deployment != "live" and self._training_boundary(self.generation + 1) <= self.month:
            self.generation += 1
            ratio = values["training_time_ratio"]
            length = values["first_training_time"] * ratio**self.generation
            # All generations that are left take less than a rounding.
            if ratio < 1.0 and length / (1.0 - ratio) < 1e-14 * self.month:
                self.phase = replace(self.phase, deployment="live")
            else:
                self.phase = replace(self.phase, lag=length, held=self.law.x(self.state[0]))
        self._look(0.0)

    def _look(self, tolerance: float) -> None:
        """On which side of each kink the state is; a pause starts if its threshold is met."""
        for name, kink in self.kinks.items():
            self.side[name] = bool(kink(self.month, self.state, self.phase) >= (-tolerance if name == "pause" else 0.0))
        self._act()

    def _act(self) -> None:
        """What a kink starts: holding hardware, or the one pause."""
        if self.side.get("hardware") and not self.phase.hardware_held:
            self.phase = replace(self.phase, hardware_held=True)
        if self.side.get("pause") and not self.paused_before:
            self.paused_before = True
            self.phase, self.pause_end = replace(self.phase, paused=True), self.month + self.law.values["pause_length"]

    # Steps.

    def _solver(self, month: Moment, state: np.ndarray, phase: Phase, length: float, first: float | None = None) -> DOP853:
        def slopes(clock: float, state: np.ndarray) -> np.ndarray:
            return self.law.slopes(month.later(clock), state, phase)

        return DOP853(slopes, 0.0, state, length, rtol=1e-13, atol=1e-16, first_step=None if first is None else min(first, length))

    def _advance(self, step: Step, length: float) -> np.ndarray:
        """The state `length` months into a step, integrated from its start."""
        if length == 0.0:
            return step.state
        solver = self._solver(step.month, step.state, step.phase, length)
        while solver.status == "running":
            solver.step()
        assert solver.status == "finished"
        return solver.y

    def _to(self, stop: float) -> str:
        """Steps to the month `stop`, or to a kink before it: "boundary"; or to the end of the trajectory: "ceiling" or "blow-up"."""
        first = None
        while self.month.until(stop) > 0.0:
            # A clock of its own for every stretch keeps the digits of steps that are short against t, before a pole.
            start, solver = self.month, self._solver(self.month, self.state, self.phase, self.month.until(stop), first)
            while solver.status == "running":
                before, state = solver.t, solver.y
                solver.step()
                assert solver.status != "failed"
                step = Step(start.later(before), state, self.phase, solver.t - before)
                dense = solver.dense_output()
                kink = self._first_kink(step, dense, before)
                if kink is not None:
                    name, length = kink
                    step = replace(step, length=length)
                    self._accept(step, self._advance(step, length), step.month.later(length), dense, before)
                    self.side[name] = not self.side[name]
                    self._act()
                    return "boundary"
                month = Moment(stop) if solver.status == "finished" else start.later(solver.t)
                self._accept(step, solver.y, month, dense, before)
                end = self._ended()
                if end is not None:
                    return end
                if step.length < 1e-4 * solver.t:
                    first = step.length
                    break
        return "boundary"

    def _first_kink(self, step: Step, dense: Callable[[float], np.ndarray], before: float) -> tuple[str, float] | None:
        """The first kink inside a step and its place, in months from the step's start, to rounding."""
        first: tuple[str, float] | None = None
        for name, kink in self.kinks.items():
            if (name == "pause" and self.paused_before) or (name == "hardware" and step.phase.hardware_held):
                continue

            def value(length: float, kink: Callable[[float, np.ndarray, Phase], float] = kink) -> float:
                return kink(step.month.later(length), self._advance(step, length), step.phase)

            low = 0.0
            for fraction in (0.25, 0.5, 0.75, 1.0):
                high = fraction * step.length
                if (kink(step.month.later(high), dense(before + high), step.phase) >= 0.0) != self.side[name]:
                    at_low, at_high = value(low), value(high)
                    if low == 0.0 and (at_low >= 0.0) != self.side[name] and at_low != 0.0:
                        # Left of it by rounding only: the step started on this kink.
                        self.side[name] = not self.side[name]
                    elif (at_low >= 0.0) != (at_high >= 0.0) or at_low == 0.0:
                        root = low if at_low == 0.0 else brentq(value, low, high, xtol=1e-15 * step.length, rtol=1e-15)
                        if first is None or root < first[1]:
                            first = (name, root)
                        break
                low = high
        return first

    def _accept(self, step: Step, state: np.ndarray, month: Moment, dense: Callable[[float], np.ndarray], before: float) -> None:
        """Dates, levels and paces of a step that ends in `state` at `month`."""
        law = self.law
        top = law.x(state[0])
        for level in self.dates:
            if self.dated < level <= top and level < law.limit:
                goal = law.position(level)
                root = 0.0 if step.length == 0.0 else self._date(step, goal, state[0] - goal)
                self.dates[level] = step.month + root
        self.dated = max(self.dated, top)
        for time in self.levels:
            if self.reached < time <= month:
                x = law.x(self._advance(step, min(time - step.month, step.length))[0])
                self.levels[time] = x if x < MOST_DOUBLINGS else math.inf
        self.reached = month
        inside = [(fraction * step.length, dense(before + fraction * step.length)) for fraction in (0.25, 0.5, 0.75)]
        for length, there in [(0.0, step.state), *inside, (step.length, state)]:
            self.samples.append((law.pace(step.month.later(length), there, step.phase), step))
        self.month, self.state = month, state

    def _date(self, step: Step, goal: float, surplus: float) -> float:
        """Months from the start of a step to the position `goal`."""
        if surplus == 0.0:
            return step.length
        return brentq(lambda length: self._advance(step, length)[0] - goal, 0.0, step.length, xtol=1e-15 * step.length, rtol=1e-15)

    def _ended(self) -> str | None:
        """Whether the ceiling is reached, or MOST_DOUBLINGS, or LN_FASTEST on the way to them."""
        law = self.law
        ln_rate = law.ln_rate(self.month, self.state, self.phase)
        if not law.bounded:
            return "blow-up" if self.state[0] >= MOST_DOUBLINGS or ln_rate > LN_FASTEST else None
        power = 0.0 if law.options["training"] == "exponent" else law.power
        if power >= 1.0:
            # No arrival, but nothing is left between x and X.
            return "ceiling" if self.state[0] < -200.0 else None
        # Months to arrival where R ~ (1 − x/X)^power and the input stays.
        ln_left = math.log(law.limit) + self.state[0] - ln_rate - math.log(1.0 - power)
        return "ceiling" if ln_left < math.log(1e-15 * max(self.month, 1e-3)) and self.state[0] < -1.0 else None

    def _peak(self) -> float:
        """The largest pace, searched inside the steps around the largest sample."""
        best = max(range(len(self.samples)), key=lambda index: self.samples[index][0])
        peak = 0.0
        for _, step in self.samples[max(0, best - 1) : best + 2]:

            def negative(length: float, step: Step = step) -> float:
                return -self.law.pace(step.month.later(length), self._advance(step, length), step.phase)

            peak = max(peak, -negative(0.0), -negative(step.length))
            if step.length > 0.0:
                found = minimize_scalar(negative, bounds=(0.0, step.length), method="bounded", options={"xatol": 1e-7 * step.length})
                peak = max(peak, -found.fun)
        return peak


def solve(parameters: dict[str, float], options: dict[str, str], doublings: Sequence[float], times: Sequence[float]) -> Result:
    """One trajectory of the growth law without noise. Parameters and options left out take their defaults.

    `doublings` and `times` (months, at most the horizon) are what to date and where to read x; shapes of the result follow them.
    Raises KeyError for unknown names and ValueError for a time past the horizon.
    """
    return _Run(Law(parameters, options), doublings, times).follow()
