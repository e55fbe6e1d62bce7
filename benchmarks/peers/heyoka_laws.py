"""Growth laws in software alone by heyoka's batch mode: Taylor steps of several trajectories in one vector, float64, in a thread a core."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import heyoka
import numpy as np
from numpy.typing import NDArray

from benchmarks.laws import Law
from benchmarks.peers.growth_equations import log_pace


class _Functions:
    """What the equations ask of an array library."""

    exp, log = staticmethod(heyoka.exp), staticmethod(heyoka.log)


class HeyokaLaw:
    """Dates of a law's levels for parameters (drawn, lanes), with steps of this tolerance."""

    def __init__(self, law: Law, drawn: NDArray[Any], tolerance: float, threads: int) -> None:
        assert law.levels
        self._law, self._width = law, heyoka.recommended_simd_size(fp_type=float)
        names = [name for name, _ in law.drawn]
        given: dict[str, Any] = {name: float(row[0]) for name, row in law.parameters(drawn[:, :1]).items()}
        given |= {name: heyoka.par[index] for index, name in enumerate(names)}
        software = heyoka.make_vars("software")
        slope = heyoka.exp(-log_pace(_Functions, law, given, heyoka.time, 0.0))
        self._horizon = float(given["horizon"])
        first = heyoka.taylor_adaptive_batch(
            [(software, slope)], np.zeros((1, self._width)), pars=np.ones((len(names), self._width)), tol=tolerance, compact_mode=False
        )
        blocks = drawn.shape[1] // (threads * self._width)
        self.lanes = blocks * threads * self._width
        shares = drawn[:, : self.lanes].reshape(len(names), threads, blocks, self._width)
        self._shares = [shares[:, index].swapaxes(0, 1).copy() for index in range(threads)]
        self._integrators = [first, *(first.__copy__() for _ in range(threads - 1))]
        self._pool = ThreadPoolExecutor(threads)
        self._grid = np.tile(np.array([0.0, *law.levels])[:, None], (1, self._width))

    def run(self) -> NDArray[Any]:
        """(levels, lanes)."""
        found = np.concatenate(list(self._pool.map(self._solved, self._integrators, self._shares)), axis=1)
        return np.where(found > self._horizon, np.inf, found)

    def _solved(self, integrator: Any, share: NDArray[Any]) -> NDArray[Any]:
        rows = []
        for parameters in share:
            integrator.set_time(0.0)
            integrator.state[:] = 0
            integrator.pars[:] = parameters
            rows.append(integrator.propagate_grid(self._grid)[1][1:, 0])
        return np.concatenate(rows, axis=1)
