"""Arrays that are computed once and kept: a compiler that fuses loops computes what several of them use again in each, and of a law that is
half of all arithmetic. (jax 0.10's takes no notice.)

That is so on a CPU. An accelerator's compiler does about the same arithmetic without being told, in one kernel where it would be ten."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax import lax

from kernels.platform import platform

_Arrays = TypeVar("_Arrays")
_in_registers = ContextVar("in_registers", default=False)


def is_kept() -> bool:
    """Whether arrays are kept in the program that is traced."""
    return platform() == "cpu" and not _in_registers.get()


def in_memory(arrays: _Arrays) -> _Arrays:
    """The same arrays, any tree of them, as something that on a CPU no loop may compute again. No number changes but by rounding."""
    if not is_kept():
        return arrays
    barrier: Any = lax.optimization_barrier
    kept: _Arrays = barrier(arrays)
    return kept


def kept_together(first: jax.Array, second: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The same two arrays, alike in shape and type (float32, float64 or uint32), computed in one loop and kept in memory on a CPU.

    `in_memory` keeps each array by a loop of its own, so that what two are both made of is computed twice. As real and imaginary part they
    are one array, whose loop computes both.
    """
    if not is_kept():
        return first, second
    if first.dtype == jnp.uint32:
        first, second = kept_together(*(lax.bitcast_convert_type(words, jnp.float32) for words in (first, second)))
        return lax.bitcast_convert_type(first, jnp.uint32), lax.bitcast_convert_type(second, jnp.uint32)
    both = in_memory(lax.complex(first, second))
    return lax.real(both), lax.imag(both)


@contextmanager
def in_registers() -> Iterator[None]:
    """While this is traced: a program whose every value is in a register, computed once."""
    before = _in_registers.set(True)
    try:
        yield
    finally:
        _in_registers.reset(before)
