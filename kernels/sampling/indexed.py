"""Counter-based random bits: a pure function of (key, draw, dimension), with no state to carry and none to share.

Threefry-2x32 with 20 rounds: J. K. Salmon, M. A. Moraes, R. O. Dror and D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC'11.
Written as straight-line code so that XLA fuses it with what uses the bits.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA

# Streams that must not meet the draws' own counters take the top bits of the second counter word; dimensions stay below 2^28.
STREAM_SCRAMBLE = 1 << 28
STREAM_STRATUM = 2 << 28
STREAM_SLICE = 3 << 28
STREAM_POSITION = 4 << 28
STREAM_PATH = 5 << 28


def seed_key(seed: int) -> np.ndarray:
    """The key of a seed, uint32 of shape (2,): high word, low word. Raises ValueError unless 0 <= seed < 2^64."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= int(seed) < 1 << 64:
        raise ValueError(f"seed: {seed!r} is not an integer from 0 to 2^64 - 1; use one that is")
    return np.array([int(seed) >> 32, int(seed) & 0xFFFFFFFF], dtype=np.uint32)


def threefry(key: jax.Array | tuple[jax.Array, jax.Array], first: jax.Array, second: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The two output words for the counter (first, second): uint32 arrays of one broadcast shape.

    `key` is uint32 of shape (2,), or two of any shape for a key of each counter.
    """
    keys = (key[0], key[1], key[0] ^ key[1] ^ jnp.uint32(_PARITY))
    left, right = first + keys[0], second + keys[1]
    for group in range(5):
        for rotation in _ROTATIONS[group % 2]:
            left = left + right
            right = left ^ ((right << jnp.uint32(rotation)) | (right >> jnp.uint32(32 - rotation)))
        left = left + keys[(group + 1) % 3]
        right = right + keys[(group + 2) % 3] + jnp.uint32(group + 1)
    return left, right


def random_bits(key: jax.Array, draw: jax.Array, dimension: int | jax.Array) -> jax.Array:
    """32 random bits for each draw in one dimension (0 <= dimension < 2^28), uint32 of `draw`'s shape."""
    return threefry(key, draw, jnp.uint32(dimension))[0]


def path_words(key: jax.Array, draw: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The key of each draw's own random numbers, two words, each uint32 of `draw`'s shape: use it as `threefry`'s key."""
    # Word by word in a loop, whose results lie in memory: written out, they would be computed again wherever `threefry` uses its key, and
    # jax 0.12's compiler never ends with what that multiplies to.
    words = lax.map(lambda which: jnp.where(which == 0, *threefry(key, draw, jnp.uint32(STREAM_PATH))), jnp.arange(2))
    return words[0], words[1]
