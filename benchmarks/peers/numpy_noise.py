"""The noisy law in NumPy: steps of Euler and Maruyama of blocks of trajectories in the cache, in one thread a core, in place."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.environment import cores
from benchmarks.noisy_law import DECAY, KICK, STEP, STEPS

_WIDTH = 8192


def solved(given: NDArray[Any]) -> NDArray[Any]:
    """x at the end, (lanes,), for parameters (4, lanes), in their type."""
    begins = range(0, given.shape[1], _WIDTH)
    with ThreadPoolExecutor(cores()) as pool:
        return np.concatenate(list(pool.map(_ends, [given[:, begin : begin + _WIDTH] for begin in begins])))


def _ends(given: NDArray[Any]) -> NDArray[Any]:
    """The same of one block."""
    returns, first, exponent, number = given
    kind = given.dtype
    random = np.random.Generator(np.random.SFC64(int(number[0])))
    slope, log_pace = exponent * (1 - 1 / returns) * kind.type(math.log(2)), np.log(STEP / first)
    x: NDArray[Any] = np.zeros_like(first)
    w, pace = np.zeros_like(first), np.empty_like(first)
    for _ in range(STEPS):
        np.multiply(slope, x, out=pace)
        np.add(pace, log_pace, out=pace)
        np.add(pace, w, out=pace)
        np.exp(pace, out=pace)
        np.add(x, pace, out=x)
        random.standard_normal(dtype=kind, out=pace)
        np.multiply(pace, KICK, out=pace)
        np.multiply(w, 1 - DECAY, out=w)
        np.add(w, pace, out=w)
    return x
