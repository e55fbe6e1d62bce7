"""One trajectory of a cube computed again, from the cube alone: its parameters, its outcomes bit for bit, and its path.

The index counts trajectories cell by cell and draw by draw, as the arrays of draws do: index = cell · draws + draw. The block that holds
the draw is run by the program of the sweep, so that what comes out has the bits of the cube.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kernels.compiler import compiled
from kernels.program import Keep, TileProgram, TileShape
from kernels.sampling import seed_key
from sweep import ledger
from sweep.errors import SpecError
from sweep.execute.compilation import use_compilation_cache
from sweep.places import Place
from sweep.plan import Plan, Tile
from sweep.prepare import plan_of, spec_of
from sweep.spec import Spec
from sweep.store import CubeStore

_TIMES = 97
"""Points of the path that is shown."""
_LANES = 256
"""Trajectories that the path is computed with: a lone one would be compiled to other code."""


@dataclass(frozen=True)
class Replayed:
    """A trajectory: `parameters` and `outcomes` by name; `kept` what the cube holds of the outcomes, nothing where it keeps no draws, and
    None where the tile of this one is not finished."""

    index: int
    spec: Spec
    cell: dict[str, float]
    draw: int
    parameters: dict[str, float]
    outcomes: dict[str, float]
    kept: dict[str, float] | None
    times: np.ndarray
    """Months, (points,)."""
    doublings: np.ndarray
    """Doublings of software since the start, (points,)."""

    @property
    def differing(self) -> list[str]:
        """The outcomes whose bits are not those of the cube."""
        return [
            name
            for name, value in (self.kept or {}).items()
            if np.float64(value).tobytes() != np.float64(self.outcomes[name]).tobytes()
            and not (np.isnan(value) and np.isnan(self.outcomes[name]))
        ]


def replay(place: Place, index: int, config: Spec | None = None) -> Replayed:
    """Compute one trajectory again. Raises SpecError for an index beyond the sweep, CubeError where there is no cube."""
    use_compilation_cache()
    spec = spec_of(place, config)
    plan = plan_of(spec, place)
    if not 0 <= index < plan.trajectories:
        problem = f"the sweep has {plan.trajectories:,} trajectories"
        raise SpecError(place.address, "index", index, problem, f"give one from 0 to {plan.trajectories - 1}")
    cell_number, draw = divmod(index, spec.draws)
    place_of_cell = tuple(int(each) for each in np.unravel_index(cell_number, plan.axis_lengths)) if spec.axes else ()
    values = plan.cell_values(tuple((each, each + 1) for each in place_of_cell))
    block, lane = divmod(draw, spec.block)
    program = TileProgram(plan.study, TileShape(cells=1, blocks=1), Keep(histograms=False, draws=True, times=(), every=1))
    arrays = {name: np.asarray(array) for name, array in program(values, block, 1, spec.draws, seed_key(spec.seed)).items()}
    parameters = _parameters(plan, values[0], draw)
    times = np.linspace(0.0, parameters["horizon"], _TIMES)
    return Replayed(
        index=index,
        spec=spec,
        cell={name: float(value) for name, value in zip(spec.axes, values[0], strict=True)},
        draw=draw,
        parameters=parameters,
        outcomes={label.name: arrays[f"outcome/{label.name}"][0, lane].item() for label in plan.study.labels},
        kept=_kept(plan, place, place_of_cell, draw),
        times=times,
        doublings=_path(plan, values[0], draw, times),
    )


def _lanes(plan: Plan, cell: np.ndarray, draw: int) -> dict[str, Any]:
    draws = jnp.full(_LANES, draw, jnp.uint32)
    return plan.study.parameters(jnp.asarray(seed_key(plan.spec.seed)), draws, jnp.asarray(cell, plan.study.dtype))


def _parameters(plan: Plan, cell: np.ndarray, draw: int) -> dict[str, float]:
    # One program: operation by operation, each would be compiled.
    drawn = compiled(lambda: _lanes(plan, cell, draw))()
    return {parameter.name: drawn[parameter.name][0].item() for parameter in plan.study.model.parameters}


def _path(plan: Plan, cell: np.ndarray, draw: int, times: np.ndarray) -> np.ndarray:
    @compiled
    def path() -> jax.Array:
        return plan.study.trajectories(_lanes(plan, cell, draw), tuple(times.tolist()))

    # The steps are counted once, outside: inside they would be part of what is compiled.
    _ = plan.study.work
    return np.asarray(path())[:, 0]


def _kept(plan: Plan, place: Place, cell: tuple[int, ...], draw: int) -> dict[str, float] | None:
    if not plan.keep().draws:
        return {}
    if not ledger.read(place).has(_tile_of(plan, cell, draw)):
        return None
    store = CubeStore(place, writable=False)
    return {label.name: store.value(f"draws/{label.name}", (*cell, draw)) for label in plan.study.labels}


def _tile_of(plan: Plan, cell: tuple[int, ...], draw: int) -> Tile:
    """The tile that holds a draw of a cell."""
    block = draw // plan.spec.block
    return next(
        tile
        for tile in plan.tiles()
        if tile.first_block <= block < tile.first_block + tile.blocks
        and all(start <= each < stop for each, (start, stop) in zip(cell, tile.box, strict=True))
    )
