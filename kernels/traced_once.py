"""Functions that are traced once for arrays of a shape and type, however often a program has them.

A law has a hundred exponentials and logarithms, each of some thirty operations in a line. Traced and lowered one by one they are half of
the time before the compiler begins, which then puts the operations where they are called from: no bit of a result changes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import jax

from kernels.in_memory import is_kept
from kernels.platform import platform

_Given = ParamSpec("_Given")
_Found = TypeVar("_Found")


def traced_once(function: Callable[_Given, _Found]) -> Callable[_Given, _Found]:
    """The same function of arrays, or trees of them."""

    # The form that a function takes may depend on what a program is made for, of which JAX knows nothing.
    @functools.partial(jax.jit, static_argnums=0)
    def traced(made_for: tuple[str, bool], *arrays: Any, **named: Any) -> _Found:
        return function(*arrays, **named)

    @functools.wraps(function)
    def called(*arrays: _Given.args, **named: _Given.kwargs) -> _Found:
        found: _Found = traced((platform(), is_kept()), *arrays, **named)
        return found

    return called
