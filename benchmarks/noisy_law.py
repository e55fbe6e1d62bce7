"""A law whose pace wanders, asked for software at the end: labour, constant returns r < 1 and no ceiling, with the noise of the growth law:

    dx/dt = e^w 2^(φx)/T0,    dw = −(w/τ)dt + σ√(2/τ)dW,    w(0) = x(0) = 0,    φ = λ(1 − 1/r) < 0

The months A = ∫e^w dt for which the law without noise would have run are known from x at the end, A = T0(2^(−φx) − 1)/(−φ ln 2), and their
distribution is the same for every T0, λ and r. w is Gaussian, so that the mean and the spread of A are known integrals:

    E A = ∫e^(c(t,t)/2) dt,    E A² = ∫∫e^((c(s,s) + c(t,t))/2 + c(s,t)) ds dt,    c(s,t) = σ²(e^(−|t−s|/τ) − e^(−(s+t)/τ))

That is the error that all are held to: a weak one, of mean and spread, as the paths of two contenders are different draws.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import NDArray

from benchmarks.laws import Law
from benchmarks.studies import Precision
from kernels.elementary import exp
from kernels.in_memory import kept_together
from kernels.models.model import PATH
from kernels.sampling import LogUniform, seed_key
from kernels.sampling.indexed import path_words, threefry
from kernels.sampling.normals import normal_pair
from kernels.solvers.clock_solution import ClockSolution
from kernels.study import Study

MONTHS, DEVIATION, CORRELATION_TIME = 48.0, 0.3, 6.0
STEPS = 256
"""Steps of Euler and Maruyama to the end: few enough for speed, as many as the error allows."""
STEP = MONTHS / STEPS
DECAY, KICK = STEP / CORRELATION_TIME, DEVIATION * math.sqrt(2 * STEP / CORRELATION_TIME)
"""What a step takes from w, of itself, and the standard deviation of what it adds."""
TOLERANCE = 1e-2
"""What is asked of the relative error of the mean and of the spread of A, beside what chance makes of so many trajectories."""

LAW = Law(
    "labour, no ceiling, a pace that wanders",
    {"ceiling": "constant", "noise": "pace"},
    (
        ("returns", LogUniform(0.4, 0.8)),
        ("initial_doubling_time", LogUniform(0.5, 4.0)),
        ("parallel_exponent", LogUniform(0.3, 1.0)),
    ),
    {"horizon": MONTHS, "noise_sd": DEVIATION, "noise_correlation_time": CORRELATION_TIME},
    times=(MONTHS,),
)


def given(lanes: int, precision: Precision) -> NDArray[Any]:
    """What a trajectory is made of, (4, lanes): r, T0, λ and its number."""
    return np.concatenate([LAW.draws(lanes), np.arange(lanes)[None]]).astype(precision)


def moments() -> tuple[float, float]:
    """The mean and the standard deviation of A, months."""
    nodes, weights = np.polynomial.legendre.leggauss(40)
    edges = np.linspace(0, MONTHS, 17)
    width = edges[1] - edges[0]
    times = (edges[:-1, None] + width * (nodes + 1) / 2).ravel()
    parts = np.tile(width * weights / 2, len(edges) - 1)

    def covariance(s: Any, t: Any) -> Any:
        return DEVIATION**2 * (np.exp(-np.abs(t - s) / CORRELATION_TIME) - np.exp(-(s + t) / CORRELATION_TIME))

    factor = np.exp(covariance(times, times) / 2)
    mean = parts @ factor
    # Twice the triangle s < t, where nothing bends: s = t·u.
    s = times * times[:, None] / MONTHS
    t = np.broadcast_to(times[:, None], s.shape)
    both = np.exp((covariance(s, s) + covariance(t, t)) / 2 + covariance(s, t))
    square = 2 * float(np.einsum("i,j,ij->", parts * times / MONTHS, parts, both))
    return float(mean), math.sqrt(square - mean**2)


def errors(software: NDArray[Any], given: NDArray[Any]) -> tuple[float, float, float]:
    """The relative errors of the mean and the spread of A, and what chance makes of the latter; `software` is (lanes,), x at the end."""
    returns, first, exponent = given[:3, : len(software)].astype(np.float64)
    steepness = -exponent * (1 - 1 / returns) * math.log(2)
    months = first * np.expm1(steepness * software.astype(np.float64)) / steepness
    mean, spread = moments()
    # Of a distribution so near to a normal one; that of the mean is smaller.
    chance = math.sqrt(1 / (2 * len(software)))
    return abs(float(months.mean()) / mean - 1), abs(float(months.std()) / spread - 1), chance


def study(precision: Precision) -> Study:
    """The law as a sweep has it: an exact path on a grid, and steps between its points to a tolerance that suits them."""
    return replace(LAW.study(precision), tolerance=1e-4)


class Kernel:
    """The law as the kernels solve it, for `given` (4, batch): x at the end, and the steps that each takes, (2, batch)."""

    def __init__(self, precision: Precision) -> None:
        self._study = study(precision)
        self._budget = self._study.work

    def __call__(self, given: jax.Array) -> jax.Array:
        held = self._study
        drawn = {name: row for (name, _), row in zip(held.design.distributions, given[:3], strict=True)}
        parameters = held.completed(drawn, given.shape[1:])
        parameters |= dict(zip(PATH, _paths(given), strict=True))
        solution = held.model.solve(parameters, held.options, self._budget)
        assert isinstance(solution, ClockSolution)
        return jnp.stack([solution.levels(LAW.times)[0][0], solution.steps_taken.astype(held.dtype)])


def by_steps(given: jax.Array) -> jax.Array:
    """x at the end, (1, batch), for `given` (4, batch), by steps of Euler and Maruyama with the kernels' random numbers."""
    returns, first, exponent, _ = given
    path = _paths(given)
    slope = exponent * (1 - 1 / returns) * math.log(2)
    log_pace = jnp.log(STEP / first)

    def two(count: jax.Array, state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        x, w = state
        counter = jnp.full(first.shape, count, jnp.uint32)
        words = kept_together(*threefry(path, counter, jnp.zeros_like(counter)))
        for normal in kept_together(*normal_pair(*words, first.dtype)):
            x, w = x + exp(w + log_pace + slope * x), w - DECAY * w + KICK * normal
        return x, w

    software, _ = lax.fori_loop(0, STEPS // 2, two, (jnp.zeros_like(first), jnp.zeros_like(first)))
    return jnp.stack([software])


def _paths(given: jax.Array) -> tuple[jax.Array, jax.Array]:
    return path_words(jnp.asarray(seed_key(1)), given[3].astype(jnp.uint32))
