"""The noisy law of `simd_noise.c`: compiled where there is a C compiler, and called in one thread a core."""

from __future__ import annotations

import ctypes
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.noisy_law import DECAY, KICK, STEP, STEPS
from benchmarks.peers.c_library import library
from benchmarks.peers.simd_laws import Call, pointer

_WIDTH = 128
_KINDS = {
    "float32": {"REAL": "float", "EXP": "expf", "LOG": "logf", "COS": "cosf", "SQRT": "sqrtf", "NEAREST": "0.99999994f"},
    "float64": {"REAL": "double", "EXP": "exp", "LOG": "log", "COS": "cos", "SQRT": "sqrt", "NEAREST": "0.9999999999999999"},
}


@cache
def _noise(precision: str) -> Any:
    return library(Path(__file__).with_suffix(".c"), {**_KINDS[precision], "STEP": STEP, "DECAY": DECAY, "KICK": KICK}).noise


class SimdNoise:
    """x at the end for parameters (4, lanes), in their type; lanes beyond whole blocks of every thread are left out."""

    def __init__(self, given: NDArray[Any], threads: int) -> None:
        share = given.shape[1] // (threads * _WIDTH) * _WIDTH
        self.lanes, self._pool = share * threads, ThreadPoolExecutor(threads)
        function = _noise(given.dtype.name)
        self._calls = []
        for thread in range(threads):
            rows, out = given[:, thread * share : (thread + 1) * share].copy(), np.empty(share, given.dtype)
            self._calls.append(Call(function, (rows,), out, ctypes.c_long(share), *(pointer(row) for row in rows), STEPS, pointer(out)))

    def run(self) -> NDArray[Any]:
        """(lanes,)."""
        return np.concatenate(list(self._pool.map(Call.__call__, self._calls)))
