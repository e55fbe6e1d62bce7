"""Arrays that are computed once and kept: a compiler that fuses loops computes what several of them use again in each, and of a law that is
half of all arithmetic. (jax 0.10's takes no notice.)"""

from __future__ import annotations

from typing import Any, TypeVar

from jax import lax

_Arrays = TypeVar("_Arrays")


def in_memory(arrays: _Arrays) -> _Arrays:
    """The same arrays, any tree of them, as something that no loop may compute again. No number changes but by rounding."""
    barrier: Any = lax.optimization_barrier
    kept: _Arrays = barrier(arrays)
    return kept
