import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.random import threefry_2x32
from scipy import stats

from kernels.sampling import random_bits, seed_key
from kernels.sampling.indexed import threefry


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
        ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_known_answers_of_random123(counter: tuple[int, int], key: tuple[int, int], expected: tuple[int, int]) -> None:
    words = threefry(jnp.array(key, jnp.uint32), jnp.uint32(counter[0]), jnp.uint32(counter[1]))
    assert tuple(int(word) for word in words) == expected


def test_equals_the_generator_of_jax() -> None:
    generator = np.random.default_rng(1)
    key = jnp.asarray(generator.integers(0, 2**32, 2, dtype=np.uint32))
    counters = generator.integers(0, 2**32, (2, 1000), dtype=np.uint32)
    ours = jax.jit(threefry)(key, jnp.asarray(counters[0]), jnp.asarray(counters[1]))
    theirs = threefry_2x32(key, jnp.asarray(counters.reshape(-1))).reshape(2, -1)
    np.testing.assert_array_equal(np.stack(ours), theirs)


def test_bits_are_uniform_and_differ_between_draws_dimensions_and_seeds() -> None:
    draw = jnp.arange(1 << 16, dtype=jnp.uint32)
    columns = np.stack([random_bits(jnp.asarray(seed_key(seed)), draw, dimension) for seed in (0, 1) for dimension in (0, 1)])
    for column in columns:
        assert stats.kstest((column + 0.5) / 2**32, "uniform").pvalue > 1e-4
    assert np.abs(np.corrcoef(columns.astype(float)) - np.eye(4)).max() < 0.02
    assert np.unique(columns).size > columns.size * 0.9999


def test_seed_key_keeps_all_64_bits() -> None:
    np.testing.assert_array_equal(seed_key(0x0123456789ABCDEF), np.array([0x01234567, 0x89ABCDEF], np.uint32))
    np.testing.assert_array_equal(seed_key(2**64 - 1), np.array([0xFFFFFFFF, 0xFFFFFFFF], np.uint32))


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, True, "7"])
def test_seed_key_refuses_what_is_not_a_seed(seed: object) -> None:
    with pytest.raises(ValueError, match="seed"):
        seed_key(seed)  # type: ignore[arg-type]
