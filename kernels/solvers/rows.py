"""Rows of what is kept of the steps of trajectories, each trajectory its own."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from kernels.in_memory import in_memory
from kernels.solvers.rounds import few_rounds


def places(number: jax.Array) -> jax.Array:
    """Where the entries with these numbers, int32 (…, lanes) from 0 up, lie in rows (steps, lanes) one after the other; the same shape."""
    lanes = number.shape[-1]
    # Without a sign, so that none can be meant from the end.
    place: jax.Array = in_memory(number.astype(jnp.uint32) * lanes + jnp.arange(lanes, dtype=jnp.uint32))
    return place


def at_places(rows: jax.Array, place: jax.Array) -> jax.Array:
    """The entries of `rows`, (steps, lanes), at `places`, which must be of numbers below steps; the shape of `place`."""
    # Nothing is looked after: that would cost several times the entry itself.
    found: jax.Array = rows.reshape(-1).at[place].get(mode="promise_in_bounds")
    return found


def count_before(rows: jax.Array, used: jax.Array, key: jax.Array, strictly: bool) -> jax.Array:
    """How many of the first `used` entries of `rows`, (steps, lanes) of which none is less than the one before it, are at most (`strictly`:
    below) `key` (…, lanes); int32 of its shape. By halving: an entry of each trajectory is looked at for every power of two up to their
    number."""
    bits = len(rows).bit_length()

    def halve(index: jax.Array, count: jax.Array) -> jax.Array:
        further = count + (1 << (bits - 1 - index))
        entry = at_places(rows, places(jnp.minimum(further, used) - 1))
        before = entry < key if strictly else entry <= key
        return jnp.where(before & (further <= used), further, count)

    return few_rounds(bits, halve, jnp.zeros(key.shape, jnp.int32))
