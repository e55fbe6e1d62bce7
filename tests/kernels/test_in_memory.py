"""What is kept in memory keeps its bits, and two arrays that are kept together are computed by one loop."""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kernels.in_memory import in_memory, in_registers, kept_together
from kernels.platform import made_for
from kernels.sampling.indexed import threefry

LANES = 256


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint32"])
def test_two_that_are_kept_together_have_the_bits_they_had(dtype):
    # Bits of every kind of float among them, infinities and both kinds of NaN.
    bits = np.random.default_rng(0).integers(0, 1 << 32, (2, 4096), np.uint32)
    bits[:, :4] = [0x7F800000, 0x7F800001, 0x7FC00000, 0x80000000]
    first, second = bits.view("float64") if dtype == "float64" else bits.view(dtype)
    kept = jax.jit(kept_together)(first, second)
    for before, after in zip((first, second), kept, strict=True):
        assert after.dtype == dtype
        np.testing.assert_array_equal(np.asarray(after).view(np.uint32), before.view(np.uint32))


@pytest.mark.skipif(jax.__version_info__ < (0, 11), reason="takes no notice of barriers")
def test_what_two_are_made_of_is_computed_once():
    counter = jnp.arange(LANES, dtype=jnp.uint32)

    def rounds(keep):
        program = jax.jit(lambda counter: jnp.bitwise_xor(*keep(threefry((counter, counter), counter, counter)))).lower(counter).compile()
        return len(re.findall(rf"u32\[{LANES}\]\S* xor\(", program.as_text()))

    once, twice = rounds(lambda words: kept_together(*words)), rounds(in_memory)
    assert once == pytest.approx(20, abs=3)
    assert twice == pytest.approx(2 * once, abs=4)


def test_programs_that_keep_nothing_are_as_they_were():
    def jaxpr():
        return str(jax.make_jaxpr(lambda one, other: kept_together(one, other))(jnp.ones(2), jnp.ones(2)))

    assert "complex" in jaxpr()
    with made_for("tpu"):
        assert "complex" not in jaxpr()
    with in_registers():
        assert "complex" not in jaxpr()
