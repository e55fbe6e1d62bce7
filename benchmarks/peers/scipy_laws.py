"""Growth laws by SciPy's `solve_ivp`, a trajectory at a time: a peer, and at a tolerance of 1e-13 the reference for all."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from benchmarks.laws import Law
from benchmarks.peers.growth_equations import doubling_time, rates, start

_EXACT = 1e-13


class ScipyLaw:
    """Answers for parameters (drawn, lanes) with a method of `solve_ivp` and a tolerance."""

    def __init__(self, law: Law, drawn: NDArray[Any], method: str, relative: float) -> None:
        self._law, self._method, self._relative, self.lanes = law, method, relative, drawn.shape[1]
        given = law.parameters(drawn.astype(np.float64))
        self._given = [{name: float(row[lane]) for name, row in given.items()} for lane in range(self.lanes)]

    def run(self) -> NDArray[np.float64]:
        """(questions, lanes)."""
        return np.stack([self._solved(given) for given in self._given], axis=1)

    def steps(self) -> float:
        """The mean number of steps that a trajectory takes; SciPy does not tell of those that are taken again."""
        return float(np.mean([len(self._solution(given, dense_output=True).sol.ts) - 1 for given in self._given]))

    def _solved(self, given: dict[str, float]) -> NDArray[np.float64]:
        values = np.asarray(self._solution(given).y[0])
        return np.where(values > given["horizon"], np.inf, values) if self._law.levels else values

    def _solution(self, given: dict[str, float], dense_output: bool = False) -> Any:
        law = self._law
        asked = law.levels or law.times
        absolute = self._relative * (1.0 if self._relative == _EXACT else 1e-2)
        begin = [0.0] if law.levels else list(start(np, law, given))

        def slope(at: float, state: NDArray[Any]) -> Any:
            return [doubling_time(np, law, given, at)] if law.levels else rates(np, law, given, at, tuple(state))

        # A trial point may lie where nothing is finite; the step is then taken again.
        with np.errstate(all="ignore"):
            return solve_ivp(
                slope,
                (0.0, asked[-1]),
                begin,
                method=self._method,
                t_eval=asked,
                dense_output=dense_output,
                rtol=self._relative,
                atol=absolute,
            )


def reference(law: Law, drawn: NDArray[Any]) -> NDArray[np.float64]:
    """The answers to about twelve digits, (questions, lanes)."""
    return ScipyLaw(law, drawn, "DOP853", _EXACT).run()
