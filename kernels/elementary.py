"""Elementary functions that the compiler makes slower than they need be."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def expm1(z: jax.Array) -> jax.Array:
    """e^z − 1, shape and type of `z`, to about the last digit: in float32 by its series near zero, at two thirds of the compiler's work."""
    return jnp.expm1(z) if z.dtype != jnp.float32 else _expm1(z)


@jax.custom_jvp
def _expm1(z: jax.Array) -> jax.Array:
    series = jnp.ones_like(z)
    for term in range(8, 1, -1):
        series = 1 + series * (z * (1 / term))
    return jnp.where(jnp.abs(z) < 0.5, z * series, jnp.exp(z) - 1)


@_expm1.defjvp
def _expm1_jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    return _expm1(*primals), jnp.exp(primals[0]) * tangents[0]
