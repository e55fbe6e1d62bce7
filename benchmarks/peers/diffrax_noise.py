"""The noisy law by diffrax: vmapped steps of Euler and Maruyama of a fixed length."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import diffrax
import jax
import jax.numpy as jnp

from benchmarks.noisy_law import CORRELATION_TIME, DEVIATION, MONTHS, STEP, STEPS

PATHS: dict[str, Callable[[Any, Any], Any]] = {
    "UnsafeBrownianPath": lambda like, key: diffrax.UnsafeBrownianPath(jax.eval_shape(lambda: like), key),
    "VirtualBrownianTree": lambda like, key: diffrax.VirtualBrownianTree(0.0, MONTHS, STEP / 2, jax.eval_shape(lambda: like), key),
}
"""Ways to draw the path: as steps ask for it, or so that any time can be asked for."""


class DiffraxNoise:
    """x at the end, (1, batch), for parameters (4, batch), with paths of a kind."""

    def __init__(self, path: str) -> None:
        self._path = PATHS[path]

    def __call__(self, given: jax.Array) -> jax.Array:
        return jax.vmap(self._one, in_axes=1)(given)[None]

    def _one(self, given: jax.Array) -> jax.Array:
        returns, first, exponent, number = given
        kind = first.dtype
        slope, log_pace = exponent * (1 - 1 / returns) * math.log(2), -jnp.log(first)
        kick = jnp.asarray([0.0, DEVIATION * math.sqrt(2 / CORRELATION_TIME)], kind)
        path = self._path(jnp.zeros((), kind), jax.random.fold_in(jax.random.key(1), number.astype(jnp.uint32)))
        drift = diffrax.ODETerm(lambda _, at, __: jnp.stack([jnp.exp(at[1] + log_pace + slope * at[0]), -at[1] / CORRELATION_TIME]))
        begin, end, step = (jnp.asarray(value, kind) for value in (0.0, MONTHS, STEP))
        found = diffrax.diffeqsolve(
            diffrax.MultiTerm(drift, diffrax.ControlTerm(lambda *_: kick, path)),
            diffrax.Euler(),
            t0=begin,
            t1=end,
            dt0=step,
            y0=jnp.zeros(2, kind),
            saveat=diffrax.SaveAt(t1=True),
            stepsize_controller=diffrax.ConstantStepSize(),
            max_steps=STEPS,
            adjoint=diffrax.DirectAdjoint(),
        )
        software: jax.Array = found.ys[-1, 0]
        return software
