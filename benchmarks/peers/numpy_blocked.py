"""Davidson & Houlden's (2025) base recursion and its windows in plain NumPy, vectorised over a block of lanes: a peer of the JAX kernel.

What one writes first: one doubling a step over the whole block until no lane goes on, infinity in the knots that a lane does not reach, and
for every window the differences of knots so many doublings apart. The equations are those of `numpy_davidson_houlden.py`, the other peer,
which shows what sorting lanes, panels and arithmetic in place make of it.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import DTypeLike

from benchmarks.peers.numpy_davidson_houlden import DOUBLINGS_A_YEAR, HORIZON, WINDOWS, Flags, Floats

# The best of 256 to 65,536 lanes, in float32 and in float64, on a core with AVX-512 and 1 MiB of L2 cache: a row of 64 KiB.
_BYTES_OF_A_ROW = 1 << 16


def windows(initial_speedup: Floats, initial_returns: Floats, distance: Floats, exponent: Floats, dtype: DTypeLike = np.float32) -> Flags:
    """Whether each trajectory passes each of WINDOWS, shape (4, lanes), computed in `dtype`; all arguments have shape (lanes,)."""
    parameters = [np.asarray(values, dtype=dtype) for values in (initial_speedup, initial_returns, distance, exponent)]
    block = _BYTES_OF_A_ROW // np.dtype(dtype).itemsize
    flags = np.zeros((len(WINDOWS), len(parameters[0])), np.bool_)
    for start in range(0, flags.shape[1], block):
        lanes = slice(start, start + block)
        times = knots(*(values[lanes] for values in parameters))
        with np.errstate(invalid="ignore"):  # infinity - infinity, which is in no window
            for row, (months, doublings) in enumerate(WINDOWS):
                flags[row, lanes] = np.any(times[doublings:] - times[:-doublings] < months, axis=0)
    return flags


def knots(initial_speedup: Floats, initial_returns: Floats, distance: Floats, exponent: Floats) -> Floats:
    """Months at which each doubling is complete, shape (doublings + 1, lanes), the start included; infinite where it never is.

    All arguments have shape (lanes,) and one type, that of the result. A doubling begins before the horizon and below the ceiling only.
    """
    ceiling = distance * distance.dtype.type(DOUBLINGS_A_YEAR)
    scale = exponent * ceiling / initial_returns
    steps = math.ceil(ceiling.max(initial=0))
    times = np.full((steps + 1, len(ceiling)), np.inf, ceiling.dtype)
    times[0] = 0.0
    step = 3.0 / initial_speedup
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):  # lanes that have ended go on to numbers that nothing reads
        for made in range(steps):
            alive = (times[made] < HORIZON) & (made < ceiling)
            if not alive.any():
                break
            times[made + 1] = np.where(alive, times[made] + step, np.inf)
            step = step * np.exp2(scale / (ceiling - (made + 1)) - exponent)
    return times
