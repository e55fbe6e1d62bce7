"""How tests compile. Most of their time is the compiler's, so a program that runs once on a few lanes is compiled by the cheapest of its
ways, in less than half of the time.

What is about rounding, bits or speed is compiled as it is shipped, by plain `jax.jit`; and so is everything in tests marked `soak`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

CHEAPEST: dict[str, Any] = {
    "xla_backend_optimization_level": 0,
    # What these find in a loop makes the compiler look through the whole program again, up to a dozen times.
    "xla_disable_hlo_passes": "while-loop-invariant-code-motion,while-loop-constant-sinking,simplify-while-loops",
}
if jax.__version_info__ < (0, 11):
    # Later compilers do not know it.
    CHEAPEST["xla_cpu_use_fusion_emitters"] = False

FLAGS = " ".join(f"--{name}={str(value).lower()}" for name, value in CHEAPEST.items())
"""The same for the XLA_FLAGS of a process of its own."""


def cheaply(function: Callable[..., Any]) -> Any:
    """`jax.jit(function)`, compiled by the cheapest way."""
    return jax.jit(function, compiler_options=dict(CHEAPEST))
