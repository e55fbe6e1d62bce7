"""Loops of a few rounds: one round for a CPU's compiler, all written out for that of an accelerator, with the same outcome."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kernels.platform import made_for
from kernels.solvers.rounds import few_rounds


@pytest.mark.parametrize(("platform", "loops"), [("cpu", 1), ("gpu", 0), ("tpu", 0)])
def test_an_accelerator_is_given_no_loop(platform: Any, loops: int) -> None:
    def five(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        return few_rounds(5, lambda index, held: (held[0] * 2 + index, held[1] + held[0]), (x, jnp.zeros_like(x)))

    with made_for(platform):
        lowered = jax.jit(five).lower(jnp.arange(4.0))
    assert lowered.as_text().count("stablehlo.while") == loops
    # x → 2x + index, five times: 32x + (0·16 + 1·8 + 2·4 + 3·2 + 4).
    last, added = lowered.compile()(jnp.arange(4.0))
    np.testing.assert_array_equal(last, 32 * np.arange(4.0) + 26)
    # Sums of what there was before each: x, 2x, 4x + 1, 8x + 4, 16x + 11.
    np.testing.assert_array_equal(added, 31 * np.arange(4.0) + 16)
