"""The devices that tiles, or parts of a benchmark, are computed on at the same time.

Cores share a device: XLA computes several programs of one CPU device at once, and compiles a program once for each device.
"""

from __future__ import annotations

import contextlib
import math
from typing import Any

import jax

_CORES_OF_A_DEVICE = 16
"""XLA begins only so many programs of a device at once; this is well below it."""


def devices(workers: int | None, cores: int) -> list[Any]:
    """The device of each worker: every accelerator that JAX sees, `workers` of them at most, or a CPU's for each of `workers` (of `cores`
    by default)."""
    threads = workers or cores
    settings: Any = jax.config
    needed = math.ceil(threads / _CORES_OF_A_DEVICE)
    if needed > max(1, settings.jax_num_cpu_devices):
        # Where JAX has started already, by the caller's own use, what it has is what there is.
        with contextlib.suppress(RuntimeError):
            settings.update("jax_num_cpu_devices", needed)
    found = jax.devices()
    if found[0].platform != "cpu":
        return found[:workers]
    return [found[thread % min(needed, len(found))] for thread in range(threads)]
