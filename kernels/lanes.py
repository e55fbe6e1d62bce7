"""How many trajectories are solved at once on this device. Policy: no bit of a result depends on it."""

from __future__ import annotations

from kernels.platform import platform
from kernels.study import AUDIT_STRIDE, Study

_CACHE_BYTES = 512 * 1024
"""What the rows of one sub-block may take on a CPU: about half of a core's second-level cache."""
_ROW_BYTES = 4096
"""What a row of a quadrature may take on a CPU: about a tenth of a core's first-level cache."""
CPU_LANES = 1024
"""Lanes of a sub-block on a CPU at most."""
ALIKE_LANES = 65536
"""Lanes of which those that take about as many steps are solved together, in blocks of so many or more."""
_DEVICE_BYTES = 4 * 1024**3
"""What the rows of all that is solved at once may take in an accelerator's memory."""
_DEVICE_LANES = 1 << 20
"""Lanes that fill an accelerator: several for each of some hundred thousand threads."""


def sub_block(study: Study) -> int:
    """Lanes solved at once, a power of two: on a CPU a part of a block, such that the solver's rows stay in a core's cache; on an
    accelerator some blocks, such that they fill it and fit its memory."""
    on_cpu = platform() == "cpu"
    rows = max(study.work.steps * (8 if study.work.tolerance else max(study.work.nodes // 8, 1)), 64)
    # Gradients are carried along, a set of rows each.
    rows *= 1 + len(study.outcomes.gradients)
    fitting = (_CACHE_BYTES if on_cpu else _DEVICE_BYTES) // (rows * study.dtype.itemsize)
    lanes = 1 << max(fitting.bit_length() - 1, 0)
    most = min(study.design.block, CPU_LANES) if on_cpu else _DEVICE_LANES
    if on_cpu and study.work.nodes > 1:
        # Between one point and the next a law by quadrature has some ten rows in the first-level cache.
        most = min(most, _ROW_BYTES // study.dtype.itemsize)
    return int(min(most, max(study.design.replicates, AUDIT_STRIDE, lanes)))


def solved_alike(study: Study) -> int:
    """Lanes solved at once where those that take about as many steps are solved together, a power of two; 0 where none are: an accelerator
    solves all at once."""
    if platform() != "cpu":
        return 0
    count = study.step_count
    if count is None or not count.weights:
        return 0
    # Few end sooner than many, and their steps stay in the cache; too few do not fill the registers.
    return int(min(1024 // study.dtype.itemsize, study.design.block // 2))
