"""Growth laws in numba: each trajectory chooses its own steps in a loop of its own, shared out among one thread a core.

The equations are those of `growth_equations.py` for single numbers: dates over software where the law allows it, else states in time. Steps
are of Tsitouras' method of order 5 or Dormand and Prince's of order 8, and end on what is asked. A program holds only what its law does.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from benchmarks.environment import cores
from benchmarks.laws import Law
from benchmarks.peers.numba_compiled import in_threads, inner
from kernels.solvers.tableaus import RUNGE_KUTTA_5, RUNGE_KUTTA_8, Tableau

SOLVERS = {"Tsit5": RUNGE_KUTTA_5, "DOP853": RUNGE_KUTTA_8}
_LOG_2 = math.log(2)
_NEVER = 14.0
"""ln of a doubling time, months, beyond which nothing is asked."""
_MOST_STEPS = 100_000


class NumbaLaw:
    """Answers of `law` for parameters (drawn, lanes), in their type: dates of its levels or doublings by its times."""

    def __init__(self, law: Law, drawn: NDArray[Any], solver: str, relative: float) -> None:
        kind, options = drawn.dtype, law.options
        self._horizon = float(law.fixed["horizon"]) if law.levels else math.inf
        self._asked, self._relative, self.lanes = np.asarray(law.levels or law.times, kind), kind.type(relative), drawn.shape[1]
        self._given = _numbers(law, drawn)
        form = (
            options.get("research_input") == "ces",
            options["ceiling"] != "constant",
            options.get("governance") == "reaction",
            options.get("hardware", "fixed"),
        )
        self._solve = _compiled(bool(law.levels), *form, solver, kind.name)

    def run(self) -> NDArray[Any]:
        """(questions, lanes)."""
        out = np.empty((len(self._asked), self.lanes), self._asked.dtype)
        self._solve(self._given, self._asked, self._relative, cores(), out)
        return np.where(out > self._horizon, np.inf, out)


def _numbers(law: Law, drawn: NDArray[Any]) -> NDArray[Any]:
    """What the equations are given of each trajectory, (lanes, numbers)."""
    p = law.parameters(drawn.astype(np.float64))
    share = p["labour_share"] if law.options.get("research_input") == "ces" else 1.0
    exponent = p["parallel_exponent"]
    # Without a ceiling ln R is linear in x.
    ceiling = -np.ones_like(exponent) if law.options["ceiling"] == "constant" else p["distance_to_limits"]
    columns = (
        exponent,
        np.log(p["initial_doubling_time"]),
        1 / ceiling,
        exponent * share / p["returns"] * ceiling * _LOG_2,
        p["substitution_parameter"],
        share * np.ones_like(ceiling),
        p["hardware_doublings_per_year"] / 12,
        np.log(p["recent_doubling_time"]),
        np.log2(p["pace_threshold"]),
        p["reaction_gain"],
        p["reaction_delay"],
        p["hardware_parallel_exponent"],
        p["hardware_parallel_exponent"] / p["hardware_returns"],
        np.log(p["hardware_doubling_time"]),
        p["hardware_delay"],
    )
    return np.ascontiguousarray(np.stack(columns, axis=1).astype(drawn.dtype))


@cache
def _compiled(levels: bool, ces: bool, limited: bool, reaction: bool, hardware: str, solver: str, precision: str) -> Callable[..., None]:
    """The loop over trajectories of one form of the law."""
    rates, states = _rates(levels, ces, limited, reaction, hardware, precision)
    return _loop(rates, states, reaction, SOLVERS[solver], precision)


def _rates(levels: bool, ces: bool, limited: bool, reaction: bool, hardware: str, precision: str) -> tuple[Any, int]:
    """The right-hand side, which fills `out`, and how many states it has. It returns what a policy would be aware of at this pace."""
    kind = np.dtype(precision).type
    log_2, one, never, nearest = kind(_LOG_2), kind(1), kind(_NEVER), kind(1 - 1e-7)
    loop, grows = hardware == "loop", hardware == "exponential"
    frontier = 2 if reaction else 1

    @inner
    def log_pace(p: Any, x: Any, y: Any) -> Any:
        labour = log_2 * (x + y)
        if ces:
            labour = log_2 * y + np.log(p[5] * np.exp(p[4] * log_2 * x) + (one - p[5])) / p[4]
        limits = np.log(one - x * p[2]) if limited else x
        return p[0] * labour + p[3] * limits - p[1]

    @inner
    def over_software(p: Any, x: Any, state: Any, out: Any) -> Any:
        out[0] = np.exp(min(-log_pace(p, x, kind(0)), never))
        return kind(0)

    @inner
    def in_time(p: Any, time: Any, state: Any, out: Any) -> Any:
        # A trial point of a step may lie beyond the ceiling.
        x, installed = min(state[0], nearest / p[2]), kind(0)
        if grows:
            installed = p[6] * time
        if loop:
            installed = state[frontier + 1]
        pace = log_pace(p, x, installed)
        seen = (pace + p[7]) / log_2
        if reaction:
            out[1] = (seen - state[1]) / p[10]
            pace -= log_2 * p[9] * max(state[1] - p[8], kind(0))
        if loop:
            out[frontier] = np.exp(log_2 * (p[11] * (state[0] + installed) - p[12] * state[frontier]) - p[13])
            out[frontier + 1] = (state[frontier] - installed) / p[14]
        out[0] = np.exp(pace)
        return seen

    return (over_software, 1) if levels else (in_time, 1 + reaction + 2 * loop)


def _loop(rates: Any, states: int, reaction: bool, tableau: Tableau, precision: str) -> Callable[..., None]:
    """Steps of this tableau to each question in turn; `solved(given, asked, relative, shares, out)` fills out, (questions, lanes)."""
    kind, stages = np.dtype(precision).type, len(tableau.b)
    weights = np.zeros((stages + 1, stages), kind)
    for index, row in enumerate((*tableau.a, tableau.b)):
        weights[index + 1, : len(row)] = row
    nodes = weights.sum(axis=1, dtype=kind)
    fine, coarse = (np.zeros(stages + 1, kind) for _ in range(2))
    for held, row in zip((fine, coarse), tableau.errors, strict=False):
        held[: len(row)] = row
    pair, power = len(tableau.errors) == 2, kind(-1 / tableau.error_order)
    zero, least, most, safety, tiny = kind(0), kind(0.2), kind(10), kind(0.9), kind(1e-30)
    # The rates at the end of a step are a stage of it, and the first of the next.
    count = stages + 1

    @in_threads
    def solved(given: Any, asked: Any, relative: Any, shares: int, out: Any) -> None:
        lanes, absolute = len(given), relative * kind(0.01)
        for share in numba.prange(shares):
            slopes, state, trial = np.empty((count, states), kind), np.empty(states, kind), np.empty(states, kind)
            for lane in range(lanes * share // shares, lanes * (share + 1) // shares):
                p = given[lane]
                state[:] = zero
                at, length, question, steps = zero, asked[0] * kind(0.01), 0, 0
                seen = rates(p, at, state, slopes[0])
                if reaction:
                    state[1] = seen
                    rates(p, at, state, slopes[0])
                out[:, lane] = np.nan
                while question < len(asked) and steps < _MOST_STEPS:
                    steps += 1
                    left = asked[question] - at
                    lands = left <= length
                    stride = left if lands else length
                    for stage in range(1, count):
                        for i in range(states):
                            added = zero
                            for j in range(stage):
                                added += weights[stage, j] * slopes[j, i]
                            trial[i] = state[i] + stride * added
                        rates(p, at + stride * nodes[stage], trial, slopes[stage])
                    square, other = zero, zero
                    for i in range(states):
                        scale = stride / (absolute + relative * max(abs(state[i]), abs(trial[i])))
                        error, rough = zero, zero
                        for j in range(count):
                            error += fine[j] * slopes[j, i]
                            if pair:
                                rough += coarse[j] * slopes[j, i]
                        square += (scale * error) ** 2
                        other += (scale * rough) ** 2
                    if pair:
                        square = square * square / max(square + kind(0.01) * other, tiny)
                    error = np.sqrt(square / states)
                    # Not finite where a trial point was beyond all numbers.
                    factor = min(max(safety * max(error, tiny) ** power, least), most) if error < np.inf else least
                    if error <= 1:
                        at = asked[question] if lands else at + stride
                        state[:], slopes[0] = trial, slopes[stages]
                        if lands:
                            out[question, lane] = state[0]
                            question += 1
                            length = max(stride * factor, length)
                        else:
                            length = stride * factor
                    else:
                        length = stride * min(factor, safety)

    return solved
