"""Lorenz's equations of `simd_lorenz.c`: compiled where there is a C compiler, and called in one thread a core."""

from __future__ import annotations

import ctypes
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.lorenz import BETA, SIGMA, STEP, STEPS
from benchmarks.peers.c_library import library
from benchmarks.peers.simd_laws import Call, pointer

_WIDTH = 128
_REAL = {"float32": "float", "float64": "double"}


@cache
def _lorenz(precision: str) -> Any:
    defined = {"REAL": _REAL[precision], "SIGMA": SIGMA, "BETA": BETA, "STEP": STEP}
    return library(Path(__file__).with_suffix(".c"), defined).lorenz


class SimdLorenz:
    """The states at the end for ρ, (lanes,), in its type; lanes beyond whole blocks of every thread are left out."""

    def __init__(self, rho: NDArray[Any], threads: int) -> None:
        share = len(rho) // (threads * _WIDTH) * _WIDTH
        self.lanes, self._pool = share * threads, ThreadPoolExecutor(threads)
        function = _lorenz(rho.dtype.name)
        self._calls = []
        for thread in range(threads):
            given, out = rho[thread * share : (thread + 1) * share].copy(), np.empty((3, share), rho.dtype)
            self._calls.append(Call(function, (given,), out, ctypes.c_long(share), pointer(given), STEPS, pointer(out)))

    def run(self) -> NDArray[Any]:
        """(3, lanes)."""
        return np.concatenate(list(self._pool.map(Call.__call__, self._calls)), axis=1)
