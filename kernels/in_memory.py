"""Arrays that are computed once and kept: a compiler that fuses loops computes what several of them use again in each, and of a law that is
half of all arithmetic. (jax 0.10's takes no notice.)

That is so on a CPU. An accelerator's compiler does about the same arithmetic without being told, in one kernel where it would be ten."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from jax import lax

from kernels.platform import platform

_Arrays = TypeVar("_Arrays")
_in_registers = ContextVar("in_registers", default=False)


def in_memory(arrays: _Arrays) -> _Arrays:
    """The same arrays, any tree of them, as something that on a CPU no loop may compute again. No number changes but by rounding."""
    if _in_registers.get() or platform() != "cpu":
        return arrays
    barrier: Any = lax.optimization_barrier
    kept: _Arrays = barrier(arrays)
    return kept


@contextmanager
def in_registers() -> Iterator[None]:
    """While this is traced: a program whose every value is in a register, computed once."""
    before = _in_registers.set(True)
    try:
        yield
    finally:
        _in_registers.reset(before)
