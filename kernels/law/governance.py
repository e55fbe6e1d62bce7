"""Governance: what policy does to the pace, by the pace that there would be without it, in multiples of the recent pace.

Equations: `cap`: P = min(1, cap/pace_u). `pause`: P = 0 for so many months, once, from the first time that pace_u ≥ m. `reaction`:
dz/dt = (log2 pace_u − z)/delay and P = 2^(−gain·max(0, z − log2 m)). A pause whose threshold is already met at the start, within 1e-6,
begins there; for the others, which act the more the further it is passed, being that close makes no difference.

Source: Eth & Davidson (2025), "What can we do", and the paragraph on the reaction to COVID-19.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

_LOG_2 = math.log(2)
_EQUAL = 1e-6


def is_met(log_pace: jax.Array, threshold: jax.Array) -> jax.Array:
    """Whether a pace, as its logarithm, meets a threshold; equality within 1e-6 counts."""
    return log_pace >= jnp.log(threshold) - _EQUAL


def log_capped(log_pace: jax.Array, cap: jax.Array, is_binding: jax.Array) -> jax.Array:
    """ln of the pace under a cap, which binds or does not."""
    return jnp.where(is_binding, jnp.log(cap), log_pace)


def awareness_rate(log_pace: jax.Array, awareness: jax.Array, delay: jax.Array) -> jax.Array:
    """dz/dt of the reaction, a month⁻¹."""
    return (log_pace / _LOG_2 - awareness) / delay


def log_reaction(awareness: jax.Array, threshold: jax.Array, gain: jax.Array, is_above: jax.Array) -> jax.Array:
    """ln P of the reaction, smooth on either side of the threshold."""
    return jnp.where(is_above, -gain * (awareness * _LOG_2 - jnp.log(threshold)), 0)
