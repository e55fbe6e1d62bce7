"""Lorenz's equations by diffrax: vmapped steps of a fixed length."""

from __future__ import annotations

from typing import Any

import diffrax
import jax
import jax.numpy as jnp

from benchmarks.lorenz import START, STEP, STEPS, slope


def solved(given: jax.Array) -> jax.Array:
    """The state at the end, (3, lanes), for ρ, (1, lanes)."""
    return jnp.stack(jax.vmap(_one)(given[0]))


def _one(rho: jax.Array) -> tuple[jax.Array, ...]:
    # Times of the type of the state, or diffrax computes in the wider of the two.
    begin, end, step = (jnp.asarray(value, rho.dtype) for value in (0.0, STEPS * STEP, STEP))
    found = diffrax.diffeqsolve(
        diffrax.ODETerm(_slope),
        diffrax.Tsit5(),
        t0=begin,
        t1=end,
        dt0=step,
        y0=tuple(jnp.asarray(value, rho.dtype) for value in START),
        args=rho,
        saveat=diffrax.SaveAt(t1=True),
        stepsize_controller=diffrax.ConstantStepSize(),
        # Times are added up, so that rounding may leave a little to go after the last.
        max_steps=STEPS + 2,
        adjoint=diffrax.ForwardMode(),
    )
    return tuple(value[-1] for value in found.ys)


def _slope(time: Any, state: Any, rho: Any) -> Any:
    return slope(state, rho)
