"""The numba-cuda kernels: in numba's simulator they equal the references, and they compile for a Hopper without float64 in float32."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("numba")
ROOT = Path(__file__).resolve().parents[2]

SIMULATED = """
import numpy as np
from benchmarks import references
from benchmarks.laws import LAWS
from benchmarks.peers import numba_cuda_laws, scipy_laws
from benchmarks.suites.laws import worst_error
from tests.oracles.davidson_houlden import draw_priors

assert numba_cuda_laws.missing() is None
for precision, most in (("float32", 3e-6), ("float64", 1e-12)):
    drawn = np.array(draw_priors(6, 31)).astype(precision)
    truth = references.recursion_dates(drawn.astype(np.float64), [8, 24])
    assert np.isinf(truth).any() and np.isfinite(truth).any()
    found = numba_cuda_laws.NumbaDates(drawn, precision, 8, 24, False).answers()
    assert found.dtype == precision and worst_error(found, truth) <= most, (found, truth)
    law = LAWS[0]
    drawn = law.draws(2).astype(precision)
    found = numba_cuda_laws.NumbaLaw(law, drawn, precision, law.study(precision).budget, False).answers()
    assert found.dtype == precision and worst_error(found, scipy_laws.reference(law, drawn)) <= most, found
"""

COMPILED = """
import sys
from numba import cuda, types
from benchmarks.peers import numba_cuda_laws

precision, fast = sys.argv[1], sys.argv[2] == "fast"
real = getattr(types, precision)
rows, row, begins = types.Array(real, 2, "C"), types.Array(real, 1, "C"), types.Array(types.int32, 1, "C")
for kernel, given in (
    (numba_cuda_laws.recursion, (rows, types.int64, types.int64, rows)),
    (numba_cuda_laws.labour, (rows, row, begins, row, row, rows)),
):
    print(cuda.compile_ptx(kernel(precision, fast).py_func, given, cc=(9, 0), fastmath=fast)[0])
"""


def _python(source, *arguments, **surroundings):
    # The simulator is chosen when numba is imported.
    own = {**os.environ, "PYTHONPATH": str(ROOT), **surroundings}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", source, *arguments], cwd=ROOT, env=own, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_in_the_simulator():
    done = _python(SIMULATED, NUMBA_ENABLE_CUDASIM="1")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("fast", ["fast", "exact"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_compiled_for_a_hopper(precision, fast):
    done = _python(COMPILED, precision, fast)
    if "nvvm" in done.stderr.lower():
        pytest.skip("numba finds no libNVVM")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(".visible .entry") == 2
    assert ("ex2.approx" in done.stdout) == (precision == "float32")
    if precision == "float32":
        # No arithmetic in float64.
        assert re.findall(r"\w+\.f64\b", done.stdout) == []
