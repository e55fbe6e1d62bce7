"""A function is traced once for arrays of a shape and type, in each form that programs have."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from kernels.in_memory import in_registers, is_kept
from kernels.traced_once import traced_once


def test_a_function_is_traced_once_for_each_form_and_shape():
    traced = []

    @traced_once
    def doubled(numbers, more=None):
        traced.append(is_kept())
        return 2 * numbers if more is None else 2 * numbers + more

    def program(numbers):
        return doubled(doubled(numbers)) + doubled(numbers) + doubled(numbers, more=numbers)

    found = jax.jit(program)(jnp.arange(4.0))
    np.testing.assert_array_equal(found, 9 * np.arange(4.0))
    assert traced == [True, True]
    jax.jit(program)(jnp.arange(5.0))
    assert len(traced) == 4
    # What is kept in one program is not in another: the form is no longer the same.
    with in_registers():
        jax.make_jaxpr(lambda numbers: program(numbers))(jnp.arange(4.0))
    assert traced[4:] == [False, False]
    jax.make_jaxpr(lambda numbers: program(numbers))(jnp.arange(4.0))
    assert len(traced) == 6
