"""A sliced Latin hypercube per block of draws, addressed by index.

Within every block of B draws each dimension has exactly one draw in each stratum of width 1/B, and the draws of one replicate within the
block (draw mod R) are a Latin hypercube of B/R strata themselves: P. Z. G. Qian, "Sliced Latin hypercube designs", JASA 107, 393 (2012).
A replicate's draws are spread over the B/R coarse strata by a random permutation; within a coarse stratum the R replicates take its R fine
strata in a random order; the position within the fine stratum is random. Permutations are keyed bijections on n bits, never stored.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from kernels.sampling.indexed import STREAM_POSITION, STREAM_SLICE, STREAM_STRATUM, threefry

_ROUNDS = 6
_MULTIPLIER = 0x2C9277B5


def permuted(index: jax.Array, bits: int, first: jax.Array, second: jax.Array) -> jax.Array:
    """A permutation of 0 .. 2^bits - 1 keyed by two random words, at `index`; all uint32 of one shape.

    Six rounds, each a bijection on `bits` bits: an odd multiplication and an addition carry upwards, a shift and XOR carry downwards. Few
    bits need the XOR to be keyed as well: without it only part of the permutations could be reached.
    """
    if bits == 0:
        return index
    mask = jnp.uint32((1 << bits) - 1)
    for number in range(_ROUNDS):
        first = first * jnp.uint32(_MULTIPLIER) + second
        second = second ^ (first >> jnp.uint32(15))
        index = (index * ((first >> jnp.uint32(16)) | jnp.uint32(1)) + second) & mask
        far = number % 2 == 0
        carried = index >> jnp.uint32(max(bits // 2, 1) if far else 1)
        index = index ^ (carried if far and bits >= 4 else carried & first)
    result: jax.Array = (index ^ (second >> jnp.uint32(7))) & mask
    return result


def latin_hypercube_bits(key: jax.Array, draw: jax.Array, dimension: int | jax.Array, replicates: int, block: int) -> jax.Array:
    """32 bits for each draw in one dimension, uint32 of `draw`'s shape. `replicates` and `block` are powers of two, replicates <= block."""
    replicate_bits, block_bits = replicates.bit_length() - 1, block.bit_length() - 1
    coarse_bits = block_bits - replicate_bits
    replicate = draw & jnp.uint32(replicates - 1)
    within = (draw & jnp.uint32(block - 1)) >> jnp.uint32(replicate_bits)
    block_start = draw & ~jnp.uint32(block - 1)
    words = threefry(key, block_start | replicate, jnp.uint32(STREAM_STRATUM) + jnp.uint32(dimension))
    coarse = permuted(within, coarse_bits, *words)
    words = threefry(key, block_start | coarse, jnp.uint32(STREAM_SLICE) + jnp.uint32(dimension))
    fine = (coarse << jnp.uint32(replicate_bits)) | permuted(replicate, replicate_bits, *words)
    position, _ = threefry(key, draw, jnp.uint32(STREAM_POSITION) + jnp.uint32(dimension))
    if block_bits == 0:
        return position
    result: jax.Array = (fine << jnp.uint32(32 - block_bits)) | (position >> jnp.uint32(block_bits))
    return result
