"""Davidson & Houlden (2025): how quick and big would a software intelligence explosion be?

Recursion: one step is one doubling of software efficiency. With n doublings made, returns r_n = r0·(X − n)/X fall linearly to zero at the
effective limits X = distance · 4/share, and each step takes

    T_{n+1} = T_n · 2^e(y) · (1 + f_n)/(1 + f_{n+1}),   y = p·(1/r_{n+1} − 1),   T_0 = T_ref/f

where p is the parallel labour exponent, f the research speed-up, e(y) = y without retraining, y/(1+|y|) as the paper prints retraining
and y/|1+y| as its code computes it. A gradual boost lets f rise with calendar time. A step begins while t < horizon and x < X.

Continuous limit: T(x) = T_0 · 2^(∫₀ˣ e dx′), the same law with steps that shrink to nothing (`time = "continuous"`).

Source: Davidson & Houlden, "How quick and big would a software intelligence explosion be?", Forethought, 4 August 2025, and its published
simulation code; the multi-run page is `initial_doubling_convention = "multi"`, the single-run page "single".
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp

from kernels.elementary import exp2
from kernels.labels import Label
from kernels.models.gradual_boost import GradualBoost
from kernels.models.model import Bounds, Model, ModelError, Option, Options, Parameter, Uses, refuse_unused, varying
from kernels.solvers.budget import Budget
from kernels.solvers.panels import panels_for
from kernels.solvers.quadrature import QuadratureSolution
from kernels.solvers.recursion import RecursionSolution, solve_recursion
from kernels.solvers.solution import Solution
from kernels.solvers.time_change import TimeChangedSolution

MOST_STEPS = 16384
_LOG_2 = math.log(2)
_DOUBLINGS_A_YEAR = 4.0
"""Doublings of total AI progress in a year at the recent pace: one each three months."""

_PARAMETERS = (
    Parameter("initial_speedup", "f", "× recent pace", 8.0, 0.0, math.inf, "initial speed-up of software progress", True, True),
    Parameter("initial_returns_to_software_rnd", "r0", "–", 1.2, 0.0, math.inf, "initial returns to software R&D", True, True),
    Parameter(
        "distance_to_effective_limits",
        "L",
        "years of progress",
        11.0,
        0.0,
        math.inf,
        "distance to the effective limits of software",
        True,
        True,
    ),
    Parameter("parallel_labour_exponent", "p", "–", 0.3, 0.0, math.inf, "diminishing returns to parallel labour", True, True),
    Parameter("software_share_of_progress", "s", "–", 0.5, 0.0, 1.0, "share of AI progress that is due to software", True),
    Parameter(
        "recent_software_doubling_time", "T_ref", "months", 3.0, 0.0, math.inf, "doubling time of software at the recent pace", True, True
    ),
    Parameter(
        "gradual_boost_start", "f_start", "× recent pace", 0.1, 0.0, math.inf, "speed-up at which a gradual boost starts", True, True
    ),
    Parameter(
        "gradual_boost_max",
        "f_max",
        "× recent pace",
        "initial_speedup",
        0.0,
        math.inf,
        "speed-up at which a gradual boost ends",
        True,
        True,
    ),
    Parameter("gradual_boost_duration", "t_ramp", "months", 60.0, 0.0, math.inf, "how long a gradual boost takes", True, True),
    Parameter("horizon", "H", "months", 48.0, 0.0, math.inf, "end of the trajectory", True, True),
)

_USES: Uses = {name: {"boost": ("code", "paper_linear")} for name in ("gradual_boost_start", "gradual_boost_max", "gradual_boost_duration")}


class DavidsonHoulden2025(Model):
    """Software intelligence explosion after AI fully automates AI R&D, with compute fixed."""

    name = "davidson_houlden_2025"
    title = "How quick and big would a software intelligence explosion be?"
    source = "Davidson & Houlden (2025), Forethought, 4 August 2025"
    parameters = _PARAMETERS
    options = (
        Option("initial_doubling_convention", ("multi", "single"), "the page whose first step and end of the last step are used"),
        Option("retraining", ("none", "paper", "code"), "slowdown from retraining, as the paper prints it or as its code computes it"),
        Option("boost", ("none", "code", "paper_linear"), "speed-up that rises over time: exponential (code) or linear (paper)"),
        Option("constant_returns", (False, True), "returns to software R&D that do not fall toward the limits"),
        Option("time", ("recursion", "continuous"), "one step a doubling, or the limit of vanishing steps"),
    )
    published_windows = True
    has_years_of_progress = True

    def defaults(self, options: Options) -> dict[str, float | str]:
        values = super().defaults(options)
        if options["initial_doubling_convention"] == "single":
            values |= {"gradual_boost_start": 1.0, "gradual_boost_max": 32.0, "horizon": 72.0}
        return values

    def check_given(self, options: Options, given: Bounds) -> None:
        refuse_unused(_USES, options, varying(given))

    def check(self, options: Options, bounds: Bounds) -> None:
        super().check(options, bounds)
        if options["retraining"] == "code" and bounds["parallel_labour_exponent"][1] >= 1:
            raise ModelError(
                "parallel_labour_exponent",
                f"{bounds['parallel_labour_exponent'][1]:g} makes 1 + y vanish in the code's form of retraining",
                'keep it below 1, or use retraining = "paper"',
            )
        if options["time"] == "recursion" and _steps(options, bounds) > MOST_STEPS:
            raise ModelError(
                "distance_to_effective_limits",
                f"{bounds['distance_to_effective_limits'][1]:g} years of progress are {_steps(options, bounds)} steps",
                f"keep them within {MOST_STEPS} steps, or truncate the distribution",
            )

    def budget(self, options: Options, bounds: Bounds, tolerance: float) -> Budget:
        if options["time"] == "recursion":
            return Budget(steps=_steps(options, bounds), uneven=True)
        (low, high), exponent = bounds["initial_returns_to_software_rnd"], bounds["parallel_labour_exponent"][1]

        def steepest(share: float) -> float:
            local = low if options["constant_returns"] else low * (1 - share)
            return exponent * _LOG_2 * max(1 / local - 1, 1 - 1 / high, 0.0)

        nearest = bounds["distance_to_effective_limits"][0] * _DOUBLINGS_A_YEAR / bounds["software_share_of_progress"][1]
        deepest = exponent * _LOG_2 * _furthest(bounds)
        return panels_for(tolerance, steepest, nearest, deepest, _is_regular(options))

    def solve(self, parameters: Mapping[str, jax.Array], options: Options, budget: Budget) -> Solution:
        if options["time"] == "recursion":
            return _recursion(parameters, options, budget)
        return _continuous(parameters, options, budget)

    def doublings_per_year_of_progress(self, parameters: Mapping[str, jax.Array] | Mapping[str, float]) -> jax.Array | float:
        return _DOUBLINGS_A_YEAR / parameters["software_share_of_progress"]

    def ceiling(self, parameters: Mapping[str, jax.Array], options: Options) -> jax.Array:
        return _limit(parameters)

    def recent_doubling_time(self, parameters: Mapping[str, jax.Array]) -> jax.Array:
        return parameters["recent_software_doubling_time"]

    def diagnostic_labels(self, options: Options) -> tuple[Label, ...]:
        if options["time"] == "continuous":
            return ()
        knots, last = Label("knots_recorded", "knots recorded"), Label("time_of_last_knot", "time of last knot", unit="months")
        if options["boost"] == "none":
            return knots, last
        return knots, last, Label("speedup_at_last_knot", "speedup at last knot", unit="× recent pace")

    def diagnostics(self, parameters: Mapping[str, jax.Array], options: Options, solution: Solution) -> dict[str, jax.Array]:
        if not isinstance(solution, RecursionSolution):
            return {}
        numbers = {"knots_recorded": (solution.last + 1).astype(solution.horizon.dtype), "time_of_last_knot": solution.last_time}
        if options["boost"] != "none":
            numbers["speedup_at_last_knot"] = _boost(parameters, options).speedup(solution.last_time)
        return numbers


def _log2_width(options: Options) -> float:
    """Doublings a step: the single-run page takes steps of a factor 1.1 where there is a boost."""
    return math.log2(1.1) if options["initial_doubling_convention"] == "single" and options["boost"] != "none" else 1.0


def _furthest(bounds: Bounds) -> float:
    return bounds["distance_to_effective_limits"][1] * _DOUBLINGS_A_YEAR / bounds["software_share_of_progress"][0]


def _steps(options: Options, bounds: Bounds) -> int:
    return max(1, math.ceil(_furthest(bounds) / _log2_width(options) - 1e-9))


def _limit(parameters: Mapping[str, jax.Array]) -> jax.Array:
    """Doublings to the effective limits, X."""
    return parameters["distance_to_effective_limits"] * (_DOUBLINGS_A_YEAR / parameters["software_share_of_progress"])


def _boost(parameters: Mapping[str, jax.Array], options: Options) -> GradualBoost:
    return GradualBoost(
        start=parameters["gradual_boost_start"],
        end=parameters["gradual_boost_max"],
        duration=parameters["gradual_boost_duration"],
        linear=options["boost"] == "paper_linear",
    )


def _first_doubling_time(parameters: Mapping[str, jax.Array], options: Options) -> jax.Array:
    """Doubling time at the start in months, by the page's convention."""
    reference = parameters["recent_software_doubling_time"]
    if options["boost"] != "none":
        return reference / (1 + parameters["gradual_boost_start"])
    if options["initial_doubling_convention"] == "single":
        return reference / (1 + parameters["initial_speedup"])
    return reference / parameters["initial_speedup"]


def _retrained(exponent: jax.Array, options: Options) -> jax.Array:
    """The exponent e(y) of a step."""
    if options["retraining"] == "paper":
        return exponent / (1 + jnp.abs(exponent))
    if options["retraining"] == "code":
        return exponent / jnp.abs(1 + exponent)
    return exponent


def _recursion(parameters: Mapping[str, jax.Array], options: Options, budget: Budget) -> RecursionSolution:
    single, width = options["initial_doubling_convention"] == "single", _log2_width(options)
    limit, exponent = _limit(parameters), parameters["parallel_labour_exponent"]
    returns = parameters["initial_returns_to_software_rnd"]
    first = _first_doubling_time(parameters, options) * width
    boost = _boost(parameters, options) if options["boost"] != "none" else None
    scale = exponent * limit / returns

    def growth(n: jax.Array) -> jax.Array:
        """y = p·(1/r − 1) after n steps, with 1/r = X/(r0·(X − x)): more digits than returns that are stepped down."""
        if options["constant_returns"]:
            return exponent / returns - exponent
        # Beyond the limit nothing begins; the floor only keeps the division finite there.
        return scale / jnp.maximum(limit - n * width, 1e-6) - exponent

    # The state is log2 of the step's time without a boost, so that a lane far from its end neither overflows nor loses digits, and the
    # factor of the boost so far.
    def duration(state: tuple[jax.Array, ...], n: jax.Array) -> jax.Array:
        return exp2(state[0]) if boost is None else exp2(state[0]) / state[1]

    def advance(state: tuple[jax.Array, ...], n: jax.Array, time: jax.Array) -> tuple[jax.Array, ...]:
        log2_duration = state[0] + width * _retrained(growth(n + 1), options)
        return (log2_duration,) if boost is None else (log2_duration, boost.factor(time))

    return solve_recursion(
        state=(jnp.log2(first),) if boost is None else (jnp.log2(first), jnp.ones_like(first)),
        duration=duration,
        may_begin=lambda state, n: n * width < limit,
        advance=advance,
        horizon=parameters["horizon"],
        steps=budget.steps,
        width=width,
        ceiling=limit if single else None,
        cut_last_step=single,
        all_steps=not budget.compact,
    )


def _continuous(parameters: Mapping[str, jax.Array], options: Options, budget: Budget) -> Solution:
    limit, exponent = _limit(parameters), parameters["parallel_labour_exponent"]
    returns, horizon = parameters["initial_returns_to_software_rnd"], parameters["horizon"]
    log_first = jnp.log(_first_doubling_time(parameters, options))

    def log_doubling_time(level: jax.Array, log_remaining: jax.Array) -> jax.Array:
        if options["constant_returns"]:
            return log_first + _LOG_2 * _retrained(exponent / returns - exponent, options) * level
        if options["retraining"] == "none":
            # ∫ p·(X/(r0·(X − x)) − 1) dx = −(p·X/r0)·ln(1 − x/X) − p·x
            return log_first - _LOG_2 * exponent * (limit / returns * log_remaining + level)
        if options["retraining"] == "code":
            total = _accumulated(exponent, 1 - exponent, returns, returns * level / limit)
        else:
            assert kink is not None
            # Choices, whose derivatives are those of one side: a minimum would mix the two where they meet.
            above, below = jnp.where(returns > 1, returns, 1), jnp.where(returns > 1, 1, returns)
            rising = _accumulated(exponent, 1 + exponent, above, returns * jnp.where(level < kink, level, kink) / limit)
            total = rising + _accumulated(exponent, 1 - exponent, below, returns * jnp.where(level < kink, 0, level - kink) / limit)
        return log_first + _LOG_2 * limit / returns * total

    # Where the local returns pass 1 the paper's retraining changes from one form to the other.
    kinked = options["retraining"] == "paper" and not options["constant_returns"]
    kink = limit * jnp.where(returns > 1, 1 - 1 / returns, 0) if kinked else None

    def solution_until(end: jax.Array) -> QuadratureSolution:
        return QuadratureSolution(log_doubling_time, limit, end, budget, kink, _is_regular(options))

    if options["boost"] == "none":
        return solution_until(horizon)
    boost = _boost(parameters, options)
    base = solution_until(boost.to_base(horizon))
    return TimeChangedSolution(base, boost.to_base, boost.to_calendar, boost.factor, boost.duration, horizon)


def _is_regular(options: Options) -> bool:
    """Whether the doubling time is finite at the limit: with retraining, or returns that do not fall."""
    return bool(options["constant_returns"]) or options["retraining"] != "none"


def _accumulated(exponent: jax.Array, q: jax.Array, start: jax.Array, drop: jax.Array) -> jax.Array:
    """∫ e dr from local returns `start` down to `start` − `drop`, e = p·(1 − r)/(1 − q·(1 − r)): retraining, with q = 1 + p where it
    prolongs a shrinking doubling time as the paper prints it (r ≥ 1), and q = 1 − p elsewhere.

    With u = 1 − `start` and D = 1 − q·u it is (p·drop/D)·(u + (drop/D)·g(q·drop/D)), g(h) = (−ln(1 − h) − h)/h², which loses no digits at
    q = 0 or for a small drop.
    """
    below = 1 - start
    scale = 1 - q * below
    share = drop / scale
    return exponent * share * (below + share * _second_order(q * share))


def _second_order(h: jax.Array) -> jax.Array:
    """(−ln(1 − h) − h)/h² = 1/2 + h/3 + h²/4 + … for h < 1; near zero by −ln(1 − h) = 2·artanh(s), s = h/(2 − h)."""
    s = h / (2 - h)
    near = jnp.abs(s) < 1 / 3
    s = jnp.where(near, s, 0)
    square, series = s * s, jnp.zeros_like(s)
    for term in reversed(range(8 if h.dtype == jnp.float32 else 17)):
        series = series * square + 1 / (2 * term + 3)
    far = jnp.where(near, 0.5, h)
    return jnp.where(near, (1 + s) / 2 * (1 + s * (1 + s) * series), (-jnp.log(1 - far) - far) / (far * far))
