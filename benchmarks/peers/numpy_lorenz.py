"""Lorenz's equations in NumPy: blocks of trajectories that stay in the cache, in one thread a core, every operation in place."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.environment import cores
from benchmarks.lorenz import BETA, SIGMA, START, STEP, STEPS
from kernels.solvers.tableaus import RUNGE_KUTTA_5

# The best of 512 to 8,192 lanes: the stages fill the second-level cache.
_WIDTH = 8192


def solved(rho: NDArray[Any]) -> NDArray[Any]:
    """The state at the end, (3, lanes), for ρ, (lanes,), in its type."""
    with ThreadPoolExecutor(cores()) as pool:
        return np.concatenate(list(pool.map(_ends, [rho[begin : begin + _WIDTH] for begin in range(0, len(rho), _WIDTH)])), axis=1)


def _ends(rho: NDArray[Any]) -> NDArray[Any]:
    """The same of one block."""
    kind = rho.dtype.type
    rows = [[kind(STEP * weight) for weight in row] for row in (*RUNGE_KUTTA_5.a, RUNGE_KUTTA_5.b)]
    state = np.empty((3, len(rho)), kind)
    state[:] = np.array(START, kind)[:, None]
    stages, trial, spare = np.empty((len(rows), *state.shape), kind), np.empty_like(state), np.empty_like(state)
    for _ in range(STEPS):
        _slope(state, rho, stages[0], spare[0])
        for made, row in enumerate(rows, 1):
            end = trial if made < len(rows) else state
            np.multiply(stages[0], row[0], out=spare)
            np.add(state, spare, out=end)
            for stage, weight in zip(stages[1:made], row[1:], strict=True):
                np.multiply(stage, weight, out=spare)
                np.add(end, spare, out=end)
            if made < len(rows):
                _slope(trial, rho, stages[made], spare[0])
    return state


def _slope(state: NDArray[Any], rho: NDArray[Any], out: NDArray[Any], spare: NDArray[Any]) -> None:
    x, y, z = state
    np.subtract(y, x, out=out[0])
    np.multiply(out[0], SIGMA, out=out[0])
    np.subtract(rho, z, out=out[1])
    np.multiply(out[1], x, out=out[1])
    np.subtract(out[1], y, out=out[1])
    np.multiply(x, y, out=out[2])
    np.multiply(z, BETA, out=spare)
    np.subtract(out[2], spare, out=out[2])
