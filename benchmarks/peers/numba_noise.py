"""The noisy law in numba: steps of Euler and Maruyama, each trajectory with random numbers of its own.

Bits: xoroshiro128+, Blackman and Vigna (2021), "Scrambled linear pseudorandom number generators", ACM Trans. Math. Softw. 47, begun by
splitmix64 of the trajectory's number. Normals: the polar method, Marsaglia and Bray (1964), which makes two at a time.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from benchmarks.environment import cores
from benchmarks.noisy_law import DECAY, KICK, STEP, STEPS
from benchmarks.peers.numba_compiled import in_threads, inner

# Whole numbers of 64 bits without a sign: with others numba would go over to float64.
_GAP, _MIX_1, _MIX_2 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_LOW = np.uint64(0xFFFFFFFF)
_16, _24, _27, _28, _30, _31, _32, _37, _40 = (np.uint64(bits) for bits in (16, 24, 27, 28, 30, 31, 32, 37, 40))


def solved(given: NDArray[Any]) -> NDArray[Any]:
    """x at the end, (lanes,), for parameters (4, lanes), in their type."""
    out = np.empty(given.shape[1], given.dtype)
    _ends(given, cores(), out)
    return out


@inner
def _mixed(word: Any) -> Any:
    """The output of splitmix64 in this state."""
    word = (word ^ (word >> _30)) * _MIX_1
    word = (word ^ (word >> _27)) * _MIX_2
    return word ^ (word >> _31)


@inner
def _next(first: Any, second: Any) -> Any:
    """Random bits, and the state after them."""
    bits = first + second
    second ^= first
    return bits, ((first << _24) | (first >> _40)) ^ second ^ (second << _16), (second << _37) | (second >> np.uint64(27))


@in_threads
def _ends(given: Any, shares: int, out: Any) -> None:
    kind, lanes = given.dtype.type, len(out)
    one, scale, keep, kick, unit = kind(1), kind(2.0**-31), kind(1 - DECAY), kind(KICK), kind(math.log(2))
    for share in numba.prange(shares):
        for lane in range(lanes * share // shares, lanes * (share + 1) // shares):
            slope, log_pace = given[2, lane] * (one - one / given[0, lane]) * unit, np.log(kind(STEP) / given[1, lane])
            seed = np.uint64(given[3, lane])
            first, second = _mixed(seed * _GAP + _GAP), _mixed((seed + np.uint64(0x100000000)) * _GAP)
            x, w = kind(0), kind(0)
            for _ in range(STEPS // 2):
                length, one_side, other_side = kind(0), kind(0), kind(0)
                while length >= one or length == kind(0):
                    bits, first, second = _next(first, second)
                    # Two numbers from -1 to 1, half a unit off zero.
                    one_side = (kind(bits >> _32) + kind(0.5)) * scale - one
                    other_side = (kind(bits & _LOW) + kind(0.5)) * scale - one
                    length = one_side * one_side + other_side * other_side
                size = kick * np.sqrt(kind(-2) * np.log(length) / length)
                x += np.exp(w + log_pace + slope * x)
                w = keep * w + size * one_side
                x += np.exp(w + log_pace + slope * x)
                w = keep * w + size * other_side
            out[lane] = x
