"""How much work a solver does: the static sizes of its loops."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple


class Place(NamedTuple):
    """A number of doublings, and what bounds a panel there in every trajectory: the steepest that ln T is up to there (a
    doubling⁻¹), and the distances in doublings to the nearest singularity ahead, and to the nearest off the real line."""

    level: float
    steepest: float
    ahead: float
    aside: float = math.inf


@dataclass(frozen=True)
class Budget:
    """`steps` steps or panels, and `nodes` points a panel where the solver has panels.

    `accuracy` is the relative error that a panel may have. Levels up to `direct` doublings are far from every ceiling and may be integrated
    from the start, in panels whose widths and points follow from the `places`; in an audit, with `finer` times the points.
    `tolerance` is the relative error asked of solvers that choose their steps by it, and `furthest` the doublings beyond which nothing is
    asked. `refinements` says how often the grid of a random path is halved; the path stays the same. `compact` programs have loops where
    others are written out, and loops that end with the slowest trajectory: on a CPU they compile sooner and are as fast or faster; an
    accelerator keeps what is written out in registers, and does not ask after every step whether to go on. `uneven` says that each
    trajectory ends after a number of steps of its own, `steps` at most, though it does not choose them. `one_kernel` asks solvers that
    choose their steps for the form in which a GPU takes all of them in one kernel.
    """

    steps: int
    nodes: int = 1
    accuracy: float = 1e-15
    direct: float = 0.0
    places: tuple[Place, ...] = ()
    finer: int = 1
    tolerance: float = 0.0
    furthest: float = math.inf
    refinements: int = 0
    compact: bool = True
    uneven: bool = False
    one_kernel: bool = False

    def for_audit(self) -> Budget:
        """The work of the audit: twice the steps and twice the points in each; a hundredth of the error where steps are chosen by it.

        Few trajectories are audited, so the program is compact, unless its loops would then have no known end. A random path keeps its
        grid, by which it is defined: what is judged is the solver on it.
        """
        if self.tolerance:
            return replace(self, steps=6 * self.steps, tolerance=self.tolerance / 100, one_kernel=False)
        nodes = 2 * self.nodes if self.nodes > 1 else 1
        return replace(self, steps=2 * self.steps, nodes=nodes, finer=2 * self.finer, compact=self.compact or not self.uneven)
