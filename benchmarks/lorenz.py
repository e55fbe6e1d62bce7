"""Lorenz's (1963) equations at a fixed step, the common yardstick of solvers of ensembles:

    dx/dt = σ(y − x),    dy/dt = x(ρ − z) − y,    dz/dt = xy − βz

with σ = 10, β = 8/3 and ρ of each trajectory's own, from (1, 0, 0) for one unit of time in 1,000 steps of Tsitouras' (2011) method of
order 5. Every contender takes these steps; the answer is the state at the end, (3, lanes).
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import NDArray

from kernels.solvers.step import take_step
from kernels.solvers.tableaus import RUNGE_KUTTA_5

SIGMA, BETA = 10.0, 8 / 3
START = (1.0, 0.0, 0.0)
STEPS, STEP = 1000, 0.001
TOLERANCE = {"float32": 1e-4, "float64": 1e-8}
"""What is asked of the worst error of a trajectory: that of its state, relative to the state."""


def draws(lanes: int) -> NDArray[np.float64]:
    """ρ of each trajectory, (lanes,): up to 21, so that none is chaotic."""
    return np.random.default_rng(19630301).uniform(0.0, 21.0, lanes)


def slope(state: tuple[Any, ...], rho: Any) -> tuple[Any, Any, Any]:
    """d/dt of the three states."""
    x, y, z = state
    return SIGMA * (y - x), x * (rho - z) - y, x * y - BETA * z


def reference(rho: NDArray[Any]) -> NDArray[np.float64]:
    """The state at the end to about twelve digits, (3, lanes), by SciPy's DOP853."""
    from scipy.integrate import solve_ivp

    ends, span = [], (0.0, STEPS * STEP)
    for value in rho.astype(np.float64):
        found = solve_ivp(lambda _, at, value=value: slope(tuple(at), value), span, START, method="DOP853", rtol=1e-13, atol=1e-13)
        ends.append(found.y[:, -1])
    return np.stack(ends, axis=1)


def worst_error(states: NDArray[Any], truth: NDArray[np.float64]) -> float:
    """The largest error of a state, relative to the state's length; `states` and `truth` are (3, lanes)."""
    difference = np.linalg.norm(states.astype(np.float64) - truth, axis=0) / np.linalg.norm(truth, axis=0)
    return float(np.nan_to_num(difference, nan=1.0).max())


def by_kernel(given: jax.Array) -> jax.Array:
    """The state at the end, (3, lanes), for ρ, (1, lanes), by the clock's own Runge–Kutta step, taken in time."""
    rho = given[0]

    def rates(state: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        return slope(state[1:], rho)

    def step(_: jax.Array, state: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        taken = take_step(RUNGE_KUTTA_5, rates, lambda found: jnp.ones_like(found[0]), state, jnp.full_like(rho, STEP), unrolled=True)
        return tuple(value + more for value, more in zip(state, taken.added, strict=True))

    begin = tuple(jnp.full_like(rho, value) for value in (0.0, *START))
    return jnp.stack(lax.fori_loop(0, STEPS, step, begin)[1:])
