"""What the compiler makes of the kernels and of whole tile programs for an H100, which need not be here: kernels launched, bytes moved.

Needs JAX's plugin for CUDA and CUDA's assembler; nothing runs there, and no rate follows from it. The small mode compiles for the CPU.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks import made_of, studies
from benchmarks.bare import outcomes_of
from benchmarks.environment import environment
from benchmarks.laws import LAWS, NOISY
from benchmarks.record import NothingToMeasure, Record, Table
from kernels.outcomes import Outcomes
from kernels.platform import made_for
from kernels.program import TileProgram, TileShape
from kernels.study import Study

_H100 = """
gpu_device_info {
  threads_per_block_limit: 1024
  threads_per_warp: 32
  shared_memory_per_block: 49152
  shared_memory_per_core: 233472
  threads_per_core_limit: 2048
  core_count: 132
  fpus_per_core: 128
  block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535
  block_dim_limit_z: 65535
  memory_bandwidth: 3352320000000
  l2_cache_size: 52428800
  clock_rate_ghz: 1.98
  device_memory_size: 84929347584
  shared_memory_per_block_optin: 232448
  cuda_compute_capability { major: 9 }
  registers_per_core_limit: 65536
  registers_per_block_limit: 65536
}
platform_name: "CUDA"
dnn_version_info { major: 9 minor: 7 }
runtime_version { major: 13 minor: 0 patch: 0 }
device_description_str: "NVIDIA H100 80GB HBM3"
"""
"""As XLA's tools describe it."""
_BLOCKS = 64
_TRAJECTORIES = 1 << 20
_SMALL_TRAJECTORIES = 1 << 10


def measure(small: bool = False) -> Record:
    """Run the suite. Raises NothingToMeasure where nothing can be compiled for a GPU."""
    held = environment()
    device = jax.devices()[0] if small else _h100()
    if not small:
        held["hardware"]["accelerator"] = f"compiled for {device.device_kind}"
    alone, whole = [], []
    for name, study in list(_studies())[: 1 if small else None]:
        sys.stderr.write(f"programs: {name}\n")
        # Counts its steps, which is run here.
        _ = study.work
        with nullcontext() if small else made_for("gpu"):
            # A path of noise is made where its draw is.
            if name != NOISY.name:
                lanes = _SMALL_TRAJECTORIES if small else _TRAJECTORIES
                alone.append(made_of.row(name, partial(_kernel, study, device, lanes), lanes))
            program = TileProgram(study, TileShape(1, 1 if small else _BLOCKS))
            whole.append(made_of.row(name, partial(program.compile, device), program.solved_at_once))
    tables = (
        Table("Kernels alone: parameters given, outcomes computed", made_of.COLUMNS, tuple(alone), (made_of.NOTE,)),
        Table("Whole tile programs: with sampling, statistics and audit", made_of.COLUMNS, tuple(whole)),
    )
    return Record("programs", small, tables, held)


def _h100() -> Any:
    """An H100 as a device to compile for."""
    # Libraries that programs would be run with are not needed.
    os.environ.setdefault("JAX_SKIP_CUDA_CONSTRAINTS_CHECK", "1")
    from jax.experimental import topologies

    try:
        return topologies.get_topology_desc(platform="cuda", topology="1x1x1", target_config=_H100).devices[0]
    except NotImplementedError as error:
        raise NothingToMeasure("JAX's plugin for CUDA is not installed, or does not start (pip install 'jax[cuda13]')") from error


def _studies() -> Iterator[tuple[str, Study]]:
    yield "Davidson–Houlden's recursion, two dates", studies.study("float32", "recursion", Outcomes(doublings=studies.DATES))
    windows = Outcomes(windows=studies.PUBLISHED_WINDOWS)
    yield "Davidson–Houlden's recursion, four windows", studies.study("float32", "recursion", windows)
    yield "its continuous limit, windows and two dates", studies.study("float32", "continuous", studies.CONTINUOUS)
    for law in (*LAWS, NOISY):
        yield law.name, law.study("float32")


def _kernel(study: Study, device: Any, trajectories: int) -> Any:
    """A kernel without its surroundings, compiled."""
    struct: Any = jax.ShapeDtypeStruct
    shape = (len(study.design.distributions), trajectories)
    given = struct(shape, jnp.dtype(study.dtype), sharding=jax.sharding.SingleDeviceSharding(device))
    return jax.jit(partial(outcomes_of, study)).lower(given).compile()
