"""The maths of a trajectory in pure JAX: models, solvers, sampling, outcomes, statistics. No files, no configuration, no orchestration."""

from typing import Any

import jax

# float64 is needed by the audit of every float32 sweep, and JAX decides once a process whether it exists; every array here states its type.
_settings: Any = jax.config
_settings.update("jax_enable_x64", True)
