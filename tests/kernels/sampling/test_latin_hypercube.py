import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from kernels.sampling import latin_hypercube_bits, seed_key
from kernels.sampling.latin_hypercube import permuted

WORD = st.integers(0, 2**32 - 1)


def strata(bits: np.ndarray, count: int) -> np.ndarray:
    return (np.asarray(bits).astype(np.uint64) * np.uint64(count)) >> np.uint64(32)


@settings(max_examples=60)
@given(st.integers(0, 10), WORD, WORD)
@pytest.mark.slow
def test_permutations_are_bijections(bits: int, first: int, second: int) -> None:
    index = jnp.arange(1 << bits, dtype=jnp.uint32)
    np.testing.assert_array_equal(np.sort(permuted(index, bits, jnp.uint32(first), jnp.uint32(second))), index)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_permutations_move_every_pair_evenly(bits: int) -> None:
    """Over random keys the images of two indices are uniform over the pairs of different places."""
    size = 1 << bits
    keys = jnp.asarray(np.random.default_rng(bits).integers(0, 2**32, (2, 40_000), dtype=np.uint32))
    for one, other in ((0, 1), (1, 2), (0, size - 1)):
        left, right = (np.asarray(permuted(jnp.full(40_000, i, jnp.uint32), bits, keys[0], keys[1])).astype(int) for i in (one, other))
        offset = (right - left) % size
        coarse = np.minimum(size, 16)
        cells = (left * coarse // size) * coarse + (offset - 1) * coarse // size
        counts = np.bincount(cells, minlength=coarse * coarse).reshape(coarse, coarse)
        weight = np.bincount((np.arange(1, size) - 1) * coarse // size, minlength=coarse) / (size - 1)
        expected = 40_000 / coarse * np.tile(weight, (coarse, 1))
        used = expected > 0
        assert stats.chisquare(counts[used], expected[used]).pvalue > 1e-5


@pytest.mark.slow
@pytest.mark.parametrize(("replicates", "block"), [(1, 1), (1, 64), (16, 16), (16, 256), (8, 4096)])
def test_every_block_and_every_replicate_in_it_is_a_latin_hypercube(replicates: int, block: int) -> None:
    draw = jnp.arange(3 * block, dtype=jnp.uint32)
    for dimension in (0, 1):
        bits = latin_hypercube_bits(jnp.asarray(seed_key(9)), draw, dimension, replicates, block)
        for part in np.asarray(bits).reshape(3, block // replicates, replicates):
            np.testing.assert_array_equal(np.sort(strata(part.ravel(), block)), np.arange(block))
            for replicate in range(replicates):
                np.testing.assert_array_equal(np.sort(strata(part[:, replicate], block // replicates)), np.arange(block // replicates))


def test_blocks_replicates_and_dimensions_are_not_tied() -> None:
    draw = jnp.arange(2 * 1024, dtype=jnp.uint32)
    columns = [
        np.asarray(latin_hypercube_bits(jnp.asarray(seed_key(4)), draw, dimension, 16, 1024)).astype(float) for dimension in (0, 1, 2)
    ]
    parts = np.array([part for column in columns for part in np.split(column, 2)])
    assert np.abs(np.corrcoef(parts) - np.eye(6)).max() < 0.12


def test_each_draw_is_uniform_over_seeds() -> None:
    keys = jnp.asarray(np.random.default_rng(5).integers(0, 2**32, (4000, 2), dtype=np.uint32))
    draw = jnp.array([0, 1, 77, 4095], jnp.uint32)
    bits = jax.jit(jax.vmap(lambda key: latin_hypercube_bits(key, draw, 3, 16, 256)))(keys)
    for column in np.asarray(bits).T:
        assert stats.kstest((column + 0.5) / 2**32, "uniform").pvalue > 1e-4
        assert stats.kstest((column.astype(np.uint64) * 256 % 2**32 + 0.5) / 2**32, "uniform").pvalue > 1e-4
