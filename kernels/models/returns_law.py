"""The returns law: the growth law restricted to labour input, with its conventions for the first doubling and its ceilings.

Equation: 1/T = (1/T0)·2^(λx)·R(x), where λ is the parallel exponent and β = λ/r, with returns to software R&D r; R is one of

    constant      2^(−βx)
    linear        (1 − x/X)^(βX ln 2)                                   the local r falls linearly in x
    log_distance  (1 − x/X)^(1 + βX ln 2)                               the pace also scales with the remaining log distance
    level         [(2^(X−x) − 1)/(2^X − 1)]^(β(1 − 2^(−X)))             the local r falls linearly in software itself

Convention "instantaneous": T(0) = T0. "geometric": the first doubling of the law takes T0, T(0) = T0/∫₀¹ dx/(I^λ R).

Source: Eth & Davidson (2025), "Being more mathematically concrete", figure 9, footnotes 23–29 (returns), 26 and figure 10 (limits), 27
(stepping on toes); log_distance: Davidson (2023), "What a compute-centric framework says about takeoff speeds".
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp

from kernels.law.returns import log_returns
from kernels.models.model import Bounds, Model, ModelError, Option, Options, Parameter, Uses, refuse_unused, varying
from kernels.solvers.budget import Budget
from kernels.solvers.panels import first_doubling_scale, panels_for
from kernels.solvers.quadrature import QuadratureSolution

_USES: Uses = {"distance_to_limits": {"ceiling": ("linear", "log_distance", "level")}}


class ReturnsLaw(Model):
    """Software that improves the labour which improves software, with diminishing returns and an optional ceiling."""

    name = "returns_law"
    title = "Returns law: labour, returns to software R&D and limits"
    source = "Eth & Davidson (2025), “Being more mathematically concrete”, figures 9 and 10, footnotes 23–29"
    parameters = (
        Parameter("initial_doubling_time", "T0", "months", 1.0, 0.0, math.inf, "doubling time of software at the start", True, True),
        Parameter(
            "returns", "r", "–", 1.2, 0.0, math.inf, "returns to software R&D: software doublings per doubling of labour", True, True
        ),
        Parameter("parallel_exponent", "λ", "–", 1.0, 0.0, math.inf, "stepping on toes: exponent of research input", True, True),
        Parameter(
            "distance_to_limits",
            "X",
            "doublings",
            88.0,
            0.0,
            math.inf,
            "doublings to the ceiling (not used by ceiling = constant)",
            True,
            True,
        ),
        Parameter(
            "recent_doubling_time", "T_ref", "months", 3.0, 0.0, math.inf, "doubling time at the recent pace, the unit of paces", True, True
        ),
        Parameter("horizon", "H", "months", 240.0, 0.0, math.inf, "end of the trajectory", True, True),
    )
    options = (
        Option("ceiling", ("constant", "linear", "log_distance", "level"), "how returns fall toward the limits"),
        Option("convention", ("instantaneous", "geometric"), "whether the initial doubling time is T(0) or the time of the first doubling"),
    )

    has_years_of_progress = True

    def doublings_per_year_of_progress(self, parameters: Mapping[str, jax.Array] | Mapping[str, float]) -> jax.Array | float:
        return 12 / parameters["recent_doubling_time"]

    def ceiling(self, parameters: Mapping[str, jax.Array], options: Options) -> jax.Array | None:
        return None if options["ceiling"] == "constant" else parameters["distance_to_limits"]

    def check_given(self, options: Options, given: Bounds) -> None:
        refuse_unused(_USES, options, varying(given))

    def check(self, options: Options, bounds: Bounds) -> None:
        super().check(options, bounds)
        if options["convention"] == "geometric" and options["ceiling"] != "constant" and bounds["distance_to_limits"][0] <= 1:
            raise ModelError(
                "distance_to_limits",
                f"{bounds['distance_to_limits'][0]:g} doublings leave no first doubling to define the geometric convention by",
                'keep it above 1, or use convention = "instantaneous"',
            )

    def budget(self, options: Options, bounds: Bounds, tolerance: float) -> Budget:
        (low, high), exponent = bounds["returns"], bounds["parallel_exponent"][1]

        def steepest(share: float) -> float:
            # d ln T/dx = λ ln 2·(1/r − 1), with the local r at that share of the way; `log_distance` adds its distance to it.
            added = 2 / bounds["distance_to_limits"][0] if options["ceiling"] == "log_distance" else 0.0
            local = low if options["ceiling"] == "constant" else low * (1 - share)
            return exponent * math.log(2) * max(1 / local - 1, 1 - 1 / high) + added

        nearest = math.inf if options["ceiling"] == "constant" else bounds["distance_to_limits"][0]
        return panels_for(tolerance, steepest, nearest, deepest=exponent * math.log(2) * bounds["distance_to_limits"][1])

    def solve(self, parameters: Mapping[str, jax.Array], options: Options, budget: Budget) -> QuadratureSolution:
        exponent, returns = parameters["parallel_exponent"], parameters["returns"]
        ceiling = self.ceiling(parameters, options)

        def log_ratio(level: jax.Array, log_remaining: jax.Array) -> jax.Array:
            """ln T/T(0)."""
            if ceiling is None:
                # One product, so that r = 1 is exponential to the last digit.
                return math.log(2) * (exponent / returns - exponent) * level
            falling = log_returns(str(options["ceiling"]), exponent / returns, ceiling, level, log_remaining)
            return -(math.log(2) * exponent * level + falling)

        log_start = jnp.log(parameters["initial_doubling_time"])
        if options["convention"] == "geometric":
            log_start = log_start - jnp.log(first_doubling_scale(log_ratio, ceiling, returns, budget.nodes))
        return QuadratureSolution(
            log_doubling_time=lambda level, log_remaining: log_start + log_ratio(level, log_remaining),
            ceiling=ceiling,
            horizon=parameters["horizon"],
            budget=budget,
        )
