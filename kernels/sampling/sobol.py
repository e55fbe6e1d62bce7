"""Scrambled Sobol points addressed by index, as independent randomisations of one point set.

Point n in dimension k is the XOR of the direction numbers V[k, j] over the set bits j of n's Gray code, n ^ (n >> 1) (I. A. Antonov and
V. M. Saleev, 1979): SciPy's order, at 32 bits. Owen's nested uniform scrambling is done by a hash in which every bit is flipped by a
function of the more significant ones alone: S. Laine and T. Karras, "Stratified sampling for stochastic transparency" (2011);
B. Burley, "Practical hash-based Owen scrambling" (JCGT 9(4), 2020); constants from N. Vegdahl, "Building a better LK hash" (2021).
"""

from __future__ import annotations

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from kernels.sampling.indexed import STREAM_SCRAMBLE, threefry
from kernels.sampling.joe_kuo import INITIAL_NUMBERS

BITS = 32


@cache
def _initial_numbers() -> tuple[tuple[int, tuple[int, ...]], ...]:
    """(polynomial, initial numbers) for each dimension from 1 on."""
    entries = (entry.split(":") for entry in INITIAL_NUMBERS.split())
    return tuple((int(polynomial), tuple(map(int, numbers.split(",")))) for polynomial, numbers in entries)


DIMENSIONS = 1 + len(_initial_numbers())
"""How many dimensions the sequence has."""


@cache
def direction_numbers(dimension: int) -> tuple[int, ...]:
    """The 32 direction numbers of a dimension, most significant first. Raises ValueError beyond the last dimension."""
    if not 0 <= dimension < DIMENSIONS:
        fix = 'draw fewer parameters or use sampler = "random"'
        raise ValueError(f"dimension: {dimension} is beyond the Sobol sequence's {DIMENSIONS}; {fix}")
    if dimension == 0:
        odd = [1] * BITS
    else:
        polynomial, initial = _initial_numbers()[dimension - 1]
        degree = len(initial)
        odd = list(initial)
        for j in range(degree, BITS):
            number = odd[j - degree]
            for k in range(1, degree + 1):
                if (polynomial >> (degree - k)) & 1:
                    number ^= odd[j - k] << k
            odd.append(number)
    return tuple(number << (BITS - 1 - j) for j, number in enumerate(odd))


def _reversed(word: int) -> int:
    return int(f"{word:032b}"[::-1], 2)


def reverse_bits(words: jax.Array) -> jax.Array:
    """Every uint32 with its bits in the opposite order."""
    for shift, mask in ((1, 0x55555555), (2, 0x33333333), (4, 0x0F0F0F0F), (8, 0x00FF00FF)):
        words = ((words >> jnp.uint32(shift)) & jnp.uint32(mask)) | ((words & jnp.uint32(mask)) << jnp.uint32(shift))
    result: jax.Array = (words >> jnp.uint32(16)) | (words << jnp.uint32(16))
    return result


def _reversed_points(point: jax.Array, dimensions: tuple[int, ...]) -> jax.Array:
    """The bits of points (n,) in each dimension, (dimensions, n), least significant first: scrambling works on reversed words, so one
    reversal is enough."""
    gray = point ^ (point >> jnp.uint32(1))
    numbers = np.array([[_reversed(number) for number in direction_numbers(dimension)] for dimension in dimensions], np.uint32)
    word = jnp.zeros((len(dimensions), *point.shape), jnp.uint32)
    for j in range(BITS):
        word = jnp.where((gray & jnp.uint32(1 << j)) != jnp.uint32(0), word ^ numbers[:, j, None], word)
    return word


def _scramble_reversed(word: jax.Array, first: jax.Array, second: jax.Array) -> jax.Array:
    """Nested uniform scrambling of reversed words: every step carries only from lower bits (more significant in u) to higher ones."""
    word = word ^ (word * jnp.uint32(0x3D20ADEA))
    word = word + first
    word = word * (second | jnp.uint32(1))
    word = word ^ (word * jnp.uint32(0x05526C56))
    result: jax.Array = word ^ (word * jnp.uint32(0x53A22864))
    return result


def unscrambled(point: jax.Array, dimension: int) -> jax.Array:
    """The Sobol points (n,) as 32 bits, u = bits / 2^32; uint32 (n,): `scipy.stats.qmc.Sobol(d, scramble=False, bits=32)`."""
    return reverse_bits(_reversed_points(point, (dimension,))[0])


def sobol_bits(key: jax.Array, draw: jax.Array, dimensions: tuple[int, ...], replicates: int) -> tuple[jax.Array, ...]:
    """32 bits for each draw in each of the dimensions, uint32 (lanes,): point draw // replicates of randomisation draw % replicates.

    `replicates` is a power of two. Every (key, replicate, dimension) has its own scrambling, so replicates are independent. `draw` is
    uint32 (lanes,), any; or (points, replicates), in every row the replicates of one point in turn, of which each point and each scrambling
    is computed once. In rows, ask for two dimensions or more: of one, the compiler makes no loop, and does not end.
    """
    rows = draw.ndim == 2
    point = (draw[:, 0] if rows else draw) >> jnp.uint32(replicates.bit_length() - 1)
    replicate = (draw[0] if rows else draw) & jnp.uint32(replicates - 1)
    stream = jnp.array(dimensions, jnp.uint32)[:, None] + jnp.uint32(STREAM_SCRAMBLE)
    words = (_reversed_points(point, dimensions), *threefry(key, replicate[None], stream))

    def scrambled(words: tuple[jax.Array, ...]) -> jax.Array:
        word, first, second = words
        if rows:
            # Points innermost: they are more than replicates, and what is innermost is computed many at once.
            first, second = first[:, None], second[:, None]
        return reverse_bits(_scramble_reversed(word, first, second))

    # Loops, not comprehensions: XLA does not fuse across them, and so computes neither the words nor the bits again wherever they are read.
    bits = lax.map(scrambled, words)
    if rows:
        bits = lax.map(lambda of_dimension: of_dimension.T.ravel(), bits)
    return tuple(bits[place] for place in range(len(dimensions)))
