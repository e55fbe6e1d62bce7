"""Growth laws in software alone by SciPy's `solve_ivp` in plain time, a trajectory at a time: a level is an event of the dense solution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from benchmarks.laws import Law
from benchmarks.peers.growth_equations import rates


class ScipyInTime:
    """Dates of a law's levels for parameters (drawn, lanes) with a method of `solve_ivp` and a tolerance."""

    def __init__(self, law: Law, drawn: NDArray[Any], method: str, relative: float) -> None:
        assert law.levels
        self._law, self._method, self._relative, self.lanes = law, method, relative, drawn.shape[1]
        given = law.parameters(drawn.astype(np.float64))
        self._given = [{name: float(row[lane]) for name, row in given.items()} for lane in range(self.lanes)]

    def run(self) -> NDArray[np.float64]:
        """(levels, lanes)."""
        return np.stack([self._solved(given)[0] for given in self._given], axis=1)

    def steps(self) -> float:
        """The mean number of steps that a trajectory takes; SciPy does not tell of those that are taken again."""
        return float(np.mean([self._solved(given)[1] for given in self._given]))

    def _solved(self, given: dict[str, float]) -> tuple[NDArray[np.float64], int]:
        events = [_passing(level) for level in self._law.levels]
        # Where the last is reached it ends, short of the blow-up.
        events[-1].terminal = True  # type: ignore[attr-defined]

        def slope(time: float, state: NDArray[Any]) -> Any:
            return rates(np, self._law, given, time, tuple(state))

        with np.errstate(all="ignore"):
            found = solve_ivp(
                slope, (0.0, given["horizon"]), [0.0], self._method, events=events, rtol=self._relative, atol=self._relative * 1e-2
            )
        return np.array([times[0] if len(times) else np.inf for times in found.t_events]), len(found.t) - 1


def _passing(level: float) -> Callable[[float, NDArray[Any]], float]:
    def above(_: float, state: NDArray[Any]) -> float:
        return float(state[0]) - level

    return above
