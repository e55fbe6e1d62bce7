"""Hardware that is not constant: doublings y of the installed compute.

Equations: `exponential`: y grows by so many doublings a year. `loop`: research on hardware by AI labour, with its own returns and delay,

    dz/dt = (1/T_h)·2^(λ_h·(x_d + y) − (λ_h/r_h)·z)      the frontier,        dy/dt = (z − y)/D      what is installed

until y is MOST_DOUBLINGS, where hardware stays, as software ends there: 10³⁰⁰ times what there was at the start.

Source: Eth & Davidson (2025), figure 1, footnotes 24 and 37. The end is our assumption.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from kernels.elementary import exp

_LOG_2 = math.log(2)


def grown(doublings_per_year: jax.Array, months: jax.Array) -> jax.Array:
    """Doublings of hardware after so many months of exponential growth."""
    return doublings_per_year / 12 * months


def frontier_rate(
    doubling_time: jax.Array, parallel_exponent: jax.Array, returns: jax.Array, labour: jax.Array, frontier: jax.Array
) -> jax.Array:
    """dz/dt in doublings a month, held finite; `labour` and `frontier` are x_d + y and z in doublings."""
    doublings = parallel_exponent * (labour - frontier / returns)
    return exp(_LOG_2 * jnp.minimum(doublings, 100)) / doubling_time


def installation_rate(delay: jax.Array, frontier: jax.Array, installed: jax.Array) -> jax.Array:
    """dy/dt in doublings a month."""
    return (frontier - installed) / delay
