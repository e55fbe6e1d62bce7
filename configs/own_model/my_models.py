"""A model of your own: copy this folder, change it, and run `siesweep run own_model.toml` in the copy.

Equation: software whose doubling time is T(x) = T0·f^x after x doublings: each doubling takes f times as long as the one before. The n-th
completes at T0·(f^n − 1)/ln f months; for f < 1 all of them do by T0/(−ln f).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp

from kernels.models import Bounds, Budget, Model, Options, Parameter
from kernels.solvers.panels import panels_for
from kernels.solvers.quadrature import QuadratureSolution


class SlowingSoftware(Model):
    """Software growth that slows by one factor each doubling."""

    name = "slowing_software"
    title = "Software growth that slows by a factor each doubling"
    source = "an example"
    # Name, symbol, unit, default, low, high, meaning; True leaves out an end of the support. Every model has a horizon.
    parameters = (
        Parameter("initial_doubling_time", "T0", "months", 3.0, 0.0, math.inf, "doubling time of software at the start", True, True),
        Parameter("slowing_factor", "f", "×", 1.2, 0.0, math.inf, "how many times longer each next doubling takes", True, True),
        Parameter("horizon", "H", "months", 240.0, 0.0, math.inf, "end of the trajectory", True, True),
    )

    def budget(self, options: Options, bounds: Bounds, tolerance: float) -> Budget:
        """How much work suffices for every trajectory within `bounds`: here from the steepest that ln T can be, ln f."""
        steepest = max(abs(math.log(factor)) for factor in bounds["slowing_factor"])
        return panels_for(tolerance, lambda share: steepest, nearest_ceiling=math.inf, deepest=0.0)

    def solve(self, parameters: Mapping[str, jax.Array], options: Options, budget: Budget) -> QuadratureSolution:
        """All trajectories at once: every parameter is an array with one number a trajectory."""
        log_start, log_factor = jnp.log(parameters["initial_doubling_time"]), jnp.log(parameters["slowing_factor"])
        return QuadratureSolution(
            log_doubling_time=lambda level, log_remaining: log_start + log_factor * level,
            ceiling=None,
            horizon=parameters["horizon"],
            budget=budget,
        )
