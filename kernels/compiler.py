"""Programs compiled for this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

from kernels.platform import platform


def compiler_options() -> dict[str, Any]:
    """Options of the compiler for this machine: the widest vectors it has."""
    if platform() != "cpu":
        return {}
    try:
        wide = "avx512f" in Path("/proc/cpuinfo").read_text()
    except OSError:
        wide = False
    return {"xla_cpu_prefer_vector_width": "512"} if wide else {}


def compiled(function: Callable[..., Any]) -> Any:
    """`jax.jit(function)`, compiled for this machine when it is first called."""
    return jax.jit(function, compiler_options=compiler_options())
