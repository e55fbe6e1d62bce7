"""The multiply-adds of `multiply_adds.c`: compiled where there is a C compiler, and called in one thread a core."""

from __future__ import annotations

import ctypes
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.peers.c_library import library

_FLAGS = ("-O3", "-march=native", "-ffp-contract=fast")
"""Each is one operation, in the order written: they are what is counted."""
_KINDS: dict[str, tuple[str, Any]] = {"float32": ("float", ctypes.c_float), "float64": ("double", ctypes.c_double)}


@cache
def _library(precision: str) -> ctypes.CDLL:
    real, kind = _KINDS[precision]
    made = library(Path(__file__).with_suffix(".c"), {"REAL": real}, _FLAGS)
    made.multiply_adds.restype = kind
    made.multiply_adds.argtypes = [ctypes.c_long, kind, kind]
    made.multiply_adds_a_pass.restype = ctypes.c_long
    return made


class MultiplyAdds:
    """So many passes in each of some threads. `work` are their multiply-adds in all."""

    def __init__(self, precision: str, passes: int, threads: int) -> None:
        self._library, self._passes, self._threads = _library(precision), passes, threads
        self._pool = ThreadPoolExecutor(threads)
        self.work = float(self._library.multiply_adds_a_pass()) * passes * threads

    def __call__(self) -> list[float]:
        """What each thread ends with: the sum of its numbers."""
        return list(self._pool.map(lambda _: self._library.multiply_adds(self._passes, 0.5, 0.25), range(self._threads)))
