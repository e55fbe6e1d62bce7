"""What a worker does with one tile: run its program on a device, wait, and bring the arrays to the host."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kernels.program import TileProgram
from kernels.sampling import seed_key
from sweep.plan import Plan, Tile


@dataclass(frozen=True)
class Computed:
    """A tile's arrays on the host, and how they came about."""

    tile: Tile
    arrays: Mapping[str, np.ndarray]
    seconds: float
    device: str


def program(plan: Plan) -> TileProgram:
    """The one program of a sweep; it compiles at its first call on each device."""
    return TileProgram(plan.study, plan.policy.shape(), plan.keep())


def compute(compiled: TileProgram, plan: Plan, tile: Tile, device: Any) -> Computed:
    """Run a tile on a device."""
    started = time.perf_counter()
    promised = compiled(plan.cell_values(tile.box), tile.first_block, tile.blocks, plan.spec.draws, seed_key(plan.spec.seed), device)
    arrays = {name: np.asarray(array) for name, array in promised.items()}
    return Computed(tile, arrays, time.perf_counter() - started, f"{device.platform}:{device.device_kind}")
