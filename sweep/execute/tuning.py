"""Self-tuning: how many draws a CPU solves at once, measured once for each program and machine, and kept. It changes no bit of a result.

The tile program walks its blocks in sub-blocks whose rows fit the processor's cache (`sub_block` in kernels/lanes.py); which of them is
fastest depends on the sizes of the caches. Half and twice the default are set beside it on a block of the sweep, and one of them is taken
only where it is more than 5 % faster. A candidate is compiled first, which takes seconds or tens of them, so that only sweeps of ten
minutes and more are tuned for, within 5 % of their time.

Not tuned: how many tiles are computed at once, one for each core, and the width of vectors, the widest that there is.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from kernels.fastest import ROUNDS, fastest
from kernels.program import TileProgram
from kernels.sampling import seed_key
from kernels.study import AUDIT_STRIDE
from sweep import identity
from sweep.execute.compilation import use_compilation_cache
from sweep.execute.tile import kind_of, program
from sweep.plan import Plan, Tile, nanoseconds_a_trajectory

_LEAST_ESTIMATED_SECONDS = 30.0
"""Sweeps that the plan believes to be shorter are run at once, with the default."""
_LEAST_SECONDS = 600.0
"""Sweeps that turn out to be shorter are not tuned for."""
_SHARE = 0.05
"""How much of a sweep's time tuning may take."""
_TURN_SECONDS = 0.05


def tuned(
    default: TileProgram, plan: Plan, chains: Sequence[Sequence[Tile]], on: Sequence[Any], announce: Callable[[str], None]
) -> TileProgram:
    """The program of a plan: the default, or one whose sub-block suits the devices better on which these tiles are to be computed.

    What is found is kept beside the compiled programs and told to `announce`. Called by one process at a time.
    """
    trajectories = sum(tile.cells * tile.draws for chain in chains for tile in chain) / max(1, len(on))
    if trajectories * nanoseconds_a_trajectory(plan.study) * 1e-9 < _LEAST_ESTIMATED_SECONDS:
        return default
    known = chosen(default, plan, on[0])
    if known is not None:
        return known
    found = _measured(plan, default, chains[0][0], on[0], trajectories)
    if found is None:
        return default
    best, gain = found
    _keep(plan, on[0], best.solved_at_once)
    if best is not default:
        announce(f"{best.solved_at_once:,} draws are solved at once: {gain:.2f} times as fast here as {default.solved_at_once:,}")
    return best


def chosen(default: TileProgram, plan: Plan, device: Any) -> TileProgram | None:
    """The program of a plan with the sub-block that an earlier run chose for it on this machine; None where none has, and one may."""
    allowed = candidates(default) if plan.spec.run.tune and device.platform == "cpu" else []
    if len(allowed) < 2:
        return default
    try:
        lanes = json.loads(_kept_at(plan, device).read_bytes())["lanes"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if lanes not in allowed:
        return None
    return default if lanes == default.solved_at_once else program(plan, lanes)


def candidates(default: TileProgram) -> list[int]:
    """Sub-blocks that are tried, the default first."""
    design, lanes = default.study.design, default.solved_at_once
    # What is not solved alike is counted, audited and summed by replicate as it is solved.
    least = 64 if default.solves_alike else max(design.replicates, AUDIT_STRIDE)
    return [lanes, *(other for other in (lanes // 2, lanes * 2) if least <= other <= design.block)]


def _measured(plan: Plan, default: TileProgram, tile: Tile, device: Any, trajectories: float) -> tuple[TileProgram, float] | None:
    """The program with the fastest sub-block, and its gain; None where it is not worth while to find out."""
    cells, draws, key = plan.cell_values(tile.box)[:1], min(tile.draws, plan.spec.block), seed_key(plan.spec.seed)

    def solve_block(compiled: TileProgram) -> None:
        for array in compiled(cells, tile.first_block, 1, plan.spec.draws, key, device).values():
            array.block_until_ready()

    longest = _seconds(lambda: default.compile(device))
    began = time.perf_counter()
    once = _seconds(lambda: solve_block(default))
    left = trajectories * once / draws
    if left < _LEAST_SECONDS:
        return None
    repeats, programs = max(1, round(_TURN_SECONDS / once)), {default.solved_at_once: default}
    for lanes in candidates(default)[1:]:
        # As far as one can tell before it is compiled.
        if time.perf_counter() - began + longest + ROUNDS * repeats * once * (len(programs) + 1) > _SHARE * left:
            break
        programs[lanes] = program(plan, lanes)
        longest = max(longest, _seconds(lambda lanes=lanes: programs[lanes].compile(device)))  # type: ignore[misc]
        solve_block(programs[lanes])
    if len(programs) == 1:
        return None

    def turn(compiled: TileProgram) -> None:
        for _ in range(repeats):
            solve_block(compiled)

    best, gain = fastest({lanes: partial(turn, compiled) for lanes, compiled in programs.items()})
    return programs[best], gain


def _seconds(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def _kept_at(plan: Plan, device: Any) -> Path:
    """Where the choice for a program on this machine is kept: all that the program's speed may depend on is in its name."""
    sweep = {name: value for name, value in plan.spec.identity().items() if name != "seed"}
    made_of = {
        "sweep": sweep,
        "steps": plan.study.work.steps,
        "draws": plan.spec.store.draws,
        "kernels": version("siesweep"),
        "processor": _processor(),
        **kind_of(device),
    }
    return use_compilation_cache() / f"siesweep-{identity.fingerprint(made_of)[:16]}.tuned"


def _processor() -> str:
    """The model of the processor, whose caches are its own: a cache in a home folder may be shared by different machines."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return ""


def _keep(plan: Plan, device: Any, lanes: int) -> None:
    """Keep a choice. A cache that cannot be written is none."""
    kept = _kept_at(plan, device)
    with suppress(OSError):
        temporary = kept.with_name(f"{kept.name}.{os.getpid()}")
        temporary.write_text(json.dumps({"lanes": lanes}), encoding="utf-8")
        temporary.replace(kept)
