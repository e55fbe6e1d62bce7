"""How much work a solver does: the static sizes of its loops."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Budget:
    """`steps` steps or panels, and `nodes` points a panel where the solver has panels.

    Levels up to `direct` doublings are far from every ceiling and may be integrated from the start, in panels no wider than `pitches`:
    pairs of a level and the doublings allowed there.
    `tolerance` is the relative error asked of solvers that choose their steps by it, and `furthest` the doublings beyond which nothing
    is asked. `refinements` says how often the grid of a random path is halved; the path stays the same. `compact` programs have loops
    where others are written out: they compile sooner and run slower.
    """

    steps: int
    nodes: int = 1
    direct: float = 0.0
    pitches: tuple[tuple[float, float], ...] = ()
    tolerance: float = 0.0
    furthest: float = math.inf
    refinements: int = 0
    compact: bool = False

    def doubled(self) -> Budget:
        """The work of the audit: twice the steps and twice the points in each; a hundredth of the error where steps are chosen by it.

        Few trajectories are audited, so the program is compact. A random path keeps its grid, by which it is defined: what is judged is
        the solver on it.
        """
        if self.tolerance:
            return replace(self, steps=6 * self.steps, tolerance=self.tolerance / 100)
        return replace(self, steps=2 * self.steps, nodes=2 * self.nodes if self.nodes > 1 else 1, compact=True)
