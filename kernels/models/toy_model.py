"""The toy model of a software intelligence explosion: AGIs write papers, papers double the number of AGIs that the hardware can run.

Equation: the n-th doubling (n = 1, 2, …) needs `papers_for_first_doubling` · growth^(n−1) papers, written by initial_agis · 2^(n−1) AGIs,
so it takes T1 · (growth/2)^(n−1) months. growth < 2 accelerates (a blow-up at T1/(1 − growth/2)), growth = 2 is exponential, growth > 2
fizzles; the returns to software R&D are 1/log2(growth).

Source: Eth & Davidson (2025), "Will AI R&D Automation Cause a Software Intelligence Explosion?", section "A toy model", figures 6–8.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp

from kernels.elementary import exp2
from kernels.models.model import Bounds, Budget, Model, Options, Parameter
from kernels.solvers.recursion import RecursionSolution, solve_recursion
from kernels.solvers.solution import MOST_DOUBLINGS


class ToyModel(Model):
    """One AGI, one paper a month, two papers for the first doubling; each next doubling needs so many times more."""

    name = "toy_model"
    title = "Toy model of a software intelligence explosion"
    source = "Eth & Davidson (2025), section “A toy model”, figures 6–8"
    parameters = (
        Parameter(
            "papers_for_first_doubling", "P", "papers", 2.0, 0.0, math.inf, "papers needed for the first doubling of efficiency", True, True
        ),
        Parameter("paper_growth_factor", "m", "×", 3.0, 0.0, math.inf, "how many times more papers each next doubling needs", True, True),
        Parameter("initial_agis", "N0", "AGIs", 1.0, 0.0, math.inf, "AGIs that the hardware runs at the start", True, True),
        Parameter("papers_per_agi_month", "w", "papers a month", 1.0, 0.0, math.inf, "papers that one AGI writes in a month", True, True),
        Parameter("horizon", "H", "months", 240.0, 0.0, math.inf, "end of the trajectory", True, True),
    )

    def budget(self, options: Options, bounds: Bounds, tolerance: float) -> Budget:
        low, high = (bounds["papers_for_first_doubling"][0], bounds["paper_growth_factor"][0]), bounds["horizon"][1]
        first = low[0] / (bounds["initial_agis"][1] * bounds["papers_per_agi_month"][1])
        return Budget(steps=_doublings_by(high, first, low[1] / 2), uneven=True)

    def solve(self, parameters: Mapping[str, jax.Array], options: Options, budget: Budget) -> RecursionSolution:
        first = parameters["papers_for_first_doubling"] / (parameters["initial_agis"] * parameters["papers_per_agi_month"])
        ratio = parameters["paper_growth_factor"] / 2
        log2_first, log2_ratio = jnp.log2(first), jnp.log2(ratio)
        return solve_recursion(
            state=(),
            duration=lambda state, n: exp2(log2_first + n * log2_ratio),
            may_begin=lambda state, n: jnp.ones(first.shape, bool),
            advance=lambda state, n, time: state,
            horizon=parameters["horizon"],
            steps=budget.steps,
            all_steps=not budget.compact,
        )


def _doublings_by(horizon: float, first: float, ratio: float) -> int:
    """How many doublings fit before the horizon: from first · (ratio^n − 1)/(ratio − 1) = horizon."""
    if ratio > 1:
        count = math.log1p(horizon * (ratio - 1) / first) / math.log(ratio)
    elif ratio == 1:
        count = horizon / first
    else:
        left = 1 - horizon * (1 - ratio) / first
        count = math.log(left) / math.log(ratio) if left > 0 else math.inf
    return math.ceil(min(count + 1, MOST_DOUBLINGS))
