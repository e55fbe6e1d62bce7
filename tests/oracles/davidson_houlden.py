"""Davidson & Houlden (2025), one trajectory at a time, in plain float64 loops: an oracle that shares no code with `kernels`.

After full automation of AI R&D, software efficiency S doubles (or grows by a factor q) once a step; the state is how long the next step
takes. Each step is written in the order in which the authors' code evaluates it. Source: "How quick and big would a software intelligence
explosion be?", Forethought, 4 August 2025, and thoulden/Accelerated_AI_Progress at a7b1a79: multiple_sims.py is the page called "multi",
single_sim.py the one called "single".
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

WINDOWS = ((12.0, 3.0), (4.0, 10.0), (12.0, 10.0), (4.0, 30.0))
"""The four published windows: (months, years of total progress a year of calendar time)."""


@dataclass(frozen=True)
class Trajectory:
    """Knots of one trajectory, the start included: months, log2 S, returns r and research speed-up f at each."""

    times: list[float]
    doublings: list[float]
    returns: list[float]
    speedups: list[float]

    def years_of_progress(self, month: float, software_share_of_progress: float = 0.5) -> float:
        """log2(S)/D at `month`, linear between knots, held after the last one; D = 4/share doublings make a year of total progress."""
        last = len(self.times) - 1
        knot = next((i for i, time in enumerate(self.times) if time >= month), last)
        doublings = self.doublings[knot]
        if knot > 0 and self.times[knot] > month:
            before, after = self.times[knot - 1], self.times[knot]
            doublings = self.doublings[knot - 1] + (doublings - self.doublings[knot - 1]) * (month - before) / (after - before)
        return doublings / (4.0 / software_share_of_progress)

    def succeeds(self, months: float, speedup: float, software_share_of_progress: float = 0.5) -> bool:
        """Whether some window between knots packs in the doublings asked for, in strictly less than `months`."""
        wanted = window_doublings(months, speedup, software_share_of_progress)
        return any(end - start < months for start, end in zip(self.times, self.times[wanted:], strict=False))


def window_doublings(months: float, speedup: float, software_share_of_progress: float = 0.5) -> int:
    """trunc((w/12)(4/s) m), left to right in float64: at s = 0.4, (4, 30) gives 99 and not 100."""
    return int(months / 12.0 * (4.0 / software_share_of_progress) * speedup)


def _power(base: float, exponent: float) -> float:
    """base**exponent, infinite where Python would raise: near r = 0 the next step never ends."""
    try:
        return float(base**exponent)
    except OverflowError:
        return math.inf


def _exponent(y: float, retraining: str) -> float:
    """log2 of the factor on the doubling time for one doubling, y = p(1/r - 1) before retraining is counted."""
    return {"none": y, "paper": y / (1.0 + abs(y)), "code": y / abs(1.0 + y)}[retraining]


def _boosted(time: float, boost: str, start: float, maximum: float, duration: float) -> float:
    """The research speed-up at `time` months into a gradual boost."""
    if boost == "paper_linear":
        return start + (maximum - start) * min(time / duration, 1.0)
    # The code stops when its "compute size" 2^(t/5) reaches 4096, five months being a twelfth of the ramp.
    compute_size = _power(2.0, time / (duration / 12.0))
    return start * _power(maximum / start, time / duration) if compute_size < 4096.0 else maximum


def run(
    initial_speedup: float = 8.0,
    initial_returns_to_software_rnd: float = 1.2,
    distance_to_effective_limits: float = 11.0,
    parallel_labour_exponent: float = 0.3,
    *,
    software_share_of_progress: float = 0.5,
    recent_software_doubling_time: float = 3.0,
    gradual_boost_start: float | None = None,
    gradual_boost_max: float | None = None,
    gradual_boost_duration: float = 60.0,
    horizon: float | None = None,
    step_factor: float | None = None,
    initial_doubling_convention: str = "multi",
    retraining: str = "none",
    boost: str = "none",
    constant_returns: bool = False,
) -> Trajectory:
    """One trajectory. Times in months. None takes the default of the page that `initial_doubling_convention` names:
    boost from 0.1 to `initial_speedup` and 48 months ("multi"), or from 1 to 32 and 72 months ("single").

    `step_factor` (q) refines the single page's step; the multi page always doubles. Raises KeyError for an unknown `retraining`.
    """
    single = initial_doubling_convention == "single"
    if step_factor is None:
        step_factor = 1.1 if single and boost != "none" else 2.0
    if gradual_boost_start is None:
        gradual_boost_start = 1.0 if single else 0.1
    if gradual_boost_max is None:
        gradual_boost_max = 32.0 if single else initial_speedup
    if horizon is None:
        horizon = 72.0 if single else 48.0

    ceiling = 4.0 / software_share_of_progress * distance_to_effective_limits
    limit = 2.0**ceiling
    speedup = initial_speedup if boost == "none" else gradual_boost_start
    divisor = 1.0 + speedup if single or boost != "none" else speedup
    step = recent_software_doubling_time / divisor
    loss = 0.0 if constant_returns else initial_returns_to_software_rnd / ceiling
    if step_factor != 2.0:
        step = recent_software_doubling_time * math.log2(step_factor) / divisor
        loss = 0.0 if constant_returns else initial_returns_to_software_rnd / (ceiling * math.log(2.0) / math.log(step_factor))

    time, level, returns = 0.0, 1.0, initial_returns_to_software_rnd
    trajectory = Trajectory([time], [0.0], [returns], [speedup])
    while time < horizon and level < limit and returns > 0.0:
        old_speedup = speedup
        if single:
            elapsed = min(step, horizon - time)
            fraction = elapsed / step
            time += elapsed
            level = min(level * _power(step_factor, fraction), limit)
        else:
            fraction = 1.0
            time += step
            level *= 2.0
        if boost != "none":
            speedup = _boosted(time, boost, gradual_boost_start, gradual_boost_max, gradual_boost_duration)
        returns -= loss * fraction
        if returns > 0.0:
            y = parallel_labour_exponent * (1.0 / returns - 1.0)
            step = step * _power(step_factor, _exponent(y, retraining)) * (1.0 + old_speedup) / (1.0 + speedup)
        for knots, value in zip(
            (trajectory.times, trajectory.doublings, trajectory.returns, trajectory.speedups),
            (time, math.log2(level), returns, speedup),
            strict=True,
        ):
            knots.append(value)
    return trajectory


def speedup_calculator(
    labour_share: float = 0.4,
    copies_per_compute: float = 1.0,
    returns_to_cognition: float = 0.5,
    labour_growth_before: float = 0.7,
    compute_growth: float = 1.1,
) -> tuple[float, float, float]:
    """The site's calculator, for r_cog < 1: growth of software before and after automation (1/year), and their ratio."""
    returns_to_compute = returns_to_cognition * (1.0 - labour_share) / labour_share
    before = returns_to_cognition * labour_growth_before + returns_to_compute * compute_growth
    after = returns_to_cognition * (1.0 / labour_share + copies_per_compute) * compute_growth / (1.0 - returns_to_cognition)
    return before, after, after / before


def draw_priors(draws: int, seed: int, boost: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Independent draws of (initial speed-up, initial returns, distance in years, parallel exponent), each of shape (draws,).

    `boost` takes the paper's priors for its gradual boost, which move the returns and the distance.
    """
    random = np.random.default_rng(seed)

    def log_uniform(low: float, high: float) -> np.ndarray:
        return np.exp(random.uniform(math.log(low), math.log(high), draws))

    returns = (1.7 / 3.0, 5.1) if boost else (0.4, 3.6)
    distance = (9.0, 19.0) if boost else (6.0, 16.0)
    return log_uniform(2.0, 32.0), log_uniform(*returns), random.uniform(*distance, draws), log_uniform(0.15, 0.6)


def success_fractions(draws: int, seed: int, retraining: str = "none", boost: str = "none", block: int = 10_000) -> list[float]:
    """Fractions of trajectories that pass WINDOWS, shape (4,): the multi page at its defaults over its priors, vectorised over draws."""
    priors = draw_priors(draws, seed, boost != "none")
    successes = np.zeros(len(WINDOWS))
    for first in range(0, draws, block):
        times = _knot_times(*(prior[first : first + block] for prior in priors), retraining=retraining, boost=boost)
        for index, (months, speedup) in enumerate(WINDOWS):
            wanted = window_doublings(months, speedup)
            with np.errstate(invalid="ignore"):
                successes[index] += np.any(times[wanted:] - times[:-wanted] < months, axis=0).sum()
    return list(successes / draws)


def _knot_times(
    initial_speedup: np.ndarray, returns: np.ndarray, distance: np.ndarray, exponent: np.ndarray, *, retraining: str, boost: str
) -> np.ndarray:
    """Knot times in months, shape (knots, lanes), infinite after a trajectory's last knot."""
    ceiling = 8.0 * distance
    loss = returns / ceiling
    speedup = initial_speedup if boost == "none" else np.full_like(initial_speedup, 0.1)
    step = 3.0 / initial_speedup if boost == "none" else np.full_like(initial_speedup, 3.0 / 1.1)
    longest = max(window_doublings(*window) for window in WINDOWS)
    times = np.full((math.ceil(ceiling.max()) + longest + 1, len(returns)), np.inf)
    times[0] = 0.0
    alive = np.ones(len(returns), bool)
    for knot in range(1, math.ceil(ceiling.max()) + 1):
        alive = alive & (times[knot - 1] < 48.0) & (knot - 1 < ceiling) & (returns > 0.0)
        times[knot] = np.where(alive, times[knot - 1] + step, np.inf)
        returns = returns - loss
        old_speedup = speedup
        passed = np.minimum(times[knot] / 60.0, 1.0)
        if boost == "code":
            speedup = 0.1 * (initial_speedup / 0.1) ** passed
        elif boost == "paper_linear":
            speedup = 0.1 + (initial_speedup - 0.1) * passed
        # Lanes that have ended go on to meaningless numbers, which nothing reads.
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            y = exponent * (1.0 / returns - 1.0)
            factor = 2.0 ** {"none": y, "paper": y / (1.0 + np.abs(y)), "code": y / np.abs(1.0 + y)}[retraining]
            step = step * factor * (1.0 + old_speedup) / (1.0 + speedup)
    return times
