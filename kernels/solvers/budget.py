"""How much work a solver does: the static sizes of its loops."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Budget:
    """`steps` steps or panels, and `nodes` points a panel where the solver has panels.

    Levels up to `direct` doublings are far from every ceiling and may be integrated from the start in panels of `pitch` doublings.
    `tolerance` is the relative error asked of solvers that choose their steps by it, and `furthest` the doublings beyond which nothing is asked.
    """

    steps: int
    nodes: int = 1
    direct: float = 0.0
    pitch: float = 1.0
    tolerance: float = 0.0
    furthest: float = math.inf

    def doubled(self) -> Budget:
        """Twice the steps and twice the points in each, and a hundredth of the error, for the audit."""
        return replace(self, steps=2 * self.steps, nodes=2 * self.nodes if self.nodes > 1 else 1, tolerance=self.tolerance / 100)
