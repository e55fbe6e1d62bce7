"""Places that a search has found, with the derivative that they have: a search says where, the implicit function theorem how it moves.

Equation: where F(x, p) = 0, dx/dp = −(∂F/∂p)/(∂F/∂x). Without differentiation nothing is computed.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax


def root_of(function: Callable[[jax.Array], jax.Array], search: Callable[[], jax.Array], low: jax.Array, high: jax.Array) -> jax.Array:
    """What `search` finds, shape (…), as the root of an elementwise function between `low` and `high`; on one of them it moves with that
    end. The search itself is not differentiated."""
    low, high = (jnp.broadcast_to(end, jnp.broadcast_shapes(low.shape, high.shape)) for end in (low, high))
    root: jax.Array = lax.custom_root(
        function,
        lax.stop_gradient(low),
        lambda _function, _guess: search(),
        lambda linear, miss: miss / linear(jnp.ones_like(miss)),
    )
    return jnp.where((root > low) & (root < high), root, jnp.where(root > low, high, low))
