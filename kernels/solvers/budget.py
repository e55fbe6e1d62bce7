"""How much work a solver does: the static sizes of its loops."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Budget:
    """`steps` steps or panels, and `nodes` points a panel where the solver has panels.

    Levels up to `direct` doublings are far from every ceiling and may be integrated from the start in panels of `pitch` doublings.
    """

    steps: int
    nodes: int = 1
    direct: float = 0.0
    pitch: float = 1.0

    def doubled(self) -> Budget:
        """Twice the steps and twice the points in each, for the audit."""
        return replace(self, steps=2 * self.steps, nodes=2 * self.nodes if self.nodes > 1 else 1)
