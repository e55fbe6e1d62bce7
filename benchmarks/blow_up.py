"""A law that explodes, asked for dates on the way: labour, constant returns r > 1 and no ceiling. Its solution is known:

    dx/dt = 2^(φx)/T0,    date of n doublings = T0 (1 − 2^(−φn))/(φ ln 2),    blow-up at T0/(φ ln 2),    φ = λ(1 − 1/r)

In plain time the pace grows without end close to the blow-up; over software the same dates are smooth integrals.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import NDArray

from benchmarks.laws import Law
from kernels.program import Study
from kernels.sampling import LogUniform
from kernels.solvers.clock_solution import ClockSolution
from kernels.solvers.panels import direct_panels

LAW = Law(
    "labour, no ceiling, returns above 1",
    {"ceiling": "constant"},
    (
        ("returns", LogUniform(1.2, 3.0)),
        ("initial_doubling_time", LogUniform(0.5, 4.0)),
        ("parallel_exponent", LogUniform(0.3, 1.0)),
    ),
    {"horizon": 240.0},
    levels=(1.0, 5.0, 10.0, 20.0),
)
IN_THE_CLOCK = replace(LAW, options={**LAW.options, "solver": "clock"})
"""The same law by the mixed clock, where the kernels would choose quadrature."""


def dates(drawn: NDArray[Any]) -> NDArray[np.float64]:
    """The exact dates of the levels, (levels, lanes), for parameters (drawn, lanes) in the order of the law's."""
    returns, first, exponent = drawn.astype(np.float64)
    steepness = exponent * (1 - 1 / returns) * math.log(2)
    return np.stack([-first * np.expm1(-steepness * level) / steepness for level in LAW.levels])


def points(study: Study) -> int:
    """Points of quadrature that a trajectory is given."""
    panels = [direct_panels(start, end, study.work) for start, end in pairwise((0.0, *LAW.levels))]
    return sum(nodes * (len(edges) - 1) for edges, nodes in panels)


def clock_steps(study: Study, drawn: NDArray[Any]) -> NDArray[Any]:
    """Steps that each trajectory takes in the clock, (lanes,), were it alone."""
    budget = study.work

    def steps(one: jax.Array) -> jax.Array:
        given = {name: jnp.full(1, value, study.dtype) for name, value in study.fixed.items()}
        given |= {name: value[None] for (name, _), value in zip(study.design.distributions, one, strict=True)}
        given |= {name: given[other] for name, other in study.follows.items()}
        solution = study.model.solve(given, study.options, budget)
        assert isinstance(solution, ClockSolution)
        return solution.steps_used

    return np.asarray(jax.jit(lambda rows: lax.map(steps, rows))(jnp.asarray(drawn.T, study.dtype)))
