"""How the peers in numba are compiled: loops over trajectories in one thread a core, mathematics reordered at will that knows infinity."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

Function = TypeVar("Function", bound=Callable[..., Any])

# All of fast mathematics but the promise that nothing is infinite or NaN: a date that is not reached is.
_FAST = frozenset({"reassoc", "contract", "arcp", "nsz", "afn"})


def inner(function: Function) -> Function:
    """A function that compiled functions call."""
    return _compiled(function, parallel=False)


def in_threads(function: Function) -> Function:
    """A function whose `prange` is shared out among threads, compiled when it is first called."""
    return _compiled(function, parallel=True)


def _compiled(function: Function, parallel: bool) -> Function:
    # Some versions of numba say what they give, which is no function to a type checker.
    compiler: Any = numba.njit(parallel=parallel, fastmath=set(_FAST))
    compiled: Function = compiler(function)
    return compiled
