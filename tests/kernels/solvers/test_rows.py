"""Rows of the steps of trajectories: entries by their numbers, and how many come before a key."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from kernels.solvers.rows import at_places, count_before, places


@pytest.mark.slow
@pytest.mark.parametrize("steps", [1, 2, 7, 8, 9, 100])
@pytest.mark.parametrize("strictly", [True, False])
def test_entries_before_a_key_are_counted_as_by_looking_at_all(steps: int, strictly: bool) -> None:
    random = np.random.default_rng(steps)
    # Equal entries, rows at the end that are not used, and keys that are entries or beyond either end.
    rows = np.sort(random.integers(0, 20, (steps, 33)).astype(np.float64), axis=0)
    used = steps - steps // 3
    rows[used:] = random.integers(0, 20, (steps - used, 33))
    key = random.integers(-1, 21, (4, 33)).astype(np.float64)
    key[3, ::5] = np.inf
    expected = np.sum(rows[:used] < key[:, None] if strictly else rows[:used] <= key[:, None], axis=1)
    np.testing.assert_array_equal(count_before(jnp.asarray(rows), jnp.int32(used), jnp.asarray(key), strictly), expected)


def test_each_trajectory_has_the_entry_of_its_own_number() -> None:
    rows = np.arange(6.0 * 5).reshape(6, 5)
    number = np.random.default_rng(1).integers(0, 6, (2, 3, 5)).astype(np.int32)
    np.testing.assert_array_equal(at_places(jnp.asarray(rows), places(jnp.asarray(number))), rows[number, np.arange(5)])
