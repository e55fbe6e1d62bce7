"""Pairs of normal numbers against their equation in NumPy, and against the normal distribution."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from kernels.sampling.normals import normal_pair

ENDS = np.array([0, 1, (1 << 29) - 1, 1 << 29, 1 << 30, (1 << 31) - 1, 1 << 31, (7 << 29) - 1, 7 << 29, (1 << 32) - 1], np.uint32)


def words(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Random words, after each of the ends and turns of either beside each of the other's."""
    first, second = (side.ravel() for side in np.meshgrid(ENDS, ENDS))
    drawn = np.random.default_rng(0).integers(0, 1 << 32, (2, count - len(first)), np.uint32)
    return np.concatenate([first, drawn[0]]), np.concatenate([second, drawn[1]])


# Float32 holds the angle to 2^-25 of an eighth of a turn.
@pytest.mark.parametrize(("dtype", "within"), [("float32", 1e-6), ("float64", 2e-15)])
def test_pairs_are_those_of_the_equation(dtype, within):
    first, second = words(100_000)
    found = jax.jit(lambda *both: jnp.stack(normal_pair(*both, dtype)))(first, second)
    assert found.dtype == dtype
    # In float32 u is rounded, which matters next to 1, where its logarithm is next to none.
    uniform = ((first >> 1).astype(dtype) + 0.5) * 2.0**-31
    radius, angle = np.sqrt(-2 * np.log(uniform.astype(np.float64))), 2 * np.pi * (second / 2**32)
    expected = radius * np.stack([np.cos(angle), np.sin(angle)])
    np.testing.assert_allclose(found, expected, rtol=0, atol=within * 7)


def test_both_are_normal_and_independent():
    count = 1 << 18
    across, along = np.asarray(jax.jit(lambda *both: jnp.stack(normal_pair(*both, jnp.float32)))(*words(count)), np.float64)
    across, along = across[len(ENDS) ** 2 :], along[len(ENDS) ** 2 :]
    for numbers in (across, along, (across + along) / np.sqrt(2), (across - 2 * along) / np.sqrt(5)):
        assert stats.kstest(numbers, "norm").pvalue > 1e-3
    # A straight line sees no dependence of the squares.
    assert abs(np.corrcoef(across**2, along**2)[0, 1]) < 5 / np.sqrt(count)


def test_the_furthest_out_is_finite():
    furthest = np.asarray(normal_pair(jnp.zeros(1, jnp.uint32), jnp.zeros(1, jnp.uint32), jnp.float32))
    np.testing.assert_allclose(furthest, [[np.sqrt(2 * 32 * np.log(2))], [0]], rtol=1e-6)
