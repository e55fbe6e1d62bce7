"""Loops of a few rounds whose number is known. A compiler for a CPU need see only one of them, and takes so much less time; for each round
of a loop an accelerator launches kernels, between which its lanes go to memory and back, so that it is given all rounds written out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from jax import lax

from kernels.platform import platform

_Carry = TypeVar("_Carry")


def few_rounds(count: int, one: Callable[[Any, _Carry], _Carry], begin: _Carry) -> _Carry:
    """`begin` after `one` of 0, …, `count` − 1: a tree of arrays whose shapes and types stay as they are."""
    found: _Carry = lax.fori_loop(0, count, one, begin, unroll=platform() != "cpu")
    return found
