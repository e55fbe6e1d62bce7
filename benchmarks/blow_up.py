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
from numpy.typing import NDArray

from benchmarks.laws import Law
from kernels.sampling import LogUniform
from kernels.solvers.clock_solution import ClockSolution
from kernels.solvers.panels import direct_panels
from kernels.study import Study

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
    """Steps that each trajectory takes in the clock, (lanes,)."""
    budget = study.work

    @jax.jit
    def steps(rows: jax.Array) -> jax.Array:
        named = {name: row for (name, _), row in zip(study.design.distributions, rows, strict=True)}
        solution = study.model.solve(study.completed(named, rows.shape[1:]), study.options, budget)
        assert isinstance(solution, ClockSolution)
        return solution.steps_taken

    return np.asarray(steps(jnp.asarray(drawn, study.dtype)))
