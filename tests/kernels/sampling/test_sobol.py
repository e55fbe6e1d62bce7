from functools import reduce
from operator import xor

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.stats import qmc

from kernels.sampling import DIMENSIONS, seed_key, sobol_bits, unscrambled
from kernels.sampling.indexed import STREAM_SCRAMBLE, threefry
from kernels.sampling.sobol import direction_numbers, reverse_bits

WORD = st.integers(0, 2**32 - 1)


def key_of(seed: int) -> jax.Array:
    return jnp.asarray(seed_key(seed))


@pytest.mark.parametrize("dimensions", [1, 2, 64, 256])
@pytest.mark.slow
def test_unscrambled_points_equal_scipys(dimensions: int) -> None:
    assert dimensions <= DIMENSIONS
    expected = qmc.Sobol(dimensions, scramble=False, bits=32).random(256)
    point = jnp.arange(256, dtype=jnp.uint32)
    ours = np.stack([np.asarray(unscrambled(point, dimension)) for dimension in range(dimensions)], axis=1) / 2.0**32
    np.testing.assert_array_equal(ours, expected)


def test_direction_numbers_equal_scipys_to_the_last_bit() -> None:
    expected = qmc.Sobol(256, scramble=False, bits=32)._sv
    np.testing.assert_array_equal(np.array([direction_numbers(dimension) for dimension in range(256)]), expected)


def test_far_points_are_the_exclusive_or_of_their_direction_numbers() -> None:
    points = np.random.default_rng(2).integers(0, 2**32, 200, dtype=np.uint32)
    vectors = qmc.Sobol(8, scramble=False, bits=32)._sv
    for dimension in (0, 7):
        gray = [int(n) ^ (int(n) >> 1) for n in points]
        expected = [reduce(xor, (int(vector) for j, vector in enumerate(vectors[dimension]) if (n >> j) & 1), 0) for n in gray]
        np.testing.assert_array_equal(unscrambled(jnp.asarray(points), dimension), expected)


def test_a_dimension_too_many_is_refused() -> None:
    with pytest.raises(ValueError, match=r"dimension: 256 is beyond .* 256; draw fewer"):
        direction_numbers(256)


@pytest.mark.slow
@given(WORD)
def test_reversal(word: int) -> None:
    assert int(reverse_bits(jnp.uint32(word))) == int(f"{word:032b}"[::-1], 2)


@pytest.mark.slow
@pytest.mark.parametrize("log2_points", [1, 4, 7, 10])
def test_each_replicate_stays_a_net(log2_points: int) -> None:
    """In one dimension, and in the first two together: one point in every elementary interval of volume 1/n."""
    replicates, count = 8, 1 << log2_points
    draw = jnp.arange(replicates * count, dtype=jnp.uint32)
    first, second = (np.asarray(bits).reshape(count, replicates) for bits in sobol_bits(key_of(11), draw, (0, 1), replicates))
    for replicate in range(replicates):
        for bits in range(log2_points + 1):
            left = first[:, replicate].astype(np.uint64) >> np.uint64(32 - bits)
            right = second[:, replicate].astype(np.uint64) >> np.uint64(32 - (log2_points - bits))
            cells = (left << np.uint64(log2_points - bits)) | right
            assert np.unique(cells).size == count


@settings(max_examples=60)
@given(st.integers(0, 2**64 - 1), st.integers(0, 255), st.integers(0, 31), st.integers(0, 2**16 - 1))
@pytest.mark.slow
def test_scrambling_is_nested(seed: int, dimension: int, differing: int, point: int) -> None:
    """Words that first differ in some bit are mapped to words that first differ in that bit, whatever the seed."""
    draws = jnp.array([point, point ^ (1 << differing)], jnp.uint32)
    plain = np.asarray(unscrambled(draws, dimension)).astype(np.int64)
    scrambled = np.asarray(sobol_bits(key_of(seed), draws, (dimension,), 1)[0]).astype(np.int64)
    assert int(plain[0] ^ plain[1]).bit_length() == int(scrambled[0] ^ scrambled[1]).bit_length()


def test_scrambled_points_are_uniform_over_seeds() -> None:
    """Every point alone is uniform, and points far apart are not tied to each other, neither are dimensions or replicates."""
    keys = jnp.asarray(np.random.default_rng(3).integers(0, 2**32, (4000, 2), dtype=np.uint32))
    draws = jnp.array([0, 1, 16, 17, 48], jnp.uint32)
    bits = jax.jit(jax.vmap(lambda key: jnp.stack(sobol_bits(key, draws, (0, 1, 5), 16))))(keys)
    values = (np.asarray(bits).reshape(4000, -1) + 0.5) / 2**32
    for column in values.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-4
    correlation = np.corrcoef(values.T).reshape(3, 5, 3, 5)
    for one in range(3):
        for other in range(3):
            for i in range(5):
                for j in range(5):
                    if one != other or {i, j} in ({0, 1}, {0, 3}, {1, 2}, {1, 4}, {2, 3}, {3, 4}):
                        assert abs(correlation[one, i, other, j]) < 0.075


def by_hand(key: jax.Array, draw: int, dimension: int, replicates: int) -> int:
    """The bits of one draw in Python's integers."""
    replicate, point = draw % replicates, draw // replicates
    first, second = (int(word) for word in threefry(key, jnp.uint32(replicate), jnp.uint32(STREAM_SCRAMBLE + dimension)))
    gray = point ^ (point >> 1)
    word = reduce(xor, (vector for j, vector in enumerate(direction_numbers(dimension)) if (gray >> j) & 1), 0)
    word = int(f"{word:032b}"[::-1], 2)
    word ^= word * 0x3D20ADEA
    word = (word + first) * (second | 1) & 0xFFFFFFFF
    word ^= word * 0x05526C56
    word ^= word * 0x53A22864
    return int(f"{word & 0xFFFFFFFF:032b}"[::-1], 2)


@pytest.mark.slow
@pytest.mark.parametrize("start", [0, (1 << 18) - 32, 1 << 31])
def test_bits_are_those_by_hand_for_near_and_far_points(start: int) -> None:
    """Alone or in rows of a point's replicates: below 2^16 points and beyond, and across."""
    draw = jnp.arange(start, start + 64, dtype=jnp.uint32)
    bits = jax.jit(lambda draw: jnp.stack(sobol_bits(key_of(5), draw, (0, 3, 9), 4)))
    alone = np.asarray(bits(draw))
    np.testing.assert_array_equal(alone, [[by_hand(key_of(5), int(one), dimension, 4) for one in draw] for dimension in (0, 3, 9)])
    np.testing.assert_array_equal(bits(draw.reshape(16, 4)), alone)
