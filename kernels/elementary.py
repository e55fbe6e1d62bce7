"""Elementary functions that the compiler makes slower than they need be."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def expm1(z: jax.Array) -> jax.Array:
    """e^z − 1, shape and type of `z`, to about the last digit: by its series near zero, where the compiler's own takes twice the work."""
    terms = 8 if z.dtype == jnp.float32 else 15
    # What is not chosen is differentiated too, and must stay finite far off.
    near = jnp.clip(z, -0.5, 0.5)
    series = jnp.ones_like(z)
    for term in range(terms, 1, -1):
        series = 1 + series * (near * (1 / term))
    return jnp.where(jnp.abs(z) < 0.5, near * series, jnp.exp(z) - 1)
