"""What a worker does with one tile: run its program on a device, bring the arrays to the host, write them, and say so in a receipt."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from kernels.alike import StepCount
from kernels.program import TileProgram
from kernels.sampling import seed_key
from sweep.plan import Plan, Tile, TilePolicy, make_plan
from sweep.spec import Spec
from sweep.store import CubeStore

Receipt = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """A sweep and its store as a worker in another process gets them: all that a tile depends on."""

    spec: Spec
    address: str
    policy: TilePolicy
    counted: StepCount | None

    def plan(self) -> Plan:
        """The plan, which is the same in every process."""
        return make_plan(self.spec, 1, self.policy, self.counted)


@dataclass(frozen=True)
class Computed:
    """A tile's arrays on the host, and how they came about."""

    tile: Tile
    arrays: Mapping[str, np.ndarray]
    seconds: float
    device: str
    lanes: int
    """Draws that were solved at once."""


class TileFailed(Exception):
    """A tile that failed every time it was tried; `tile` says which."""

    def __init__(self, tile: Tile, reason: str, tries: int) -> None:
        super().__init__(tile, reason, tries)
        self.tile, self.reason, self.tries = tile, reason, tries

    def __str__(self) -> str:
        return f"tile {self.tile.name}: {self.reason}"


def program(plan: Plan, lanes: int | None = None) -> TileProgram:
    """The one program of a sweep, to be compiled for each device; it solves `lanes` draws at once, or as many as usual."""
    return TileProgram(plan.study, plan.policy.shape(), plan.keep(), lanes)


def compute(compiled: TileProgram, plan: Plan, tile: Tile, device: Any) -> Computed:
    """Run a tile on a device."""
    started = time.perf_counter()
    promised = compiled(plan.cell_values(tile.box), tile.first_block, tile.blocks, plan.spec.draws, seed_key(plan.spec.seed), device)
    arrays = {name: np.asarray(array) for name, array in promised.items()}
    return Computed(tile, arrays, time.perf_counter() - started, kind_of(device)["device"], compiled.solved_at_once)


def written(plan: Plan, store: CubeStore, computed: Computed) -> Receipt:
    """Write a tile's data, for good, and then what is said of it. Raises OSError or PlaceError where the place does not take it."""
    tile, arrays = computed.tile, computed.arrays
    crcs = store.write_tile(plan, tile, arrays)
    return {
        "tile": tile.name,
        "first_block": tile.first_block,
        "draws": tile.draws,
        "crc": crcs,
        "valid": int(arrays["valid"].sum()),
        "failed": int(arrays["failed"].sum()),
        "error": float(arrays["error"].max(initial=0)),
        "seconds": round(computed.seconds, 4),
        "jaxlib": version("jaxlib"),
        "device": computed.device,
        "lanes": computed.lanes,
    }


def kind_of(device: Any) -> dict[str, str]:
    """What bits depend on beside the spec: the compiler and the kind of device, on a CPU with its vector instructions."""
    kind = str(device.device_kind) if device.platform != "cpu" else _processor()
    return {"jaxlib": version("jaxlib"), "device": f"{device.platform}:{kind}"}


@cache
def _processor() -> str:
    try:
        flags = set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        flags = set()
    return "-".join((platform.machine(), *(flag for flag in ("avx2", "fma", "avx512f") if flag in flags)))
