"""Davidson & Houlden's (2025) base recursion and its four windows in numba: a peer of the JAX kernel.

Each trajectory is a loop of its own, which ends at the horizon, at the ceiling, or when every window is passed: no lane waits for another.
The equations are those of `numpy_davidson_houlden.py`.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
from numpy.typing import DTypeLike

from benchmarks.environment import cores
from benchmarks.peers.numba_compiled import in_threads
from benchmarks.peers.numpy_davidson_houlden import DOUBLINGS_A_YEAR, HORIZON, WINDOWS, Flags, Floats


def windows(initial_speedup: Floats, initial_returns: Floats, distance: Floats, exponent: Floats, dtype: DTypeLike = np.float32) -> Flags:
    """Whether each trajectory passes each of WINDOWS, shape (4, lanes), computed in `dtype`; all arguments have shape (lanes,)."""
    speedup, returns, years, power = (np.asarray(values, dtype=dtype) for values in (initial_speedup, initial_returns, distance, exponent))
    flags = np.zeros((len(WINDOWS), len(speedup)), np.bool_)
    _passed(speedup, returns, years, power, math.ceil(years.max(initial=0) * DOUBLINGS_A_YEAR), cores(), flags)
    return flags


(_MONTHS_1, _WIDE_1), (_MONTHS_2, _WIDE_2), (_MONTHS_3, _WIDE_3), (_MONTHS_4, _WIDE_4) = WINDOWS


@in_threads
def _passed(speedup: Any, returns: Any, distance: Any, exponent: Any, most: int, shares: int, flags: Any) -> None:
    """`flags` of every lane, (4, lanes), in so many shares; no lane has more than `most` doublings."""
    kind, lanes = speedup.dtype.type, len(speedup)
    for share in numba.prange(shares):
        times = np.empty(most + 1, speedup.dtype)
        for lane in range(lanes * share // shares, lanes * (share + 1) // shares):
            left = distance[lane] * kind(DOUBLINGS_A_YEAR)
            scale = exponent[lane] * left / returns[lane]
            step, time, made = kind(3) / speedup[lane], kind(0), 0
            times[0] = time
            first = second = third = fourth = False
            while time < kind(HORIZON) and left > 0 and not (first and second and third and fourth):
                time += step
                made += 1
                times[made] = time
                left -= kind(1)
                # Infinite, or of no meaning, after the last doubling, when nothing reads it.
                step *= np.exp2(scale / left - exponent[lane])
                if made >= _WIDE_1:
                    first = first or time - times[made - _WIDE_1] < _MONTHS_1
                if made >= _WIDE_2:
                    second = second or time - times[made - _WIDE_2] < _MONTHS_2
                if made >= _WIDE_3:
                    third = third or time - times[made - _WIDE_3] < _MONTHS_3
                if made >= _WIDE_4:
                    fourth = fourth or time - times[made - _WIDE_4] < _MONTHS_4
            flags[0, lane], flags[1, lane], flags[2, lane], flags[3, lane] = first, second, third, fourth
