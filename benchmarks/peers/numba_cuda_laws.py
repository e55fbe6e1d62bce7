"""The recursion and the labour law in numba-cuda, one thread a trajectory: what one writes in Python for a CUDA device.

Parameters lie on the device before a call and answers stay there after it; a call launches one kernel and waits for it. Works in numba's
simulator too (NUMBA_ENABLE_CUDASIM=1), a thread at a time. The equations are those of `cuda_laws.cu`.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numba.cuda
import numpy as np
from numpy.typing import NDArray

from benchmarks.laws import Law
from benchmarks.peers.numpy_davidson_houlden import DOUBLINGS_A_YEAR, HORIZON
from benchmarks.peers.quadrature_points import direct_points
from kernels.solvers.budget import Budget

LAWS = ("labour, linear ceiling",)
"""The growth laws that are written here."""

cuda: Any = numba.cuda
_THREADS = 128


def missing() -> str | None:
    """What this peer lacks here, or None."""
    return None if cuda.is_available() else "no CUDA device"


@cache
def recursion(precision: str, fast: bool) -> Any:
    """The kernel of the recursion; `fast` lets the compiler use the device's own approximations."""
    real: Any = np.dtype(precision).type
    # Constants of the working type: a number that is written in the kernel would be float64, and all that it meets.
    one, horizon, first, doublings, log_2, never = (real(value) for value in (1, HORIZON, 3, DOUBLINGS_A_YEAR, math.log(2), math.inf))

    @cuda.jit(fastmath=fast)  # type: ignore[untyped-decorator]
    def kernel(drawn: Any, early: int, late: int, out: Any) -> None:
        lane = cuda.grid(1)
        if lane >= out.shape[1]:
            return
        ceiling, exponent = doublings * drawn[2, lane], drawn[3, lane] * log_2
        rise, log_next = exponent * ceiling / drawn[1, lane], math.log(first / drawn[0, lane])
        time = made = one - one
        step, at_early = 0, never
        while step < late and time < horizon and made < ceiling:
            time += math.exp(log_next)
            made += one
            step += 1
            log_next += rise / (ceiling - made) - exponent
            if step == early:
                at_early = time
        out[0, lane] = at_early if at_early <= horizon else never
        out[1, lane] = time if step == late and time <= horizon else never

    return kernel


@cache
def labour(precision: str, fast: bool) -> Any:
    """The kernel of the labour law."""
    real: Any = np.dtype(precision).type
    one, log_2, never = (real(value) for value in (1, math.log(2), math.inf))

    @cuda.jit(fastmath=fast)  # type: ignore[untyped-decorator]
    def kernel(drawn: Any, horizons: Any, begins: Any, points: Any, weights: Any, out: Any) -> None:
        lane = cuda.grid(1)
        if lane >= out.shape[1]:
            return
        horizon, parallel, ceiling = horizons[0], drawn[2, lane], drawn[3, lane]
        first, steepness = math.log(drawn[1, lane]), parallel / drawn[0, lane] * ceiling * log_2
        slope, per, time = parallel * log_2, one / ceiling, one - one
        for question in range(out.shape[0]):
            for point in range(begins[question], begins[question + 1]):
                x = points[point]
                time += weights[point] * math.exp(first - slope * x - steepness * math.log(one - x * per))
            out[question, lane] = time if time <= horizon else never

    return kernel


class _Peer:
    """Answers of one kernel. `run` launches it and waits; `answers` copies them here, (questions, lanes)."""

    def __init__(self, kernel: Any, drawn: NDArray[Any], questions: int, *others: Any) -> None:
        self.lanes = drawn.shape[1]
        self._out = cuda.device_array((questions, self.lanes), drawn.dtype)
        held = (cuda.to_device(row) if isinstance(row, np.ndarray) else row for row in (np.ascontiguousarray(drawn), *others))
        self._arguments = (*held, self._out)
        self._kernel = kernel[-(-self.lanes // _THREADS), _THREADS]

    def run(self) -> None:
        self._kernel(*self._arguments)
        cuda.synchronize()

    def answers(self) -> NDArray[Any]:
        self.run()
        found: NDArray[Any] = self._out.copy_to_host()
        return found


class NumbaDates(_Peer):
    """Dates of two doublings in the recursion for parameters (4, lanes) in the order of the study; infinite if not within the horizon."""

    def __init__(self, drawn: NDArray[Any], precision: str, early: int, late: int, fast: bool) -> None:
        super().__init__(recursion(precision, fast), drawn.astype(precision), 2, early, late)


class NumbaLaw(_Peer):
    """The labour law for parameters (drawn, lanes), at the points of the kernels' `budget`."""

    def __init__(self, law: Law, drawn: NDArray[Any], precision: str, budget: Budget, fast: bool) -> None:
        kind, given = np.dtype(precision), law.parameters(drawn)
        names = ("returns", "initial_doubling_time", "parallel_exponent", "distance_to_limits")
        rows = np.stack([given[name] for name in names]).astype(kind)
        super().__init__(
            labour(precision, fast), rows, len(law.levels), given["horizon"][:1].astype(kind), *direct_points(law.levels, budget, kind)
        )
